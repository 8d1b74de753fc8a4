//! How a loader is to work: what decides over the order, and what only over speed and memory.

use super::order::{Kind, Position, position};
use super::{DataError, Dataset};

/// Options of a [`Loader`](super::Loader).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadOptions {
    /// Triplets in a batch, all ranks together. Part of the order.
    pub batch: usize,
    /// Seed of the order and of augmentation. Part of the order.
    pub seed: u64,
    /// Rows that are shuffled together, cut to whole batches, at least one. Part of the order.
    /// Shards of `mine` are shuffled already; rows of 64 row groups is plenty.
    pub shuffle_window_rows: usize,
    /// Keeps triplets of one page out of each other's batches where possible, since a page's
    /// images are each other's false negatives. Part of the order.
    pub distinct_pages: bool,
    /// This process among `world`. It gets rows `rank·b..(rank + 1)·b` of every batch, where
    /// `b = batch / world`, and reads only their images.
    pub rank: usize,
    /// Processes that share each batch.
    pub world: usize,
    /// Hard negatives of a row at most, drawn by the seed from the row's own; 0 does not read them.
    pub hard_negatives: usize,
    /// Image files in memory, decoded ones not counted, in MiB: half for the batches in use, half
    /// for those that come next. One batch each is held in any case. With room for two windows
    /// every row group is read once, in one piece.
    pub prefetch_mib: usize,
    /// Row groups that are read at the same time.
    pub reads_at_once: usize,
    /// Threads that decode; 0 is one a core.
    pub threads: usize,
    /// Finished batches that wait for their turn: 2 is double buffering. Memory is
    /// `ready_batches + 2` times the pixels of a batch: one more is in the making, one in use.
    pub ready_batches: usize,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            batch: 2048,
            seed: 0,
            shuffle_window_rows: 32_768,
            distinct_pages: true,
            rank: 0,
            world: 1,
            hard_negatives: 0,
            prefetch_mib: 4096,
            reads_at_once: 16,
            threads: 0,
            ready_batches: 2,
        }
    }
}

impl LoadOptions {
    /// Where a run with these options over `dataset` is before `step`: what its checkpoint keeps.
    pub fn position(&self, dataset: &Dataset, step: u64) -> Position {
        let window = self.window_batches();
        let fingerprint = dataset.fingerprint();
        position(fingerprint, self.seed, self.batch, window, self.distinct_pages, step)
    }

    /// Batches in a window.
    pub(super) fn window_batches(&self) -> u64 {
        (self.shuffle_window_rows / self.batch.max(1)).max(1) as u64
    }

    /// Rows of each batch that are this rank's.
    pub(super) fn rank_rows(&self) -> usize {
        self.batch / self.world
    }

    /// Batches whose images are read together, so that two such spans stay in `prefetch_mib`.
    pub(super) fn span_batches(&self, dataset: &Dataset) -> usize {
        let row = dataset.image_bytes_a_row(self.hard_negatives > 0).max(1);
        let batch = row * self.rank_rows() as u64;
        let span = (self.prefetch_mib as u64) * (1 << 20) / 2 / batch;
        span.clamp(1, self.window_batches()) as usize
    }

    /// An error where options contradict each other or the data.
    pub(super) fn check(&self, dataset: &Dataset, kind: Kind) -> Result<(), DataError> {
        let refuse = |problem: String| Err(DataError::Options(problem));
        if self.batch == 0 || self.reads_at_once == 0 || self.ready_batches == 0 {
            return refuse("batch, reads_at_once and ready_batches must be at least 1".into());
        }
        if self.world == 0 || self.rank >= self.world {
            return refuse(format!("rank {} is not one of {}", self.rank, self.world));
        }
        if !self.batch.is_multiple_of(self.world) {
            let Self { batch, world, .. } = self;
            return refuse(format!("a batch of {batch} cannot be shared by {world} ranks equally"));
        }
        if matches!(kind, Kind::Once(_)) && self.world != 1 {
            return refuse("an ordered reading has one rank: its last batch is short".into());
        }
        if self.hard_negatives > 0 { dataset.require_hard_negatives() } else { Ok(()) }
    }
}
