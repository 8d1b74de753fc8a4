//! Reviews of a run's triplets: `reviews.jsonl` in the run directory, which only grows.
//!
//! A review is on the disk before it counts. In an object store, where nothing can be appended to, each
//! process has objects of its own below `reviews/`, rewritten with each review: no two write one.

use chrono::{SecondsFormat, Utc};
use magiclens_core::{Mark, Review, Reviews};
use tokio::sync::Mutex;

use super::part::nonce;
use super::{Journal, Keyed, Store, StoreError};

/// The file on local disk.
const FILE: &str = "reviews.jsonl";
/// The folder in an object store.
const FOLDER: &str = "reviews";
/// Reviews of one object: each is put again with the next.
const OF_OBJECT: usize = 500;

impl Keyed for Review {
    fn key(&self) -> &str {
        &self.triplet_id
    }
}

/// Reads the reviews of all reviewers.
pub async fn read_reviews(store: &Store) -> Result<Reviews, StoreError> {
    let mut paths = vec![FILE.to_owned()];
    if store.folder().is_none() {
        paths.extend(store.list(FOLDER).await?.into_iter().map(|(path, _)| path));
    }
    let mut all = Vec::new();
    for path in paths {
        let text = store.read(&path).await?.unwrap_or_default();
        for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match serde_json::from_slice::<Review>(line) {
                Ok(review) => all.push(review),
                // What a kill left of a line was never told to anybody as kept.
                Err(error) => tracing::debug!(path, %error, "a line of reviews is passed over"),
            }
        }
    }
    Ok(Reviews::of(all))
}

/// Log that this process writes reviews to.
pub struct ReviewLog {
    store: Store,
    place: Mutex<Place>,
}

enum Place {
    File(Option<Journal<Review>>),
    Object { path: String, lines: Vec<u8>, reviews: usize },
}

impl ReviewLog {
    /// Makes nothing before the first review.
    pub fn new(store: &Store) -> Self {
        let place = match store.folder() {
            Some(_) => Place::File(None),
            None => new_object(),
        };
        Self { store: store.clone(), place: Mutex::new(place) }
    }

    /// Keeps a review: when this returns, neither a kill nor a power cut loses it.
    pub async fn add(
        &self,
        triplet_id: &str,
        mark: Option<Mark>,
        reviewer: Option<String>,
    ) -> Result<Review, StoreError> {
        // The time is taken in the order of writing.
        let mut place = self.place.lock().await;
        let time = Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true);
        let review = Review { triplet_id: triplet_id.into(), mark, time, reviewer };
        match &mut *place {
            Place::File(open) => {
                let folder = self.store.folder().expect("the store of a file is a folder");
                let journal = match open {
                    Some(journal) => journal,
                    none => none.insert(Journal::open(&folder.join(FILE))?),
                };
                journal.append(&review)?;
                self.store.sync(FILE).await?;
            }
            Place::Object { path, lines, reviews } => {
                let mut text = lines.clone();
                serde_json::to_writer(&mut text, &review).expect("a review is plain data");
                text.push(b'\n');
                self.store.replace(path, text.clone()).await?;
                (*lines, *reviews) = (text, *reviews + 1);
                if *reviews == OF_OBJECT {
                    *place = new_object();
                }
            }
        }
        Ok(review)
    }
}

fn new_object() -> Place {
    let name = format!("{}-{}", Utc::now().timestamp_micros(), nonce());
    Place::Object { path: format!("{FOLDER}/{name}.jsonl"), lines: Vec::new(), reviews: 0 }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::memory::InMemory;

    use super::*;

    async fn say(store: &Store, said: &[(&str, Option<Mark>)]) {
        let log = ReviewLog::new(store);
        for (id, mark) in said {
            log.add(id, *mark, Some("R. \"x\"\n".into())).await.unwrap();
        }
    }

    #[tokio::test]
    async fn reviews_outlive_processes_and_a_line_cut_short() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().to_str().unwrap()).unwrap();
        assert_eq!(read_reviews(&store).await.unwrap(), Reviews::default());
        say(&store, &[("a", Some(Mark::Good)), ("b", Some(Mark::Bad))]).await;
        let path = folder.path().join(FILE);
        let mut text = std::fs::read(&path).unwrap();
        text.extend(b"{\"triplet_id\":\"a\",\"mark\":\"uns");
        std::fs::write(&path, text).unwrap();
        say(&store, &[("b", None), ("c", Some(Mark::Unsafe))]).await;
        let reviews = read_reviews(&store).await.unwrap();
        let marks = ["a", "b", "c"].map(|id| reviews.mark(id));
        assert_eq!(marks, [Some(Mark::Good), None, Some(Mark::Unsafe)]);
        let text = std::fs::read_to_string(path).unwrap();
        assert_eq!(text.lines().count(), 5, "four reviews and a torn one: {text}");
    }

    #[tokio::test]
    async fn processes_share_an_object_store_without_writing_over_one_another() {
        let scratch = tempfile::tempdir().unwrap();
        let store = Store::within(Arc::new(InMemory::new()), scratch.path());
        let (one, other) = (ReviewLog::new(&store), ReviewLog::new(&store));
        one.add("a", Some(Mark::Bad), None).await.unwrap();
        other.add("b", Some(Mark::Bad), None).await.unwrap();
        one.add("c", Some(Mark::Good), None).await.unwrap();
        other.add("a", Some(Mark::Good), None).await.unwrap();
        let reviews = read_reviews(&store).await.unwrap();
        let marks = ["a", "b", "c"].map(|id| reviews.mark(id));
        assert_eq!(marks, [Some(Mark::Good), Some(Mark::Bad), Some(Mark::Good)]);
        for n in 0..OF_OBJECT {
            one.add(&n.to_string(), Some(Mark::Good), None).await.unwrap();
        }
        assert_eq!(store.list(FOLDER).await.unwrap().len(), 3);
        assert_eq!(read_reviews(&store).await.unwrap().count(Mark::Good), OF_OBJECT + 2);
    }
}
