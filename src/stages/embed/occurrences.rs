//! What is to be embedded: the described images of a part of `groups`, in their order.

use super::Inputs;
use crate::record::{Description, GroupImage, ImageId};
use crate::store::{Manifest, Ordered, Store, StoreError, read_rows};
use crate::text;

/// Rows that are read at a time.
const BATCH: usize = 512;

/// An image of a page with what is said about it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Occurrence {
    /// The group.
    pub group_id: String,
    /// Which image of the group's page.
    pub position: u32,
    /// The image.
    pub image_id: ImageId,
    /// Part and row of `images`.
    pub place: (u32, u32),
    /// Length of its file.
    pub image_bytes: u32,
    /// The image's URL as the page names it.
    pub image_url: String,
    /// The page.
    pub page_url: String,
    /// Caption and labels.
    pub text: String,
}

/// The files of a part.
pub struct Source {
    /// The part.
    pub part: u32,
    /// All of `images`.
    pub images: Vec<Manifest>,
    groups: String,
    descriptions: String,
}

/// The rows of a part, read as they are asked for.
pub struct Occurrences {
    images: Ordered<GroupImage>,
    said: Ordered<Description>,
}

impl Source {
    /// Part `at` of the inputs; none where nothing is described.
    pub fn new(inputs: &Inputs, at: usize) -> Option<Self> {
        let (groups, descriptions) = (&inputs.groups[at], &inputs.descriptions[at]);
        Some(Self {
            part: descriptions.part,
            images: inputs.images.clone(),
            groups: groups.files.get("rows")?.path.clone(),
            descriptions: descriptions.files.get("rows")?.path.clone(),
        })
    }

    /// Begins to read.
    pub async fn occurrences(&self, store: &Store) -> Result<Occurrences, StoreError> {
        Ok(Occurrences {
            images: Ordered::new(read_rows(store, &self.groups, BATCH).await?),
            said: Ordered::new(read_rows(store, &self.descriptions, BATCH).await?),
        })
    }
}

impl Occurrences {
    /// The next ones, at most so many; none at the end.
    pub async fn next(&mut self, most: usize) -> Result<Option<Vec<Occurrence>>, StoreError> {
        let mut batch = Vec::with_capacity(most);
        while batch.len() < most {
            let Some(description) = self.said.next_if(|_| true).await? else { break };
            batch.push(occurrence(self.image_of(&description).await?, &description));
        }
        Ok((!batch.is_empty()).then_some(batch))
    }

    /// Descriptions are in the order of images, and some images have none.
    async fn image_of(&mut self, description: &Description) -> Result<GroupImage, StoreError> {
        while let Some(image) = self.images.next_if(|_| true).await? {
            if image.group_id == description.group_id && image.position == description.position {
                return Ok(image);
            }
        }
        Err(StoreError::corrupt("descriptions", "a description without its image"))
    }
}

fn occurrence(image: GroupImage, description: &Description) -> Occurrence {
    Occurrence {
        text: text_of(description),
        group_id: image.group_id,
        position: image.position,
        image_id: image.look.image_id,
        place: (image.look.image_part, image.look.image_row),
        image_bytes: image.look.stored_bytes,
        image_url: image.image_url,
        page_url: image.page_url,
    }
}

/// The caption, and the labels that it does not say already.
fn text_of(Description { caption, labels, .. }: &Description) -> String {
    let further: Vec<&str> =
        text::labels_beyond(caption, labels).into_iter().map(String::as_str).collect();
    match further.as_slice() {
        [] => caption.clone(),
        labels => format!("{} {}", caption, labels.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_says_nothing_twice() {
        let said = |labels: &[&str]| {
            let labels = labels.iter().map(|&label| label.into()).collect();
            text_of(&Description {
                caption: "A red boat.".into(),
                labels,
                ..Description::default()
            })
        };
        assert_eq!(said(&["boat", "red"]), "A red boat.");
        assert_eq!(said(&["harbour", "boat", "sea"]), "A red boat. harbour, sea");
    }
}
