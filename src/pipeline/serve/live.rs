//! What is answered from: triplets, figures, examples and reviews, read again where something was committed.
//!
//! Reading takes longer the more there is, so it is done seldom enough to take a part of the time only.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::{Mutex, Semaphore};

use crate::pipeline::status::{STEPS, steps, used};
use crate::pipeline::view::Viewed;
use crate::pipeline::view::catalogue::{Card, Catalogue};
use crate::pipeline::view::rejects::Examples;
use crate::pipeline::view::survey::{self, Survey, Triplets};
use crate::record::{Mark, Reviews};
use crate::store::{Gatherer, ReviewLog, StoreError, read_reviews};
use crate::table::IMAGES;

/// Manifests are looked at as often as this…
const OFTEN: Duration = Duration::from_secs(2);
/// …and reading takes this part of the time at most.
const SPARING: u32 = 4;

/// A run that is served.
pub struct Live {
    pub(super) viewed: Viewed,
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

/// The figures are read again where this is another.
#[derive(Clone, Debug, PartialEq)]
struct State(u64);

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
            viewed,
        })
    }

    /// Follows what is committed, for as long as it is polled.
    pub(super) async fn follow(self: Arc<Self>) {
        let mut known = None;
        loop {
            let begun = Instant::now();
            if let Err(error) = self.refresh(&mut known).await {
                // A table may be removed under way, for --redo.
                tracing::warn!(%error, "the run could not be read; trying again");
            }
            tokio::time::sleep(OFTEN.max(begun.elapsed() * SPARING)).await;
        }
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
