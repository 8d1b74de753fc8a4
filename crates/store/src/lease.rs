//! Leases: the locks of a run directory in an object store, which has no file locks.
//!
//! `leases/whole.json` or `leases/slice-1-of-4.json` is put if absent and written again every few
//! seconds for as long as its owner lives. A lease that has not changed for longer, by the clock of the
//! process that watches it, is taken over. A lease only prevents that hosts and models are asked twice; the
//! commit protocol is correct without it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use magiclens_core::Slice;
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::lock::LockAttempt;
use super::part::nonce;
use super::{Lock, ObjectTag, Store, StoreError};

/// Interval at which an owner renews its lease.
const BEAT: Duration = Duration::from_secs(5);

/// A lease that has not changed for this long has expired.
const EXPIRES: Duration = Duration::from_secs(25);

/// Most that one interval between two reads counts: the watching process may be starved of CPU as well.
const LONGEST_LOOK: Duration = BEAT;

const FOLDER: &str = "leases";

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Content {
    owner: String,
    beat: u64,
}

fn path_of(slice: Slice) -> String {
    let Slice { index, of } = slice;
    match slice.is_whole() {
        true => format!("{FOLDER}/whole.json"),
        false => format!("{FOLDER}/slice-{index}-of-{of}.json"),
    }
}

/// Held until released, or for [`EXPIRES`] after its process has ended.
#[derive(Debug)]
pub struct Lease {
    store: Store,
    path: String,
    beating: JoinHandle<()>,
    // The scratch folder, which is this machine's alone.
    _lock: Lock,
}

impl Lease {
    /// Gives the lease back.
    pub async fn release(mut self) -> Result<(), StoreError> {
        self.beating.abort();
        let _ = (&mut self.beating).await;
        self.store.delete(&self.path).await
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.beating.abort();
    }
}

/// Watches leases, its own or that of others: whether one is alive is seen only over time.
#[derive(Debug)]
pub struct Watch {
    store: Store,
    seen: HashMap<String, Seen>,
}

/// A lease as it was last seen.
#[derive(Debug)]
struct Seen {
    tag: ObjectTag,
    looked: Instant,
    /// Time for which the lease has not changed.
    unchanged: Duration,
}

impl Watch {
    /// Creates a watch that has read no lease yet.
    pub fn new(store: &Store) -> Self {
        Self { store: store.clone(), seen: HashMap::new() }
    }

    /// Returns true if a lease has changed lately, or was not watched for long enough to have expired.
    async fn is_alive(&mut self, path: &str) -> Result<bool, StoreError> {
        let Some((_, tag)) = self.store.read_tagged(path).await? else {
            self.seen.remove(path);
            return Ok(false);
        };
        let now = Instant::now();
        let anew = |tag| Seen { tag, looked: now, unchanged: Duration::ZERO };
        let seen = self.seen.entry(path.to_owned()).or_insert_with(|| anew(tag.clone()));
        if seen.tag != tag {
            *seen = anew(tag);
        }
        seen.unchanged += (now - seen.looked).min(LONGEST_LOOK);
        seen.looked = now;
        Ok(seen.unchanged < EXPIRES)
    }

    /// Returns true if a process works on a slice, as far as is known.
    pub async fn is_at_work(&mut self, slice: Slice) -> Result<bool, StoreError> {
        self.is_alive(&path_of(slice)).await
    }

    /// Tries to take the lease of a slice. The lease of the whole run is taken only if no slice has one.
    pub async fn attempt(&mut self, slice: Slice) -> Result<Attempt, StoreError> {
        let lock = match Lock::file(&self.store.scratch().join(".lock"), false) {
            Ok(LockAttempt::Held(lock)) => lock,
            Ok(LockAttempt::Busy(owner)) => return Ok(Attempt::Busy(owner)),
            Err(error) => return Err(StoreError::corrupt("scratch folder", error)),
        };
        let path = path_of(slice);
        let content = Content { owner: nonce(), beat: 0 };
        let Some(tag) = self.put(&path, &content).await? else {
            return Ok(Attempt::Busy(path));
        };
        let lease = self.hold(path, content, tag, lock);
        // Each puts its own first and then looks for the other's, so that one of them sees it.
        let rivals = match slice.is_whole() {
            true => self.slices().await?,
            false => vec![path_of(Slice::WHOLE)],
        };
        for rival in rivals {
            if self.is_alive(&rival).await? {
                lease.release().await?;
                return Ok(Attempt::Busy(rival));
            }
            self.store.delete(&rival).await?;
        }
        Ok(Attempt::Held(Box::new(lease)))
    }

    async fn slices(&self) -> Result<Vec<String>, StoreError> {
        let names = self.store.names(FOLDER).await?.into_iter();
        Ok(names
            .filter(|name| name.starts_with("slice-"))
            .map(|n| format!("{FOLDER}/{n}"))
            .collect())
    }

    /// Writes a lease if no other exists, if the old one has expired, or if its owner ran on this machine and
    /// has ended.
    async fn put(
        &mut self,
        path: &str,
        content: &Content,
    ) -> Result<Option<ObjectTag>, StoreError> {
        let bytes = serde_json::to_vec(content).expect("a lease is plain data");
        if !self.store.create(path, bytes.clone()).await? {
            let Some((text, tag)) = self.store.read_tagged(path).await? else { return Ok(None) };
            let owner = serde_json::from_slice::<Content>(&text).map(|lease| lease.owner).ok();
            // The lock of the scratch folder is held, so the process that wrote this note has ended.
            let is_own = owner.is_some() && std::fs::read_to_string(self.note()).ok() == owner;
            if !is_own && self.is_alive(path).await? {
                return Ok(None);
            }
            if self.store.update(path, bytes, &tag).await?.is_none() {
                return Ok(None);
            }
        }
        let noted = std::fs::write(self.note(), &content.owner);
        noted.map_err(|error| StoreError::corrupt("scratch folder", error))?;
        let ours = self.store.read_tagged(path).await?;
        Ok(ours.map(|(_, tag)| tag))
    }

