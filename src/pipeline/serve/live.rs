//! Data of the served run: triplets, figures, examples and reviews, read again after each commit.
//!
//! [`super::demand`] decides when to look for new commits. In a folder, the names, sizes and times of the
//! files show whether there is anything new to read.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::{Arc, RwLock};

use serde::Serialize;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::Instant;
use walkdir::WalkDir;

use super::demand::Demand;
use crate::pipeline::status::{STEPS, steps, used};
use crate::pipeline::view::Viewed;
use crate::pipeline::view::catalogue::{Card, Catalogue};
use crate::pipeline::view::rejects::Examples;
use crate::pipeline::view::survey::{self, Survey, Triplets};
use crate::record::{Mark, Reviews};
use crate::store::{Gatherer, ReviewLog, StoreError, read_reviews};
use crate::table::IMAGES;

/// A run that is served.
pub struct Live {
    pub(super) viewed: Viewed,
    pub(super) demand: Demand,
    catalogue: RwLock<Arc<Catalogue>>,
    figures: RwLock<Option<Arc<Figures>>>,
    reviews: RwLock<Reviews>,
    /// Held while reviews are read or written: what is read first must not take the place of what came then.
    log: Mutex<ReviewLog>,
    gatherer: Mutex<Option<Gatherer>>,
    /// Images that are scaled, and tables that are gone through, at the same time.
    pub(super) cpu: Arc<Semaphore>,
}

/// Figures and examples of one moment.
pub(super) struct Figures {
    /// The survey as it is sent.
    pub(super) text: String,
    pub(super) version: String,
    pub(super) examples: Examples,
}

#[derive(Serialize)]
struct Sent<'a> {
    version: &'a str,
    unread: u64,
    survey: &'a Survey,
}

/// Hash of the state that figures are made from; they are read again if it differs.
#[derive(Clone, Debug, PartialEq)]
struct State(u64);

/// State of the run at the last read.
#[derive(Default)]
struct Known {
    state: Option<State>,
    /// Names, sizes and times of all files, where they lie in a folder.
    stamp: Option<u64>,
}

