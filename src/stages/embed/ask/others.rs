//! Images that are not the run's own: asked and kept as those are, under a step of their own.

use std::collections::BTreeMap;

use futures::stream;

use super::open::cut;
use super::{Asker, Keys, Kind, vector_of};
use crate::endpoint::{PartReplies, Piece, StepReplies};
use crate::record::ImageId;
use crate::stages::asking::drive;
use crate::stages::context::StageError;
use crate::stages::embed::Outcome;

/// The step that their replies are kept under.
pub const STEP: &str = "decontaminate";

impl Asker {
    /// Asks for what has no kept reply, and gives the vector of each image.
    pub async fn images(
        &self,
        images: Vec<(ImageId, Vec<u8>)>,
    ) -> Result<Vec<Outcome>, StageError> {
        let replies = StepReplies::new(&self.scratch, STEP).part(0)?;
        let asked = self.ask_images(&replies, &images).await;
        replies.seal().await?;
        asked?;
        let keys = Keys::of(&self.embed);
        images.iter().map(|(id, _)| vector_of(&replies, &keys.image_id(id))).collect()
    }

    async fn ask_images(
        &self,
        replies: &PartReplies,
        images: &[(ImageId, Vec<u8>)],
    ) -> Result<(), StageError> {
        let model = self.model.as_ref().expect("the endpoint is connected before any image");
        let keys = Keys::of(&self.embed);
        let mut pieces = BTreeMap::new();
        for (id, bytes) in images {
            let key = keys.image_id(id);
            if !replies.has(&key)? {
                pieces.insert(key, Piece::image(bytes.clone().into()));
            }
        }
        let bytes = images.iter().map(|(_, bytes)| bytes.len() as u64).sum();
        let room = self.room.take(bytes).await;
        let at_once = self.embed.images.at_once(self.embed.batch);
        let calls = cut(Kind::Image, pieces.into_iter().collect(), at_once, Some(room));
        let calls = stream::iter([Ok::<_, StageError>(calls)]);
        drive(&self.halt, model.concurrency(), calls, async |call| {
            self.ask_now(model, replies, call).await
        })
        .await
    }
}
