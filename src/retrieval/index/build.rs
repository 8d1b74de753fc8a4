//! `search index`: every image of a source through the model, once.
//!
//! Written aside and renamed, so an index is there whole or not at all. Memory is that of some batches.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::TempDir;

use super::error::IndexError;
use super::header::{Header, VECTORS};
use super::items::{self, Item};
use super::matrix;
use super::source::Source;
use crate::model::preprocess::Preprocess;
use crate::retrieval::encoder::Encoder;
use crate::retrieval::pump::{Done, embed_all};

/// Who may look into the folder, less the process's mask: temporary ones are private by default.
const MODE: u32 = 0o755;

/// What came of a source.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Built {
    /// Images in the index.
    pub rows: u64,
    /// Images that could not be read: which, and why.
    pub failed: Vec<(String, String)>,
}

/// Embeds every image of `source` into a new folder `out`. `tell` hears of the images done so far.
pub fn build(
    encoder: &Encoder,
    config: Option<&Path>,
    source: &Source,
    out: &Path,
    batch: usize,
    mut tell: impl FnMut(u64),
) -> Result<Built, IndexError> {
    let aside = Aside::beside(out)?;
    let mut matrix = matrix::Writer::create(&aside.path().join(VECTORS), encoder.width())?;
    let mut items = items::Writer::create(aside.path())?;
    let mut built = Built::default();
    let stopped = std::sync::Mutex::new(None);
    source.read(aside.path(), &stopped, |work| {
        embed_all(encoder, work, batch, |Done { tags, vectors, failed }: Done<Item>| {
            matrix.push(&vectors.rows)?;
            tags.iter().try_for_each(|item| items.push(item))?;
            built.rows += tags.len() as u64;
            built.failed.extend(failed.into_iter().map(|(item, problem)| (item.id, problem)));
            tell(built.rows);
            Ok::<_, IndexError>(())
        })
    })?;
    if let Some(error) = stopped.into_inner().expect("nobody panicked with it") {
        return Err(error);
    }
    if built.rows == 0 {
        return Err(IndexError::Source(source.path().to_owned(), nothing(&built)));
    }
    matrix.finish()?;
    items.finish()?;
    let header = header(encoder, config, source, &built)?;
    header.write(aside.path())?;
    aside.keep(out)?;
    Ok(built)
}

fn nothing(built: &Built) -> String {
    match built.failed.first() {
        Some((id, problem)) => format!("has no image that can be read; {id}: {problem}"),
        None => "has no images".into(),
    }
}

fn header(
    encoder: &Encoder,
    config: Option<&Path>,
    source: &Source,
    built: &Built,
) -> Result<Header, IndexError> {
    let absolute = |path: &Path| path.canonicalize().map_err(IndexError::file(path));
    let preprocess: Preprocess = encoder.input().how;
    Ok(Header {
        format: Header::format(),
        rows: built.rows,
        width: encoder.width(),
        model: absolute(encoder.weights())?,
        config: config.map(absolute).transpose()?,
        fingerprint: encoder.fingerprint(),
        preprocess,
        root: source.root().to_owned(),
        failed: built.failed.len() as u64,
        software: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

/// A folder beside the one it will be, which goes away unless it is kept.
struct Aside(TempDir);

impl Aside {
    fn beside(out: &Path) -> Result<Self, IndexError> {
        if out.symlink_metadata().is_ok() {
            return Err(IndexError::Exists(out.to_owned()));
        }
        let parent = parent_of(out);
        std::fs::create_dir_all(parent).map_err(IndexError::file(parent))?;
        let folder = tempfile::Builder::new()
            .prefix(".building-")
            .permissions(Permissions::from_mode(MODE))
            .tempdir_in(parent);
        Ok(Self(folder.map_err(IndexError::file(parent))?))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn keep(self, out: &Path) -> Result<(), IndexError> {
        sync(self.path())?;
        // An empty folder of this name would be replaced; any other is in the way.
        std::fs::rename(self.path(), out).map_err(IndexError::file(out))?;
        sync(parent_of(out))?;
        // Renamed: there is nothing left to remove.
        let _ = self.0.keep();
        Ok(())
    }
}

fn parent_of(path: &Path) -> &Path {
    let parent = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

fn sync(folder: &Path) -> Result<(), IndexError> {
    let synced = std::fs::File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(IndexError::file(folder))
}
