//! Benchmarks to keep out of an export: read or hashed, embedded if the run has embeddings, and kept in the
//! run directory, so that a resumed run needs neither the images nor the model that embedded them.

use std::path::Path;
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use super::RunError;
use crate::config::{Fetch, Layers};
use crate::imaging::JPEG_DECODER;
use crate::record::content_id;
use crate::stages::context::{Context, StageError};
use crate::stages::embed::{self, Others};
use crate::stages::export::decontaminate::{
    self as lists, Benchmark, Folder, Hashed, Listed, Vectors, read, write,
};
use crate::stages::vectors;
use crate::telemetry::say;

/// The key that names benchmarks.
const KEY: &str = "decontaminate.benchmarks";
/// Folder of the benchmarks in the run directory.
const KEPT: &str = "benchmarks";
/// Images that are in memory at a time.
const BATCH: usize = 256;
/// Unreadable files that are named on the terminal.
const NAMED: usize = 20;

/// Reasons for missing vectors, as worded in the card: without addresses and local paths.
const UNANSWERED: &str = "the endpoint that made the run's vectors did not answer";
const ABSENT: &str = "the model that made the run's vectors was not available";

/// Source of a kept list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    /// Names, lengths and times of the files, and how they were read.
    files: String,
    /// Files that are no images that can be read.
    undecodable: Vec<String>,
    /// Model that made the vectors, if there are any.
    vectors: Option<String>,
}

/// Refuses what cannot be used, before hours of work that end with it.
pub(super) async fn check(ctx: &Context) -> Result<(), StageError> {
    for path in &ctx.config.decontaminate.benchmarks {
        match path.is_dir() {
            true => drop(Folder::open(KEY, path)?),
            false => drop(read(path).await?),
        }
    }
    Ok(())
}

/// All benchmarks that are configured.
pub(super) async fn benchmarks(ctx: &Context) -> Result<Vec<Benchmark>, StageError> {
    let mut all: Vec<Benchmark> = Vec::new();
    for path in &ctx.config.decontaminate.benchmarks {
        let name = name_of(path);
        if all.iter().any(|other| other.name == name) {
            let problem = format!("another benchmark is called {name} too");
            return Err(StageError::ConfigFile { key: KEY, path: path.clone(), problem });
        }
        let benchmark = match path.is_dir() {
            true => of_folder(ctx, name, path).await?,
            false => of_list(ctx, name, path).await?,
        };
        let (images, unreadable) = (benchmark.images.len(), benchmark.undecodable.len());
        tracing::info!(benchmark = benchmark.name, images, unreadable, "keeping its images out");
        if let Vectors::None(why) = &benchmark.vectors
            && !why.is_empty()
        {
            tracing::warn!(benchmark = benchmark.name, "looked for by hashes only: {why}");
        }
        all.push(benchmark);
    }
    Ok(all)
}

/// Writes the hashes of a folder's images to a file: `mine hash-images`.
pub async fn hash_images(folder: &Path, out: &Path, layers: &Layers) -> Result<(), RunError> {
    let limits = layers.load()?.fetch;
    let folder = Folder::open("hash-images", folder)?;
    let (mut listed, mut undecodable) = (Vec::new(), Vec::new());
    for files in folder.files().chunks(BATCH) {
        sort(hash(&folder, files, &limits).await, &mut undecodable, |hashed| {
            listed.push(hashed.listed);
        });
    }
    let images = listed.len();
    write(out, &listed).await?;
    say(format_args!(
        "{images} images hashed, {} not readable: {}",
        undecodable.len(),
        out.display()
    ));
    say_unreadable(&undecodable);
    Ok(())
}

/// The last part of a path, without what names its format.
fn name_of(path: &Path) -> String {
    let name = if path.is_dir() { path.file_name() } else { path.file_stem() };
    name.map_or_else(|| "benchmark".into(), |name| name.to_string_lossy().into_owned())
}

async fn of_list(ctx: &Context, name: String, path: &Path) -> Result<Benchmark, StageError> {
    let images = read(path).await?;
    let why = if has_vectors(ctx) { "a list of hashes holds no images to embed" } else { "" };
    Ok(Benchmark { name, images, undecodable: Vec::new(), vectors: Vectors::None(why.into()) })
}

/// Returns true if the run's own images have vectors.
fn has_vectors(ctx: &Context) -> bool {
    embed::is_wanted(&ctx.config) && ctx.config.embed.has_images(&ctx.config.pair)
}

async fn of_folder(ctx: &Context, name: String, path: &Path) -> Result<Benchmark, StageError> {
    let folder = Folder::open(KEY, path)?;
    let files = files_of(&folder, &ctx.config.fetch);
    let wanted = match has_vectors(ctx) {
        true => Some(vectors::name_of_run(&ctx.config, ctx.run.store()).await?),
        false => None,
    };
    if let Some(kept) = kept(ctx, &name, &files, &wanted).await? {
        return Ok(kept);
    }
    let (others, why) = match &wanted {
        Some(_) => others(ctx).await?,
        None => (None, String::new()),
    };
    let made = make(ctx, &name, &folder, others.as_ref()).await;
    let (others, why, (images, undecodable)) = match made {
        Err(StageError::Model(error)) => {
            tracing::warn!(benchmark = name, "its images are not embedded: {error}");
            (None, UNANSWERED.into(), make(ctx, &name, &folder, None).await?)
        }
        made => (others, why, made?),
    };
    let vectors = match &others {
        Some(others) => Vectors::By(others.made_by().to_owned()),
        None => Vectors::None(why),
    };
    let note = Note {
        files,
        undecodable: undecodable.clone(),
        vectors: others.map(|others| others.made_by().to_owned()),
    };
    keep(ctx, &name, &images, &note).await?;
    Ok(Benchmark { name, images, undecodable, vectors })
}

