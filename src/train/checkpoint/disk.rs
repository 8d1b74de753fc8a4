//! Files and folders that outlive a power cut: written aside, synced, renamed, and the folder
//! synced.
//!
//! <https://www.usenix.org/conference/osdi14/technical-sessions/presentation/pillai> tells what
//! each file system loses otherwise.

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use sha2::{Digest, Sha256};

/// Bytes that are hashed at once.
const BLOCK: usize = 1 << 20;

/// What new files may be opened by, less the process's mask: temporary ones are private by default,
/// and others could not tell which checkpoint is the best.
const MODE: u32 = 0o666;

/// Begins the names of files that [`replace`] has not put in place yet.
pub(super) const ASIDE: &str = ".aside-";

/// Forces what is in a folder, the names, to disk.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Writes a small file in one step: a reader finds the old one or the new one.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(ASIDE).permissions(Permissions::from_mode(MODE));
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    sync_folder(folder)
}

/// Writes a new file to disk.
pub(super) fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Size in bytes and sha256, hex.
pub(super) fn digest(file: &mut File) -> io::Result<(u64, String)> {
    let (mut hash, mut block, mut size) = (Sha256::new(), vec![0; BLOCK], 0);
    loop {
        match file.read(&mut block)? {
            0 => return Ok((size, hex::encode(hash.finalize()))),
            read => {
                hash.update(&block[..read]);
                size += read as u64;
            }
        }
    }
}

/// Removes a folder; one that is gone already is no error.
pub(super) fn remove_folder(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf abc | sha256sum`, FIPS 180-4's own example.
    #[test]
    fn a_file_is_replaced_and_hashed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("latest.json");
        for bytes in [b"abcdef".as_slice(), b"abc"] {
            replace(&path, bytes).unwrap();
            assert_eq!(fs::read(&path).unwrap(), bytes);
        }
        let (size, hash) = digest(&mut File::open(&path).unwrap()).unwrap();
        assert_eq!(size, 3);
        assert_eq!(hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_gone_need_not_be_removed() {
        let folder = tempfile::tempdir().unwrap();
        remove_folder(&folder.path().join("never")).unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        assert!(remove_folder(&folder.path().join("file")).is_err());
    }
}