    fn note(&self) -> PathBuf {
        self.store.scratch().join("lease-owner")
    }

    fn hold(&self, path: String, mut content: Content, mut tag: ObjectTag, lock: Lock) -> Lease {
        let (store, at) = (self.store.clone(), path.clone());
        let beating = tokio::spawn(async move {
            loop {
                tokio::time::sleep(BEAT).await;
                content.beat += 1;
                let bytes = serde_json::to_vec(&content).expect("a lease is plain data");
                match store.update(&at, bytes, &tag).await {
                    Ok(Some(now)) => tag = now,
                    Ok(None) => {
                        tracing::warn!(lease = at, "another process has taken over");
                        return;
                    }
                    Err(error) => tracing::warn!(%error, "the lease is not renewed"),
                }
            }
        });
        Lease { store: self.store.clone(), path, beating, _lock: lock }
    }
}

/// Outcome of an attempt to take a lease.
#[derive(Debug)]
pub enum Attempt {
    /// The lease was taken.
    Held(Box<Lease>),
    /// Another process holds the lease, or one that excludes it.
    Busy(String),
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::memory::InMemory;

    use super::*;

    /// Two machines that share an object store.
    fn machines() -> (tempfile::TempDir, [Watch; 2]) {
        let folder = tempfile::tempdir().unwrap();
        let objects = Arc::new(InMemory::new());
        let machine = |name: &str| {
            let scratch = folder.path().join(name);
            std::fs::create_dir(&scratch).unwrap();
            Watch::new(&Store::within(objects.clone(), &scratch))
        };
        let machines = [machine("a"), machine("b")];
        (folder, machines)
    }

    async fn held(watch: &mut Watch, slice: Slice) -> Option<Box<Lease>> {
        match watch.attempt(slice).await.unwrap() {
            Attempt::Held(lease) => Some(lease),
            Attempt::Busy(_) => None,
        }
    }

    /// Returns the lease and the time until a machine obtained it.
    async fn taken_over(watch: &mut Watch, slice: Slice) -> (Duration, Box<Lease>) {
        let begun = Instant::now();
        loop {
            if let Some(lease) = held(watch, slice).await {
                return (begun.elapsed(), lease);
            }
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
    }

    const SLICE: Slice = Slice { index: 1, of: 4 };

    #[tokio::test(start_paused = true)]
    async fn a_lease_is_its_owners_for_as_long_as_it_beats() {
        let (_folder, [mut here, mut there]) = machines();
        let lease = held(&mut here, SLICE).await.unwrap();
        for _ in 0..300 {
            assert!(held(&mut there, SLICE).await.is_none());
            assert!(there.is_at_work(SLICE).await.unwrap());
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
        lease.release().await.unwrap();
        assert!(!there.is_at_work(SLICE).await.unwrap());
        assert!(held(&mut there, SLICE).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_beats_no_more_is_taken_over_by_another_machine() {
        let (_folder, [mut here, mut there]) = machines();
        drop(held(&mut here, SLICE).await.unwrap());
        let (waited, lease) = taken_over(&mut there, SLICE).await;
        assert!((EXPIRES..EXPIRES + BEAT).contains(&waited), "{waited:?}");
        // A machine takes over its own abandoned lease without a wait.
        drop(lease);
        assert!(held(&mut there, SLICE).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_machine_that_stood_still_takes_nothing_over_before_its_owner_could_beat() {
        let (_folder, [mut here, mut there]) = machines();
        let lease = held(&mut here, SLICE).await.unwrap();
        assert!(there.is_at_work(SLICE).await.unwrap());
        // Both of them: the next look comes before the next beat.
        lease.beating.abort();
        tokio::time::advance(10 * EXPIRES).await;
        assert!(there.is_at_work(SLICE).await.unwrap());
        assert!(held(&mut there, SLICE).await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_was_frozen_for_too_long_does_not_take_its_lease_back() {
        let (_folder, [mut here, mut there]) = machines();
        let frozen = held(&mut here, SLICE).await.unwrap();
        // What its next beat would write over.
        let (path, content) = (path_of(SLICE), Content { owner: "frozen".into(), beat: 7 });
        let (_, tag) = here.store.read_tagged(&path).await.unwrap().unwrap();
        frozen.beating.abort();
        let (_, lease) = taken_over(&mut there, SLICE).await;
        let Ok(LockAttempt::Held(lock)) = Lock::file(&here.store.scratch().join("other"), false)
        else {
            panic!("a file of its own is locked")
        };
        let again = here.hold(path.clone(), content, tag, lock);
        tokio::time::sleep(BEAT * 3).await;
        assert!(again.beating.is_finished(), "it goes on as if nothing had been");
        assert!(held(&mut here, SLICE).await.is_none());
        let (text, _) = there.store.read_tagged(&path).await.unwrap().unwrap();
        assert_ne!(serde_json::from_slice::<Content>(&text).unwrap().owner, "frozen");
        lease.release().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn all_of_a_run_waits_for_the_last_slice() {
        let (_folder, [mut here, mut there]) = machines();
        let lease = held(&mut here, SLICE).await.unwrap();
        assert!(held(&mut there, Slice::WHOLE).await.is_none());
        drop(lease);
        taken_over(&mut there, Slice::WHOLE).await;
        assert!(held(&mut here, SLICE).await.is_none());
    }
}
