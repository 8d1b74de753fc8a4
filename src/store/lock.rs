//! One process at a time on a local run directory.
//!
//! The commit protocol keeps two processes from harming the tables; the lock keeps them from asking
//! every host twice. The operating system drops it with the process, however that ends.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

/// Held until dropped.
#[derive(Debug)]
pub struct Lock {
    _file: Option<File>,
}

/// What came of asking for the lock.
#[derive(Debug)]
pub enum LockAttempt {
    /// It is ours.
    Held(Lock),
    /// Another process has it: its id, as far as known.
    Busy(String),
}

impl Lock {
    /// Tries to take the lock of a run directory. Where the file system knows no locks the commit
    /// protocol alone has to do, and the attempt counts as held.
    pub fn attempt(run_dir: &Path) -> std::io::Result<LockAttempt> {
        let path = run_dir.join(".lock");
        let mut file =
            File::options().create(true).truncate(false).read(true).write(true).open(path)?;
        match file.try_lock() {
            Ok(()) => {
                file.set_len(0)?;
                file.rewind()?;
                write!(file, "{}", std::process::id())?;
                Ok(LockAttempt::Held(Self { _file: Some(file) }))
            }
            Err(TryLockError::WouldBlock) => {
                let mut owner = String::new();
                file.read_to_string(&mut owner)?;
                Ok(LockAttempt::Busy(owner))
            }
            Err(TryLockError::Error(error)) if error.kind() == std::io::ErrorKind::Unsupported => {
                Ok(LockAttempt::Held(Self { _file: None }))
            }
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_attempt_learns_who_holds_it() {
        let folder = tempfile::tempdir().unwrap();
        let first = Lock::attempt(folder.path()).unwrap();
        let LockAttempt::Busy(owner) = Lock::attempt(folder.path()).unwrap() else {
            panic!("the lock was given out twice")
        };
        assert_eq!(owner, std::process::id().to_string());
        drop(first);
        assert!(matches!(Lock::attempt(folder.path()).unwrap(), LockAttempt::Held(_)));
    }
}
