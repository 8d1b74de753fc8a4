//! One process at a time on a run directory, or on a slice of it.
//!
//! The commit protocol keeps two processes from harming the tables; the lock keeps them from asking
//! every host twice. On local disk the operating system drops it with the process, however that ends;
//! in an object store a [`lease`](super::lease) takes its place.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use magiclens_core::Slice;

use super::lease::{Attempt, Lease, Watch};
use super::{Store, StoreError};

/// Held until dropped, or [released](Lock::release).
#[derive(Debug)]
pub struct Lock {
    _files: Vec<File>,
    lease: Option<Box<Lease>>,
}

/// Outcome of an attempt to take the lock.
#[derive(Debug)]
pub enum LockAttempt {
    /// The lock was taken.
    Held(Lock),
    /// Another process has it: its id or lease, as far as known.
    Busy(String),
}

/// Asks for locks, and whether others hold theirs.
#[derive(Debug)]
pub struct Locks {
    store: Store,
    watch: Watch,
}

impl Locks {
    /// The locks of a run directory.
    pub fn of(store: &Store) -> Self {
        Self { store: store.clone(), watch: Watch::new(store) }
    }

    /// Tries to take the lock of a slice, or of all. Slices exclude all of it, and not each other.
    pub async fn attempt(&mut self, slice: Slice) -> Result<LockAttempt, StoreError> {
        let Some(folder) = self.store.folder() else {
            let scratch = self.store.scratch();
            std::fs::create_dir_all(scratch)
                .map_err(|error| StoreError::corrupt(scratch.display().to_string(), error))?;
            return Ok(match self.watch.attempt(slice).await? {
                Attempt::Held(lease) => {
                    LockAttempt::Held(Lock { _files: Vec::new(), lease: Some(lease) })
                }
                Attempt::Busy(owner) => LockAttempt::Busy(owner),
            });
        };
        let attempt = Lock::of_folder(folder, slice);
        attempt.map_err(|error| StoreError::corrupt(".lock", error))
    }

    /// Returns true if a process works on a slice now, as far as is known.
    pub async fn is_at_work(&mut self, slice: Slice) -> Result<bool, StoreError> {
        let Some(folder) = self.store.folder() else { return self.watch.is_at_work(slice).await };
        let path = folder.join(name_of(slice));
        let attempt = if path.exists() { Lock::file(&path, false) } else { return Ok(false) };
        let attempt = attempt.map_err(|error| StoreError::corrupt(".lock", error))?;
        Ok(matches!(attempt, LockAttempt::Busy(_)))
    }
}

fn name_of(slice: Slice) -> String {
    match slice.is_whole() {
        true => ".lock".into(),
        false => format!(".lock-{}-of-{}", slice.index, slice.of),
    }
}

impl Lock {
    /// Gives it back; what is dropped without is taken over by others only after a while, where it is a
    /// lease.
    pub async fn release(self) -> Result<(), StoreError> {
        match self.lease {
            Some(lease) => lease.release().await,
            None => Ok(()),
        }
    }

    /// Tries to take the lock of a local folder.
    pub fn attempt(folder: &Path) -> std::io::Result<LockAttempt> {
        Self::of_folder(folder, Slice::WHOLE)
    }

    fn of_folder(folder: &Path, slice: Slice) -> std::io::Result<LockAttempt> {
        let all = Self::file(&folder.join(".lock"), !slice.is_whole())?;
        let mut lock = match all {
            LockAttempt::Held(lock) if !slice.is_whole() => lock,
            attempt => return Ok(attempt),
        };
        Ok(match Self::file(&folder.join(name_of(slice)), false)? {
            LockAttempt::Held(own) => {
                lock._files.extend(own._files);
                LockAttempt::Held(lock)
            }
            busy => busy,
        })
    }

    /// Tries to lock a file, alone or with others that share it. Where the file system knows no locks the
    /// commit protocol alone has to do, and the attempt counts as held.
    pub(super) fn file(path: &Path, shared: bool) -> std::io::Result<LockAttempt> {
        let mut file =
            File::options().create(true).truncate(false).read(true).write(true).open(path)?;
        let tried = if shared { file.try_lock_shared() } else { file.try_lock() };
        match tried {
            Ok(()) => {
                if !shared {
                    file.set_len(0)?;
                    file.rewind()?;
                    write!(file, "{}", std::process::id())?;
                }
                Ok(LockAttempt::Held(Self { _files: vec![file], lease: None }))
            }
            Err(TryLockError::WouldBlock) => {
                let mut owner = String::new();
                file.read_to_string(&mut owner)?;
                Ok(LockAttempt::Busy(owner))
            }
            Err(TryLockError::Error(error)) if error.kind() == std::io::ErrorKind::Unsupported => {
                Ok(LockAttempt::Held(Self { _files: Vec::new(), lease: None }))
            }
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(attempt: std::io::Result<LockAttempt>) -> Option<Lock> {
        match attempt.unwrap() {
            LockAttempt::Held(lock) => Some(lock),
            LockAttempt::Busy(_) => None,
        }
    }

    #[test]
    fn a_second_attempt_learns_who_holds_it() {
        let folder = tempfile::tempdir().unwrap();
        let first = Lock::of_folder(folder.path(), Slice::WHOLE).unwrap();
        let LockAttempt::Busy(owner) = Lock::of_folder(folder.path(), Slice::WHOLE).unwrap() else {
            panic!("the lock was given out twice")
        };
        assert_eq!(owner, std::process::id().to_string());
        drop(first);
        assert!(held(Lock::of_folder(folder.path(), Slice::WHOLE)).is_some());
    }

    #[tokio::test]
    async fn slices_exclude_the_whole_and_each_itself() {
        let folder = tempfile::tempdir().unwrap();
        let attempt = |slice| held(Lock::of_folder(folder.path(), slice));
        let [first, second] = [0, 1].map(|index| Slice { index, of: 2 });
        let (a, b) = (attempt(first).unwrap(), attempt(second).unwrap());
        assert!(attempt(first).is_none() && attempt(Slice::WHOLE).is_none());
        let store = Store::open(folder.path().to_str().unwrap()).unwrap();
        let mut locks = Locks::of(&store);
        assert!(locks.is_at_work(first).await.unwrap());
        drop(a);
        assert!(attempt(Slice::WHOLE).is_none());
        assert!(!locks.is_at_work(first).await.unwrap());
        drop(b);
        let whole = attempt(Slice::WHOLE).unwrap();
        assert!(attempt(first).is_none());
        drop(whole);
        assert!(attempt(first).is_some());
    }
}
