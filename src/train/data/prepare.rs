//! Bytes to pixels and text to tokens, on all cores, into the buffer of the batch.
//!
//! How an image becomes pixels is the caller's: this only sees to it that each has its own place and
//! seed, and that a bad one stays a bad row instead of the end of the run.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::buffer::Buffer;
use rayon::ThreadPool;
use rayon::prelude::*;

use super::batch::{Batch, Failure, Raw, RawRow, Role};
use super::order::{Draw, seed_of};

/// Decodes and preprocesses an image file into `[3, S, S]`, with a seed for augmentation.
pub type PrepareImage = dyn Fn(&[u8], u64, &mut [f32]) -> Result<(), String> + Send + Sync;

/// Makes an instruction into token ids, unpadded, and says whether it was cut.
pub type PrepareText = dyn Fn(&str) -> (Vec<u32>, bool) + Send + Sync;

/// How images and texts become numbers.
#[derive(Clone)]
pub struct Prepare {
    /// S: pixels on each side of a prepared image.
    pub size: usize,
    /// Fills all of the `3·S·S` numbers it is given.
    pub image: Arc<PrepareImage>,
    /// At least one id, also for an empty text.
    pub text: Arc<PrepareText>,
}

impl fmt::Debug for Prepare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepare").field("size", &self.size).finish_non_exhaustive()
    }
}

impl Prepare {
    /// Numbers in an image.
    fn image_len(&self) -> usize {
        3 * self.size * self.size
    }

    fn image(&self, bytes: Option<&[u8]>, seed: u64, pixels: &mut [f32]) -> Result<(), String> {
        let bytes = bytes.ok_or("the shard has no image here")?;
        caught(|| (self.image)(bytes, seed, pixels)).and_then(|result| result)
    }

    fn text(&self, text: &str) -> Result<(Vec<u32>, bool), String> {
        caught(|| (self.text)(text))
    }
}

/// Runs `work`; a panic becomes an error.
fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    // Unwind safe: what `work` may leave half done is a slice that is zeroed after an error.
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let message = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let message = message.or_else(|| panic.downcast_ref::<String>().cloned());
        format!("panicked: {}", message.unwrap_or_else(|| "no message".into()))
    })
}

/// One image to prepare.
struct Job {
    row: usize,
    role: Role,
    seed: u64,
    bytes: Option<Buffer>,
}

/// Prepares batches one by one.
pub struct Preparer {
    pub prepare: Prepare,
    pub pool: ThreadPool,
    pub seed: u64,
    /// Set when nobody waits for the batch any more.
    pub stop: Arc<AtomicBool>,
}

impl Preparer {
    /// Makes a batch, its pixels in `buffer` where they fit; none when told to stop.
    pub fn batch(&self, mut raw: Raw, buffer: Vec<f32>) -> Option<Batch> {
        let jobs = self.jobs(&mut raw);
        let mut pixels = buffer;
        let needed = jobs.len() * self.prepare.image_len();
        if pixels.capacity() < needed {
            // A fresh allocation of zeros costs nothing until it is written.
            pixels = vec![0.0; needed];
        }
        pixels.resize(needed, 0.0);
        let rows = raw.rows.len();
        let labels: Vec<(usize, Role)> = jobs.iter().map(|job| (job.row, job.role)).collect();
        let (images, texts) = self
            .pool
            .install(|| rayon::join(|| self.images(jobs, &mut pixels), || self.texts(&raw.rows)));
        drop(raw.permit);
        let mut batch = Batch { step: raw.step, rows, pixels, ..Batch::default() };
        batch.valid = vec![true; rows];
        batch.shared_pages = raw.shared_pages;
        add_texts(&mut batch, texts);
        self.add_images(&mut batch, &labels, images);
        for row in raw.rows {
            batch.query_cluster.push(row.query_cluster);
            batch.target_cluster.push(row.target_cluster);
            batch.triplet_ids.push(row.triplet_id);
        }
        (!self.stop.load(Ordering::Relaxed)).then_some(batch)
    }