/// Opens the model that makes vectors. If it is not available, returns the reason for the card, and only
/// hashes are compared.
async fn others(ctx: &Context) -> Result<(Option<Others>, String), StageError> {
    match Others::open(ctx).await {
        Ok(others) => Ok((others, String::new())),
        Err(error @ (StageError::Interrupted | StageError::Store(_))) => Err(error),
        Err(error) => {
            tracing::warn!("images of benchmarks are not embedded: {error}");
            Ok((None, ABSENT.into()))
        }
    }
}

async fn make(
    ctx: &Context,
    name: &str,
    folder: &Folder,
    others: Option<&Others>,
) -> Result<(Vec<Listed>, Vec<String>), StageError> {
    let (mut images, mut undecodable) = (Vec::new(), Vec::new());
    for files in folder.files().chunks(BATCH) {
        ctx.go_on()?;
        let mut batch = Vec::new();
        sort(hash(folder, files, &ctx.config.fetch).await, &mut undecodable, |hashed| {
            batch.push(hashed);
        });
        if let Some(others) = others {
            let bytes = |hashed: &mut Hashed| std::mem::take(&mut hashed.bytes);
            let files = batch.iter_mut().map(|one| (one.listed.image_id.clone(), bytes(one)));
            let vectors = others.vectors(ctx, files.collect()).await?;
            for (hashed, vector) in batch.iter_mut().zip(vectors) {
                match vector {
                    Ok(vector) => hashed.listed.embedding = vector,
                    Err((reason, detail)) => tracing::warn!(
                        benchmark = name,
                        file = hashed.listed.file,
                        reason = reason.as_str(),
                        "an image without a vector: {detail}"
                    ),
                }
            }
        }
        images.extend(batch.into_iter().map(|hashed| hashed.listed));
    }
    say_unreadable(&undecodable);
    Ok((images, undecodable))
}

async fn hash(folder: &Folder, files: &[String], limits: &Fetch) -> Vec<Result<Hashed, String>> {
    let (folder, files, limits) = (folder.clone(), files.to_vec(), limits.clone());
    let hashing = tokio::task::spawn_blocking(move || folder.hash(&files, &limits));
    hashing.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

/// Hands on what was hashed and collects what was not.
fn sort(
    all: Vec<Result<Hashed, String>>,
    undecodable: &mut Vec<String>,
    mut hashed: impl FnMut(Hashed),
) {
    for one in all {
        match one {
            Ok(one) => hashed(one),
            Err(problem) => undecodable.push(problem),
        }
    }
}

fn say_unreadable(undecodable: &[String]) {
    for problem in undecodable.iter().take(NAMED) {
        tracing::warn!("not readable: {problem}");
    }
    if undecodable.len() > NAMED {
        tracing::warn!("not readable: {} more", undecodable.len() - NAMED);
    }
}

/// Returns a hash of the files' names, lengths and times, and of the limits, without reading the files.
fn files_of(folder: &Folder, limits: &Fetch) -> String {
    let about = |file: &String| {
        let about = std::fs::metadata(folder.path(file)).ok();
        let modified = about.as_ref().and_then(|about| about.modified().ok());
        let modified = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let modified = modified.map_or(0, |time| time.as_nanos());
        format!("{file} {} {modified}", about.map_or(0, |about| about.len()))
    };
    let files: Vec<String> = folder.files().iter().map(about).collect();
    let limits = serde_json::to_string(limits).expect("limits are plain data");
    content_id(&[&files.join("\n"), &limits, JPEG_DECODER, env!("CARGO_PKG_VERSION")])
}

/// Reads the kept list of a benchmark if it was made from these files and has the wanted vectors.
async fn kept(
    ctx: &Context,
    name: &str,
    files: &str,
    wanted: &Option<String>,
) -> Result<Option<Benchmark>, StageError> {
    let note = ctx.run.store().read(&format!("{KEPT}/{name}.json")).await?;
    let note = note.and_then(|text| serde_json::from_slice::<Note>(&text).ok());
    let Some(note) = note.filter(|note| note.files == files && note.vectors == *wanted) else {
        return Ok(None);
    };
    let images = lists::read_kept(ctx.run.store(), &list_path(name)).await?;
    let vectors = match note.vectors {
        Some(made_by) => Vectors::By(made_by),
        None => Vectors::default(),
    };
    let (name, undecodable) = (name.to_owned(), note.undecodable);
    Ok(Some(Benchmark { name, images, undecodable, vectors }))
}

/// The note goes last: a list without one is not used.
async fn keep(ctx: &Context, name: &str, images: &[Listed], note: &Note) -> Result<(), StageError> {
    let note_path = format!("{KEPT}/{name}.json");
    ctx.run.store().delete(&note_path).await?;
    lists::keep(ctx.run.store(), &list_path(name), images).await?;
    let text = serde_json::to_vec_pretty(note).expect("a note is plain data");
    Ok(ctx.run.store().replace(&note_path, text).await?)
}

fn list_path(name: &str) -> String {
    format!("{KEPT}/{name}.parquet")
}
