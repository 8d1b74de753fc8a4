//! What of a part is to be asked, read as requests are sent: texts and images, each once, and no more bytes
//! of images at a time than there is room for.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Call, Keys, Kind, Widths, vector_of};
use crate::config::Embed;
use crate::endpoint::{Notes, PartReplies, Piece};
use crate::stages::context::{Context, StageError};
use crate::stages::embed::occurrences::{Occurrence, Occurrences};
use crate::store::{Gatherer, StoreError};

/// Kept vectors whose width counts for those to come.
const SEEDS: usize = 64;
/// Bytes of a permit.
const UNIT: u64 = 1024;

/// Room for images that are on their way, of all parts together.
pub struct Room {
    free: Arc<Semaphore>,
    all: u32,
}

impl Room {
    /// For so many bytes.
    pub fn new(bytes: usize) -> Self {
        let all = (bytes as u64).div_ceil(UNIT).clamp(1, u64::from(u32::MAX >> 4)) as u32;
        Self { free: Arc::new(Semaphore::new(all as usize)), all }
    }

    /// Waits until there is room for `bytes`; what is larger than all of it is let through by itself.
    pub async fn take(&self, bytes: u64) -> Arc<OwnedSemaphorePermit> {
        let units = bytes.div_ceil(UNIT).min(u64::from(self.all)) as u32;
        let room = Arc::clone(&self.free).acquire_many_owned(units).await;
        Arc::new(room.expect("the semaphore is never closed"))
    }
}

/// Which inputs are to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Those without a reply.
    New,
    /// Those whose kept vector is not as long as most.
    Odd,
}

/// What of a part is still to be asked.
pub struct Open<'a> {
    pub(super) ctx: &'a Context,
    pub(super) keys: &'a Keys,
    pub(super) embed: &'a Embed,
    pub(super) replies: &'a PartReplies,
    pub(super) notes: &'a Notes,
    pub(super) widths: &'a [Widths; 2],
    pub(super) room: &'a Room,
    pub(super) wanted: Wanted,
    pub(super) gatherer: Gatherer,
    pub(super) rows: Occurrences,
    pub(super) seen: HashSet<String>,
    pub(super) seeds: [usize; 2],
}

impl Open<'_> {
    /// The next requests; none at the end.
    pub async fn next(&mut self) -> Result<Option<Vec<Call>>, StageError> {
        while let Some(rows) = self.rows.next(self.embed.batch).await? {
            let mut calls = Vec::new();
            let texts: Vec<_> = rows.iter().map(|row| (self.keys.text(row), row)).collect();
            let texts = self.wanted(Kind::Text, texts)?;
            for (key, row) in &texts {
                self.notes.add(key, &[&row.group_id])?;
            }
            let texts = texts.into_iter();
            let texts = texts.map(|(key, row)| (key, Piece::Text(row.text.clone())));
            calls.extend(cut(Kind::Text, texts.collect(), self.embed.batch, None));
            calls.extend(self.images(&rows).await?);
            if self.wanted == Wanted::New {
                self.ctx.progress.add_done(rows.len() as u64);
            }
            if !calls.is_empty() {
                return Ok(Some(calls));
            }
        }
        Ok(None)
    }

    async fn images(&mut self, rows: &[Occurrence]) -> Result<Vec<Call>, StageError> {
        if !self.keys.has_images {
            return Ok(Vec::new());
        }
        let images: Vec<_> = rows.iter().map(|row| (self.keys.image(row), row)).collect();
        let images = self.wanted(Kind::Image, images)?;
        if images.is_empty() {
            return Ok(Vec::new());
        }
        // A vector of an image is of nothing that a page says.
        for (key, row) in &images {
            self.notes.add(key, &[row.image_id.as_str()])?;
        }
        let bytes = images.iter().map(|(_, row)| u64::from(row.image_bytes)).sum();
        let room = self.room.take(bytes).await;
        let mut files = self.gatherer.gather(images.iter().map(|(_, row)| row.place)).await?;
        let piece = |(key, row): (String, &Occurrence)| match files.remove(&row.place) {
            Some(bytes) => Ok((key, Piece::image(bytes))),
            None => Err(StoreError::corrupt("images", format!("no image at {:?}", row.place))),
        };
        let pieces = images.into_iter().map(piece).collect::<Result<_, _>>()?;
        let at_once = self.embed.images.at_once(self.embed.batch);
        Ok(cut(Kind::Image, pieces, at_once, Some(room)))
    }

    /// Those that are to be asked, each once.
    fn wanted<'r>(
        &mut self,
        kind: Kind,
        all: Vec<(String, &'r Occurrence)>,
    ) -> Result<Vec<(String, &'r Occurrence)>, StageError> {
        let mut wanted = Vec::new();
        for (key, row) in all {
            if self.seen.insert(key.clone()) && self.is_wanted(kind, &key)? {
                wanted.push((key, row));
            }
        }
        Ok(wanted)
    }

    fn is_wanted(&mut self, kind: Kind, key: &str) -> Result<bool, StageError> {
        if !self.replies.has(key)? {
            return Ok(self.wanted == Wanted::New);
        }
        let (widths, seeds) = (&self.widths[kind as usize], &mut self.seeds[kind as usize]);
        match self.wanted {
            Wanted::Odd => {
                let width = vector_of(self.replies, key)?.map(|vector| vector.len()).ok();
                Ok(width.is_some_and(|width| Some(width) != widths.usual()))
            }
            // What an earlier run was told counts before anything new does.
            Wanted::New if *seeds < SEEDS => {
                *seeds += 1;
                widths.note(vector_of(self.replies, key)?.map(|vector| vector.len()).ok());
                Ok(false)
            }
            Wanted::New => Ok(false),
        }
    }
}

/// Requests of at most so many inputs.
pub(super) fn cut(
    kind: Kind,
    mut inputs: Vec<(String, Piece)>,
    most: usize,
    room: Option<Arc<OwnedSemaphorePermit>>,
) -> Vec<Call> {
    let mut calls = Vec::new();
    while !inputs.is_empty() {
        let rest = inputs.split_off(most.min(inputs.len()));
        calls.push(Call { kind, inputs, room: room.clone(), has_hung: false });
        inputs = rest;
    }
    calls
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn images_wait_for_room_and_a_large_one_goes_alone() {
        let room = Room::new(10 << 10);
        let first = room.take(8 << 10).await;
        assert!(room.take(2 << 10).now_or_never().is_some());
        assert!(room.take(3 << 10).now_or_never().is_none(), "8 KiB of 10 are taken");
        assert!(room.take(1 << 30).now_or_never().is_none());
        drop(first);
        let large = room.take(1 << 30).now_or_never().expect("nothing else is on its way");
        assert!(room.take(1).now_or_never().is_none());
        drop(large);
        assert!(room.take(10 << 10).now_or_never().is_some());
    }
}
