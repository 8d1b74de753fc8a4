//! A run directory that this process works on: its lock, and what of it lies on this machine.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::RunError;
use crate::config::Config;
use crate::endpoint::Mirror;
use crate::record::Slice;
use crate::store::{Lock, LockAttempt, Locks, RunDir, StoreError};

/// Pause before the next attempt to take a lock.
const AGAIN: Duration = Duration::from_millis(300);

/// The same for a lease in an object store, where asking costs requests.
const LEASE_AGAIN: Duration = Duration::from_secs(2);

/// Held while a process works on a run directory.
pub(super) struct Session {
    /// The directory, with the folder of this machine that grows by appending.
    pub(super) dir: RunDir,
    lock: Lock,
    mirror: Option<Mirrored>,
}

/// Replies that are copied to an object store while they arrive.
struct Mirrored {
    mirror: Arc<Mirror>,
    pushing: JoinHandle<()>,
}

impl Session {
    /// Waits for another process to leave the run directory, or the slice of it; none after Ctrl-C.
    pub(super) async fn open(
        dir: &RunDir,
        config: &Config,
        slice: Slice,
        stop: &CancellationToken,
    ) -> Result<Option<Self>, RunError> {
        let dir = match dir.store().folder() {
            Some(_) => dir.clone(),
            None => dir.clone().with_scratch(&scratch(dir, config, slice)),
        };
        let Some(lock) = lock(&dir, slice, stop).await? else { return Ok(None) };
        if dir.store().folder().is_some() {
            return Ok(Some(Self { dir, lock, mirror: None }));
        }
        let mirror = Arc::new(Mirror::open(dir.store(), dir.store().scratch(), slice).await?);
        let dir = dir.with_scratch(mirror.folder());
        let every = Duration::from_secs(config.store.segment_seconds.max(1));
        let pushing = tokio::spawn(push_every(Arc::clone(&mirror), every));
        Ok(Some(Self { dir, lock, mirror: Some(Mirrored { mirror, pushing }) }))
    }

    /// Puts what is still only on this machine, and gives the lock back.
    pub(super) async fn close(self) -> Result<(), RunError> {
        let mut pushed = Ok(());
        if let Some(Mirrored { mirror, pushing }) = self.mirror {
            pushing.abort();
            let _ = pushing.await;
            pushed = mirror.push().await;
        }
        self.lock.release().await?;
        Ok(pushed?)
    }

    /// Closes the session after success and failure alike, and returns the first error.
    pub(super) async fn end<T>(self, outcome: Result<T, RunError>) -> Result<T, RunError> {
        let closed = self.close().await;
        let value = outcome?;
        closed.map(|()| value)
    }
}

/// Two slices of one run may be worked on on one machine.
fn scratch(dir: &RunDir, config: &Config, slice: Slice) -> PathBuf {
    let of_run = dir.store().scratch();
    let folder = match config.store.scratch.as_os_str().is_empty() {
        true => of_run.to_owned(),
        false => config.store.scratch.join(of_run.file_name().unwrap_or_default()),
    };
    folder.join(format!("slice-{}-of-{}", slice.index, slice.of))
}

async fn push_every(mirror: Arc<Mirror>, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        // The copy is retried later, and a failure at the end is returned to the caller.
        if let Err(error) = mirror.push().await {
            tracing::warn!(%error, "replies are kept on this machine only, so far");
        }
    }
}

async fn lock(
    dir: &RunDir,
    slice: Slice,
    stop: &CancellationToken,
) -> Result<Option<Lock>, StoreError> {
    let mut locks = Locks::of(dir.store());
    let again = if dir.store().folder().is_some() { AGAIN } else { LEASE_AGAIN };
    let mut said = false;
    loop {
        match locks.attempt(slice).await? {
            LockAttempt::Held(lock) => return Ok(Some(lock)),
            LockAttempt::Busy(owner) if !said => {
                tracing::warn!(
                    process = owner,
                    "another process works on this run directory; \
                    waiting for it to end, to take over what it leaves"
                );
                said = true;
            }
            LockAttempt::Busy(_) => {}
        }
        tokio::select! {
            () = tokio::time::sleep(again) => {}
            () = stop.cancelled() => return Ok(None),
        }
    }
}
