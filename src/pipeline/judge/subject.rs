//! The items to judge, with one side or two, from any source.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;

use super::{JudgeError, JudgeOptions, prompts, results, triplets};
use crate::pipeline::RunError;
use crate::pipeline::view::Viewed;
use crate::pipeline::view::catalogue::Place;
use crate::store::{Gatherer, RunDir, StoreError};
use crate::table::IMAGES;

/// All that is judged, and what to ask about it.
#[derive(Clone)]
pub(super) struct Subject {
    /// Task of the judge, as a sentence.
    pub question: &'static str,
    /// The sides by name: two, or none where single items are rated.
    pub names: Option<[String; 2]>,
    pub items: Arc<[Item]>,
    /// Number of items that cannot be judged, by reason.
    pub passed_over: Vec<(String, usize)>,
    pub pictures: Pictures,
}

/// One thing to judge.
pub(super) struct Item {
    /// Name of the item in verdicts.
    pub id: String,
    pub query: Picture,
    /// Target image, if it is the same on both sides.
    pub target: Option<Picture>,
    /// Instruction, if it is the same on both sides.
    pub instruction: Option<String>,
    /// The parts that differ; empty where the item is rated as a whole.
    pub sides: Vec<Side>,
    /// True if the second side is shown on the left.
    pub is_swapped: bool,
}

/// One side of an item.
pub(super) struct Side {
    pub texts: Vec<String>,
    pub picture: Option<Picture>,
}

/// Location of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Picture {
    /// A file of the folder.
    File(PathBuf),
    /// One of the run's images.
    Stored(Place),
    /// The run has it no more.
    Gone,
}

impl From<Place> for Picture {
    fn from(place: Place) -> Self {
        Self::Stored(place)
    }
}

/// Reader of images.
#[derive(Clone, Default)]
pub(super) struct Pictures(Option<Arc<Mutex<Gatherer>>>);

impl Pictures {
    /// Images of a run.
    pub async fn of(dir: &RunDir) -> Result<Self, StoreError> {
        let gatherer = Gatherer::new(dir.store(), &dir.manifests(IMAGES).await?);
        Ok(Self(Some(Arc::new(Mutex::new(gatherer)))))
    }

    /// The file; none where it is gone.
    pub async fn read(&self, picture: &Picture) -> Result<Option<Bytes>, StoreError> {
        match (picture, &self.0) {
            (Picture::File(path), _) => {
                let read = tokio::fs::read(path).await;
                let read = read.map_err(|error| StoreError::corrupt(path.to_string_lossy(), error));
                Ok(Some(read?.into()))
            }
            (Picture::Stored(Place { part, row }), Some(gatherer)) => {
                let found = gatherer.lock().await.gather([(*part, *row)]).await?;
                Ok(found.into_values().next().filter(|bytes| !bytes.is_empty()))
            }
            _ => Ok(None),
        }
    }
}

impl Subject {
    /// Number of items that cannot be judged.
    pub fn left_out(&self) -> usize {
        self.passed_over.iter().map(|(_, count)| count).sum()
    }
}

/// Reads what the command line names.
pub(super) async fn read(options: &JudgeOptions) -> Result<Subject, RunError> {
    let what = Path::new(&options.what);
    let mut subject = if what.join(results::TABLE).is_file() {
        results::read(what)?
    } else if what.is_file() {
        let run = options.run.as_deref();
        let run = run.ok_or_else(|| JudgeError::NoRun(options.what.clone()))?;
        prompts::read(what, &Viewed::open(run).await?).await?
    } else {
        let viewed = Viewed::open(&options.what).await.map_err(|error| match error {
            RunError::NoRun(_) => JudgeError::What(options.what.clone()).into(),
            other => other,
        });
        triplets::read(&viewed?, options.sample).await?
    };
    if subject.items.is_empty() {
        return Err(JudgeError::Nothing(options.what.clone()).into());
    }
    let items = Arc::get_mut(&mut subject.items).expect("the items are not shared yet");
    items.sort_by_key(|item| draw(&item.id));
    Ok(subject)
}

/// The order in which items are judged: by chance, and always the same.
fn draw(id: &str) -> [u8; 32] {
    Sha256::digest(format!("order {id}")).into()
}
