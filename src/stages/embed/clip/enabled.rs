//! CLIP's towers over the images and texts of a part: decoded on all cores, computed on the GPU where
//! there is one, a batch at a time.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use rayon::prelude::*;

use super::repeats::Repeats;
use crate::config::Embed;
use crate::model::ClipTowers;
use crate::model::input::ImageInput;
use crate::model::weights::{HubName, identity};
use crate::record::{ImageId, Reason, content_id};
use crate::stages::context::{Context, StageError};
use crate::stages::embed::Outcome;
use crate::stages::embed::occurrences::{Occurrence, Source};
use crate::store::{Gatherer, StoreError};

/// A CLIP checkpoint, found and told by its content; loaded when it is needed.
pub struct Clip {
    weights: PathBuf,
    identity: String,
    // Parts share it, one batch after the other.
    towers: Option<Arc<Mutex<ClipTowers>>>,
}

/// The vectors of one part.
pub struct PartVectors<'a> {
    ctx: &'a Context,
    towers: Arc<Mutex<ClipTowers>>,
    gatherer: Gatherer,
    images: Repeats,
    texts: Repeats,
}

/// New vectors of a batch by key.
type Fresh = HashMap<String, Outcome>;

impl Clip {
    /// Finds the weights; reads nothing.
    pub async fn check(config: &Embed) -> Result<(), StageError> {
        locate(config).await.map(drop)
    }

    /// Finds the weights and tells them by their content.
    pub async fn open(config: &Embed) -> Result<Self, StageError> {
        let weights = locate(config).await?;
        let path = weights.clone();
        let identity =
            blocking(move || identity(&path)).await.map_err(|e| unusable(&weights, e))?;
        Ok(Self { weights, identity, towers: None })
    }

    /// sha256 of the weights' files.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Loads them onto the first GPU, or the CPU.
    pub async fn load(&mut self) -> Result<(), StageError> {
        let path = self.weights.clone();
        let load = move || {
            magiclens_torch::load_cuda().map_err(|error| error.to_string())?;
            let device = magiclens_torch::device().map_err(|error| error.to_string())?;
            tracing::info!(weights = %path.display(), ?device, "loading CLIP");
            ClipTowers::load(&path, device).map_err(|error| error.to_string())
        };
        let towers = blocking(load).await.map_err(|problem| unusable(&self.weights, problem))?;
        self.towers = Some(Arc::new(Mutex::new(towers)));
        Ok(())
    }

    /// The vector of each image, or why there is none.
    pub async fn images(
        &self,
        ctx: &Context,
        images: Vec<(ImageId, Vec<u8>)>,
    ) -> Result<Vec<Outcome>, StageError> {
        let towers = Arc::clone(self.towers.as_ref().expect("weights are loaded before any image"));
        let batch = ctx.config.embed.batch;
        let mut outcomes = Vec::with_capacity(images.len());
        let mut images = images.into_iter().enumerate().peekable();
        while images.peek().is_some() {
            ctx.go_on()?;
            let files: Vec<(String, Bytes)> = images
                .by_ref()
                .take(batch)
                .map(|(nth, (_, bytes))| (nth.to_string(), bytes.into()))
                .collect();
            let keys: Vec<String> = files.iter().map(|(key, _)| key.clone()).collect();
            let towers = Arc::clone(&towers);
            let (mut fresh, _) = ctx.on_cpu(move || compute(&towers, files, BTreeMap::new())).await;
            let outcome = |key: &String| fresh.remove(key).expect("each file has its outcome");
            outcomes.extend(keys.iter().map(outcome));
        }
        Ok(outcomes)
    }

    /// Reads a part once to learn what comes again.
    pub async fn part<'a>(
        &'a self,
        ctx: &'a Context,
        source: &Source,
    ) -> Result<PartVectors<'a>, StageError> {
        let towers = self.towers.as_ref().expect("weights are loaded before any part");
        let (mut images, mut texts) = (Repeats::default(), Repeats::default());
        let mut rows = source.occurrences(ctx.run.store()).await?;
        while let Some(batch) = rows.next(512).await? {
            for occurrence in batch {
                images.announce(image_key(&occurrence));
                texts.announce(text_key(&occurrence));
            }
        }
        images.close();
        texts.close();
        let gatherer = Gatherer::new(ctx.run.store(), &source.images);
        Ok(PartVectors { ctx, towers: Arc::clone(towers), gatherer, images, texts })
    }
}

