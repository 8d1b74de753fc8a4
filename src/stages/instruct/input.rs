//! Pairs with what is known of their images: three tables in one order, read side by side.

use crate::record::{Description, GroupImage, Pair};
use crate::store::{Manifest, Ordered, Store, StoreError, read_rows};

/// The pairs of one group, with its descriptions and its images.
pub struct Group {
    /// At least one.
    pub pairs: Vec<Pair>,
    said: Vec<Description>,
    images: Vec<GroupImage>,
}

/// One side of a pair.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    /// What the image shows.
    pub description: &'a Description,
    /// What the page says.
    pub image: &'a GroupImage,
}

/// One part of the three tables.
pub struct Groups {
    pairs: Ordered<Pair>,
    said: Ordered<Description>,
    images: Ordered<GroupImage>,
}

impl Groups {
    /// Opens a part; none where it has no pair.
    pub async fn open(
        store: &Store,
        pairs: &Manifest,
        descriptions: &Manifest,
        groups: &Manifest,
    ) -> Result<Option<Self>, StoreError> {
        let file = |part: &Manifest| part.files.get("rows").map(|file| file.path.clone());
        let (Some(pairs), Some(said), Some(images)) =
            (file(pairs), file(descriptions), file(groups))
        else {
            return Ok(None);
        };
        Ok(Some(Self {
            pairs: Ordered::new(read_rows(store, &pairs, 512).await?),
            said: Ordered::new(read_rows(store, &said, 512).await?),
            images: Ordered::new(read_rows(store, &images, 512).await?),
        }))
    }

    /// The next group that has a pair.
    pub async fn next(&mut self) -> Result<Option<Group>, StoreError> {
        let Some(pairs) = self.pairs.next_run(|pair| pair.group_id.clone()).await? else {
            return Ok(None);
        };
        let id = &pairs[0].group_id;
        let said = passing_over(&mut self.said, id, |row| row.group_id.clone()).await?;
        let images = passing_over(&mut self.images, id, |row| row.group_id.clone()).await?;
        Ok(Some(Group { pairs, said, images }))
    }
}

/// The run of rows of a group; groups before it are passed over.
async fn passing_over<R: crate::store::Row>(
    rows: &mut Ordered<R>,
    group_id: &str,
    of: impl Fn(&R) -> String,
) -> Result<Vec<R>, StoreError> {
    while let Some(run) = rows.next_run(&of).await? {
        if of(&run[0]) == group_id {
            return Ok(run);
        }
    }
    Err(StoreError::corrupt(group_id, "a group of `pairs` is missing in what it was made from"))
}

impl Group {
    /// What is known of the image at a position of the page.
    pub fn known(&self, position: u32) -> Result<Known<'_>, StoreError> {
        let description = self.said.iter().find(|row| row.position == position);
        let image = self.images.iter().find(|row| row.position == position);
        match (description, image) {
            (Some(description), Some(image)) => Ok(Known { description, image }),
            _ => {
                let group = &self.pairs[0].group_id;
                Err(StoreError::corrupt(group, format!("no image at position {position}")))
            }
        }
    }
}
