//! The groups of a part with what is known of their images: three tables in one order, read side by side.

use super::Inputs;
use crate::record::{Description, Embedding, GroupImage};
use crate::similarity::Vector;
use crate::store::{Manifest, Ordered, Row, Store, StoreError, read_rows};

/// Rows that are read at a time.
const BATCH: usize = 512;

/// The groups of a part, one after the other.
pub struct Groups {
    images: Ordered<GroupImage>,
    said: Ordered<Description>,
    embedded: Ordered<Embedding>,
}

/// A group.
pub struct Group {
    /// Its images in page order.
    pub images: Vec<GroupImage>,
    /// What is said about them; not about each.
    pub said: Vec<Description>,
    /// Their vectors, where there are any.
    pub embedded: Vec<Embedding>,
}

/// An image that can be one of a pair.
pub struct Member<'a> {
    /// The image.
    pub image: &'a GroupImage,
    /// Its description.
    pub said: &'a Description,
    /// The description's words, weighed; empty where vectors are compared.
    pub words: Vector,
    /// Its vectors.
    pub embedding: Option<&'a Embedding>,
}

impl Groups {
    /// Begins to read part `at`; none where there is nothing to pair.
    pub async fn open(
        store: &Store,
        inputs: &Inputs,
        at: usize,
    ) -> Result<Option<Self>, StoreError> {
        let (groups, descriptions) = (&inputs.groups[at], &inputs.descriptions[at]);
        if groups.rows("rows") == 0 || descriptions.rows("rows") == 0 {
            return Ok(None);
        }
        Ok(Some(Self {
            images: rows(store, Some(groups)).await?,
            said: rows(store, Some(descriptions)).await?,
            embedded: rows(store, inputs.embeddings.get(at)).await?,
        }))
    }

    /// The next group.
    pub async fn next(&mut self) -> Result<Option<Group>, StoreError> {
        let images = self.images.next_run(|image| image.group_id.clone()).await?;
        let Some(images) = images else { return Ok(None) };
        let id = images[0].group_id.as_str();
        let said = self.said.take_run(|row| row.group_id == id).await?;
        let embedded = self.embedded.take_run(|row| row.group_id == id).await?;
        Ok(Some(Group { images, said, embedded }))
    }
}

async fn rows<R: Row>(store: &Store, part: Option<&Manifest>) -> Result<Ordered<R>, StoreError> {
    match part.and_then(|part| part.files.get("rows")) {
        Some(file) => Ok(Ordered::new(read_rows(store, &file.path, BATCH).await?)),
        None => Ok(Ordered::empty()),
    }
}