impl PartVectors<'_> {
    /// The vectors of a batch, each image and text computed once in the part.
    pub async fn of(
        &mut self,
        batch: &[Occurrence],
    ) -> Result<Vec<(Outcome, Outcome)>, StageError> {
        let images = self.new_images(batch).await?;
        let texts: BTreeMap<String, String> = batch
            .iter()
            .map(|occurrence| (text_key(occurrence), occurrence.text.clone()))
            .filter(|(key, _)| self.texts.get(key).is_none())
            .collect();
        let towers = Arc::clone(&self.towers);
        let (images, texts) = self.ctx.on_cpu(move || compute(&towers, images, texts)).await;
        self.ctx.progress.add_done(batch.len() as u64);
        let both = batch.iter().map(|occurrence| {
            (
                take(&mut self.images, &images, &image_key(occurrence)),
                take(&mut self.texts, &texts, &text_key(occurrence)),
            )
        });
        Ok(both.collect())
    }

    /// The files of images that no batch before had.
    async fn new_images(
        &mut self,
        batch: &[Occurrence],
    ) -> Result<Vec<(String, Bytes)>, StageError> {
        let mut seen = BTreeSet::new();
        let new: Vec<(String, (u32, u32))> = batch
            .iter()
            .map(|occurrence| (image_key(occurrence), occurrence.place))
            .filter(|(key, _)| self.images.get(key).is_none() && seen.insert(key.clone()))
            .collect();
        let mut files = self.gatherer.gather(new.iter().map(|(_, place)| *place)).await?;
        let file = |(key, place)| match files.remove(&place) {
            Some(bytes) => Ok((key, bytes)),
            None => Err(StoreError::corrupt("images", format!("no image at {place:?}")).into()),
        };
        new.into_iter().map(file).collect()
    }
}

fn image_key(occurrence: &Occurrence) -> String {
    occurrence.image_id.as_str().to_owned()
}

fn text_key(occurrence: &Occurrence) -> String {
    content_id(&[&occurrence.text])
}

/// The vector of a key, fresh or kept.
fn take(repeats: &mut Repeats, fresh: &Fresh, key: &str) -> Outcome {
    let kept = || repeats.get(key).cloned().map(Ok);
    let vector = fresh.get(key).cloned().or_else(kept).expect("what is not kept is computed")?;
    repeats.used(key, &vector);
    Ok(vector)
}

/// Decodes on all cores, then computes.
fn compute(
    towers: &Mutex<ClipTowers>,
    images: Vec<(String, Bytes)>,
    texts: BTreeMap<String, String>,
) -> (Fresh, Fresh) {
    let input = towers.lock().expect("no holder panics").input();
    let decoded: Vec<_> =
        images.into_par_iter().map(|(key, bytes)| (key, decode(&input, &bytes))).collect();
    let (mut keys, mut pixels, mut fresh) = (Vec::new(), Vec::new(), Fresh::new());
    for (key, image) in decoded {
        match image {
            Ok(image) => {
                keys.push(key);
                pixels.extend(image);
            }
            Err(problem) => drop(fresh.insert(key, Err((Reason::DecodeError, problem)))),
        }
    }
    let said: Vec<&str> = texts.values().map(String::as_str).collect();
    let (width, rows, text_rows) = {
        let towers = towers.lock().expect("no holder panics");
        (towers.width(), towers.embed_images(&pixels), towers.embed_texts(&said))
    };
    let vectors = |rows: &[f32]| rows.chunks(width).map(|row| Ok(row.to_vec())).collect::<Vec<_>>();
    fresh.extend(keys.into_iter().zip(vectors(&rows)));
    (fresh, texts.into_keys().zip(vectors(&text_rows)).collect())
}

fn decode(input: &ImageInput, bytes: &[u8]) -> Result<Vec<f32>, String> {
    let mut pixels = vec![0.0; 3 * input.spec.size * input.spec.size];
    input.read(bytes, 0, &mut pixels)?;
    Ok(pixels)
}

/// The local path of the weights; those of the hub are fetched.
async fn locate(config: &Embed) -> Result<PathBuf, StageError> {
    let named = PathBuf::from(&config.weights);
    let refuse = |problem: &str| Err(unusable(&named, problem));
    if config.weights.is_empty() {
        return refuse("pair.similarity = \"clip\" needs weights of CLIP");
    }
    match HubName::parse(&config.weights) {
        Some(name) => blocking(move || name.fetch()).await.map_err(|error| unusable(&named, error)),
        None if !named.exists() => refuse("no such file or folder"),
        None => Ok(named),
    }
}

fn unusable(path: &std::path::Path, problem: impl ToString) -> StageError {
    let (key, path) = ("embed.weights", path.to_owned());
    StageError::ConfigFile { key, path, problem: problem.to_string() }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}