impl Live {
    /// Reads the triplets that there are.
    pub(super) async fn open(viewed: Viewed) -> Result<Self, StoreError> {
        let catalogue = Catalogue::default();
        let catalogue = catalogue.refreshed(&viewed.dir).await?.unwrap_or(catalogue);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            catalogue: RwLock::new(Arc::new(catalogue)),
            figures: RwLock::new(None),
            reviews: RwLock::new(read_reviews(viewed.dir.store()).await?),
            log: Mutex::new(ReviewLog::new(viewed.dir.store())),
            gatherer: Mutex::new(None),
            cpu: Arc::new(Semaphore::new(cores)),
            demand: Demand::new(),
            viewed,
        })
    }

    /// Reads new commits while requests arrive, for as long as the future is polled.
    pub(super) async fn follow(self: Arc<Self>) {
        let mut known = Known::default();
        loop {
            let begun = Instant::now();
            if let Err(error) = self.look(&mut known).await {
                // A table may be removed under way, for --redo.
                tracing::warn!(%error, "the run could not be read; trying again");
            }
            self.demand.looked(begun).await;
        }
    }

    /// Reads again if the run has changed. A change during the read has another stamp at the next one.
    async fn look(&self, known: &mut Known) -> Result<(), StoreError> {
        let stamp = match self.viewed.dir.store().folder() {
            Some(folder) => {
                let folder = folder.to_owned();
                tokio::task::spawn_blocking(move || stamp(&folder)).await.ok()
            }
            None => None,
        };
        if stamp.is_some() && stamp == known.stamp {
            return Ok(());
        }
        self.refresh(&mut known.state).await?;
        known.stamp = stamp;
        Ok(())
    }

    async fn refresh(&self, known: &mut Option<State>) -> Result<(), StoreError> {
        let now = self.state().await?;
        let is_known = known.as_ref() == Some(&now);
        // In an object store each look has its price.
        if !is_known || self.viewed.dir.store().folder().is_some() {
            let _log = self.log.lock().await;
            let reviews = read_reviews(self.viewed.dir.store()).await?;
            *self.reviews.write().expect("no holder panics") = reviews;
        }
        if is_known {
            return Ok(());
        }
        if let Some(fresh) = self.catalogue().refreshed(&self.viewed.dir).await? {
            *self.catalogue.write().expect("no holder panics") = Arc::new(fresh);
            *self.gatherer.lock().await = None;
        }
        let (mut triplets, catalogue) = (Triplets::default(), self.catalogue());
        catalogue.cards().for_each(|card| triplets.add(card));
        let (mut survey, examples) = survey::read(&self.viewed, triplets).await?;
        if catalogue.unread > 0 {
            survey.notes.push(format!(
                "Figures of triplets are of those that are held in memory, {} are not.",
                catalogue.unread
            ));
        }
        let version = format!("{:016x}", now.0);
        let sent = Sent { version: &version, unread: catalogue.unread, survey: &survey };
        let text = serde_json::to_string(&sent).expect("a survey is plain data");
        let figures = Figures { text, version, examples };
        *self.figures.write().expect("no holder panics") = Some(Arc::new(figures));
        *known = Some(now);
        Ok(())
    }

    /// A hash of what was committed.
    async fn state(&self) -> Result<State, StoreError> {
        let dir = &self.viewed.dir;
        let mut state = DefaultHasher::new();
        for step in steps(dir, &self.viewed.config).await? {
            (&step.name, step.input, step.output, step.pending, &step.note).hash(&mut state);
        }
        for table in STEPS.iter().map(|step| step.table) {
            for part in dir.manifests(table).await? {
                part.files.values().for_each(|file| file.path.hash(&mut state));
            }
        }
        for (step, took) in used(dir).await? {
            (step, took.calls).hash(&mut state);
        }
        Ok(State(state.finish()))
    }

    pub(super) fn catalogue(&self) -> Arc<Catalogue> {
        Arc::clone(&self.catalogue.read().expect("no holder panics"))
    }

    pub(super) fn figures(&self) -> Option<Arc<Figures>> {
        self.figures.read().expect("no holder panics").clone()
    }

    /// Reads what is said of triplets.
    pub(super) fn with_reviews<T>(&self, read: impl FnOnce(&Reviews) -> T) -> T {
        read(&self.reviews.read().expect("no holder panics"))
    }

    /// Keeps what a reviewer says.
    pub(super) async fn mark(
        &self,
        triplet_id: &str,
        mark: Option<Mark>,
        reviewer: Option<String>,
    ) -> Result<(), StoreError> {
        let log = self.log.lock().await;
        let review = log.add(triplet_id, mark, reviewer).await?;
        self.reviews.write().expect("no holder panics").add(review);
        Ok(())
    }

    /// The bytes of one image of a triplet.
    pub(super) async fn image(&self, card: &Card, is_query: bool) -> Result<Vec<u8>, StoreError> {
        let place = if is_query { card.query.place } else { card.target.place };
        let mut gatherer = self.gatherer.lock().await;
        let gatherer = match &mut *gatherer {
            Some(gatherer) => gatherer,
            none => {
                let images = self.viewed.dir.manifests(IMAGES).await?;
                none.insert(Gatherer::new(self.viewed.dir.store(), &images))
            }
        };
        let found = gatherer.gather([(place.part, place.row)]).await?;
        Ok(found.into_values().next().unwrap_or_default().to_vec())
    }
}

/// A hash of names, sizes and times of all files below a folder: of each whatever is put, removed, put
/// over another or appended to.
fn stamp(folder: &Path) -> u64 {
    let mut stamp = DefaultHasher::new();
    for entry in WalkDir::new(folder).sort_by_file_name().into_iter().flatten() {
        entry.path().hash(&mut stamp);
        let about = entry.metadata().ok();
        about.map(|about| (about.len(), about.modified().ok())).hash(&mut stamp);
    }
    stamp.finish()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::stamp;

    #[test]
    fn whatever_becomes_of_a_file_is_another_stamp() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("pages/wip")).unwrap();
        let mut stamps = vec![stamp(folder.path())];
        let mut then = |change: &dyn Fn()| {
            change();
            stamps.push(stamp(folder.path()));
        };
        then(&|| fs::write(at("pages/part-00000.json"), "{}").unwrap());
        then(&|| fs::write(at("pages/wip/segment"), "1").unwrap());
        then(&|| {
            let mut file = fs::OpenOptions::new().append(true).open(at("pages/wip/segment"));
            file.as_mut().unwrap().write_all(b"2").unwrap();
        });
        then(&|| fs::rename(at("pages/wip/segment"), at("pages/part-00001.json")).unwrap());
        then(&|| fs::remove_file(at("pages/part-00000.json")).unwrap());
        let unequal: std::collections::BTreeSet<u64> = stamps.iter().copied().collect();
        assert_eq!(unequal.len(), stamps.len());
        assert_eq!(stamp(folder.path()), *stamps.last().unwrap(), "nothing has changed");
    }
}
