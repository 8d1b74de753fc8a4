//! `state.json` and `state.sha256`: what a checkpoint holds, so that damage is found before it
//! trains.
//!
//! sha256 is FIPS 180-4, <https://doi.org/10.6028/NIST.FIPS.180-4>. Files are hashed side by side.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::disk;
use super::state::TrainState;

/// The file that lists the others.
pub(super) const STATE: &str = "state.json";

/// The file that has the hash of [`STATE`].
pub(super) const STATE_HASH: &str = "state.sha256";

/// Version of this form; a later one is refused.
const FORMAT: u32 = 1;

/// `state.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Sealed {
    format: u32,
    pub(super) state: TrainState,
    pub(super) files: BTreeMap<String, FileInfo>,
}

/// A file of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileInfo {
    /// Its size.
    pub bytes: u64,
    /// Its content, hex.
    pub sha256: String,
}

/// A file that is not what was written, and why.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Damage {
    pub(super) file: String,
    pub(super) problem: String,
}

impl Damage {
    fn of(file: &str, problem: impl ToString) -> Self {
        Self { file: file.to_owned(), problem: problem.to_string() }
    }
}

/// Forces the named files to disk and writes down what they are; gives the file that failed.
pub(super) fn seal(
    folder: &Path,
    names: &[&str],
    state: &TrainState,
) -> Result<(), (String, io::Error)> {
    let files = names.par_iter().map(|name| {
        let info = sync_and_hash(&folder.join(name)).map_err(|error| ((*name).to_owned(), error));
        info.map(|info| ((*name).to_owned(), info))
    });
    let files = files.collect::<Result<_, _>>()?;
    let sealed = Sealed { format: FORMAT, state: state.clone(), files };
    write_state(folder, &sealed).map_err(|error| (STATE.to_owned(), error))
}

fn sync_and_hash(path: &Path) -> io::Result<FileInfo> {
    let mut file = File::open(path)?;
    file.sync_all()?;
    let (bytes, sha256) = disk::digest(&mut file)?;
    Ok(FileInfo { bytes, sha256 })
}

fn write_state(folder: &Path, sealed: &Sealed) -> io::Result<()> {
    let mut text = serde_json::to_vec_pretty(sealed).map_err(io::Error::other)?;
    text.push(b'\n');
    disk::write_synced(&folder.join(STATE), &text)?;
    disk::write_synced(&folder.join(STATE_HASH), hash_line(&text).as_bytes())?;
    disk::sync_folder(folder)
}

/// A line as `sha256sum` writes it.
fn hash_line(text: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    format!("{}  {STATE}\n", hex::encode(Sha256::digest(text)))
}

/// Reads what a checkpoint should hold. Its files are not looked at.
pub(super) fn read(folder: &Path) -> Result<Sealed, Damage> {
    let read = |name: &str| fs::read(folder.join(name)).map_err(|error| Damage::of(name, error));
    let text = read(STATE).map_err(unreadable)?;
    if read(STATE_HASH).map_err(unreadable)? != hash_line(&text).as_bytes() {
        return Err(Damage::of(STATE, "is not what was written: its sha256 differs"));
    }
    let sealed: Sealed = serde_json::from_slice(&text)
        .map_err(|error| Damage::of(STATE, format!("is not a state: {error}")))?;
    if sealed.format > FORMAT {
        let problem = format!("has format {}, which is newer than this program", sealed.format);
        return Err(Damage::of(STATE, problem));
    }
    Ok(sealed)
}

fn unreadable(damage: Damage) -> Damage {
    Damage { problem: format!("cannot be read: {}", damage.problem), ..damage }
}

/// Compares every file with what is written down: sizes first, which costs nothing, then content.
pub(super) fn verify(folder: &Path, sealed: &Sealed) -> Result<(), Damage> {
    for (name, info) in &sealed.files {
        let found = fs::metadata(folder.join(name))
            .map_err(|error| unreadable(Damage::of(name, error)))?
            .len();
        if found != info.bytes {
            let problem = format!("has {found} bytes, not {}", info.bytes);
            return Err(Damage::of(name, problem));
        }
    }
    sealed.files.par_iter().try_for_each(|(name, info)| {
        let opened = File::open(folder.join(name));
        let (_, sha256) = opened
            .and_then(|mut file| disk::digest(&mut file))
            .map_err(|error| unreadable(Damage::of(name, error)))?;
        let is_whole = sha256 == info.sha256;
        let problem = "is not what was written: its sha256 differs";
        if is_whole { Ok(()) } else { Err(Damage::of(name, problem)) }
    })
}
