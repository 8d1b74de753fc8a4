//! Where images of a run lie, by id or URL.

use std::collections::{HashMap, HashSet};

use arrow::datatypes::FieldRef;
use serde::{Deserialize, Serialize};

use super::subject::{Picture, Pictures};
use crate::store::{Gatherer, Row, RunDir, StoreError, read_rows};
use crate::table::IMAGES;
use crate::table::columns::text;

/// The names of a row of `images`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Names {
    image_id: String,
    url: String,
}

impl Row for Names {
    fn fields() -> Vec<FieldRef> {
        vec![text("image_id"), text("url")]
    }

    fn weight(&self) -> usize {
        200
    }
}

/// Places by name.
pub(super) struct Places {
    places: HashMap<String, (u32, u32)>,
    pub pictures: Pictures,
}

impl Places {
    /// Looks all of them up, ids or URLs, in one pass over two columns.
    pub async fn find(dir: &RunDir, wanted: &HashSet<String>) -> Result<Self, StoreError> {
        let manifests = dir.manifests(IMAGES).await?;
        let mut places = HashMap::new();
        for manifest in &manifests {
            let Some(file) = manifest.files.get("rows") else { continue };
            let mut rows = read_rows::<Names>(dir.store(), &file.path, 4096).await?;
            let mut row = 0;
            while let Some(batch) = rows.next().await? {
                for names in batch {
                    for name in [names.image_id, names.url] {
                        if wanted.contains(&name) {
                            places.insert(name, (manifest.part, row));
                        }
                    }
                    row += 1;
                }
            }
        }
        let pictures = Pictures::of(Gatherer::new(dir.store(), &manifests));
        Ok(Self { places, pictures })
    }

    /// The image of a name.
    pub fn of(&self, name: &str) -> Picture {
        self.places.get(name).map_or(Picture::Gone, |(part, row)| Picture::Stored(*part, *row))
    }
}