    /// All images in the order of the buffer; takes them out of the rows, so that each is freed as
    /// soon as it is decoded.
    fn jobs(&self, raw: &mut Raw) -> Vec<Job> {
        let (step, mut jobs) = (raw.step, Vec::with_capacity(2 * raw.rows.len()));
        let mut add = |(row, place): (usize, u64), role: Role, bytes| {
            let seed = seed_of(self.seed, Draw::Image, &[step, place, role.number()]);
            jobs.push(Job { row, role, seed, bytes });
        };
        for (row, raw) in raw.rows.iter_mut().enumerate() {
            add((row, raw.place), Role::Query, raw.query.take());
        }
        for (row, raw) in raw.rows.iter_mut().enumerate() {
            add((row, raw.place), Role::Target, raw.target.take());
        }
        for (row, raw) in raw.rows.iter_mut().enumerate() {
            for (number, hard) in std::mem::take(&mut raw.hard).into_iter().enumerate() {
                add((row, raw.place), Role::HardNegative(number), Some(hard));
            }
        }
        jobs
    }

    fn images(&self, jobs: Vec<Job>, pixels: &mut [f32]) -> Vec<Result<(), String>> {
        let places = pixels.par_chunks_mut(self.prepare.image_len().max(1));
        let one = |(job, place): (Job, &mut [f32])| {
            if self.stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            let done = self.prepare.image(job.bytes.as_deref(), job.seed, place);
            if done.is_err() {
                place.fill(0.0);
            }
            done
        };
        // Images differ in size, so each is a task that another thread can take over.
        jobs.into_par_iter().zip(places).with_max_len(1).map(one).collect()
    }

    fn texts(&self, rows: &[RawRow]) -> Vec<Result<(Vec<u32>, bool), String>> {
        let rows = rows.par_iter().with_min_len(16);
        rows.map(|row| self.prepare.text(&row.instruction)).collect()
    }

    /// Notes failures, and closes the gaps of hard negatives that failed or whose row did.
    fn add_images(
        &self,
        batch: &mut Batch,
        labels: &[(usize, Role)],
        images: Vec<Result<(), String>>,
    ) {
        let mut failed = vec![false; images.len()];
        for ((&(row, role), image), failed) in labels.iter().zip(images).zip(&mut failed) {
            if let Err(problem) = image {
                *failed = true;
                batch.valid[row] &= matches!(role, Role::HardNegative(_));
                batch.failures.push(Failure { row, role, problem });
            }
        }
        let length = self.prepare.image_len();
        let mut kept = 2 * batch.rows;
        for (at, &(row, _)) in labels.iter().enumerate().skip(kept) {
            if failed[at] || !batch.valid[row] {
                continue;
            }
            batch.pixels.copy_within(at * length..(at + 1) * length, kept * length);
            batch.hard_row.push(row as i64);
            kept += 1;
        }
        batch.pixels.truncate(kept * length);
    }
}

/// Pads ids to the longest text. A text that failed is one padding token.
fn add_texts(batch: &mut Batch, texts: Vec<Result<(Vec<u32>, bool), String>>) {
    let mut all = Vec::with_capacity(texts.len());
    for (row, text) in texts.into_iter().enumerate() {
        let (ids, is_cut) = text.unwrap_or_else(|problem| {
            batch.valid[row] = false;
            batch.failures.push(Failure { row, role: Role::Instruction, problem });
            (Vec::new(), false)
        });
        batch.cut_texts += usize::from(is_cut);
        all.push(ids);
    }
    batch.length = all.iter().map(Vec::len).max().unwrap_or(0).max(1);
    batch.ids = Vec::with_capacity(all.len() * batch.length);
    for ids in all {
        let padding = batch.length - ids.len();
        batch.ids.extend(ids.into_iter().map(i64::from));
        batch.ids.extend(std::iter::repeat_n(0, padding));
    }
}
