//! Which triplet comes when, as a function of (seed, step).
//!
//! Epoch e puts the row groups of all shards in an order drawn from (seed, e). The epochs, end to
//! end, are one stream of rows without an end. Window k is m batches of the stream; its rows are
//! shuffled by (seed, k) within their epoch and [arranged](arrange) into the m batches. So an epoch
//! takes exactly the places [e·N, (e + 1)·N) of what is delivered: no triplet comes again before all
//! have come, none is dropped where N is no multiple of the batch, and the batch over the end of an
//! epoch has the last rows of one and the first of the next. Finding a step takes one draw of an
//! epoch's order and the narrow columns of one window.

mod arrange;
mod random;

use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::DataError;
pub(super) use arrange::{Arrangement, arrange, in_order};
pub(super) use random::{Random, mix};

/// Version of the rules in this folder. A change of the order they give is a new version.
const VERSION: u32 = 1;

/// What a seed is mixed with, so that no two uses of it draw the same numbers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Draw {
    Epoch = 1,
    Window = 2,
    Image = 3,
    HardNegatives = 4,
}

/// The seed of a draw that is told apart by `parts`.
pub(super) fn seed_of(seed: u64, draw: Draw, parts: &[u64]) -> u64 {
    mix(&[mix(&[seed, draw as u64]), mix(parts)])
}

/// Where a run is in its order of triplets: what a checkpoint keeps of the data.
///
/// Neither ranks nor threads nor memory are in it: a run may go on with others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Version of the rules that make the order.
    pub version: u32,
    /// [`Dataset::fingerprint`](super::Dataset::fingerprint).
    pub dataset: String,
    /// Seed of the order.
    pub seed: u64,
    /// Triplets in a batch, all ranks together.
    pub batch: usize,
    /// Batches in a window.
    pub window_batches: u64,
    /// Whether triplets of one page are kept out of each other's batches.
    pub distinct_pages: bool,
    /// The next step.
    pub step: u64,
}

impl Position {
    /// An error that names what differs, where going on from here would repeat or skip triplets.
    /// The step may differ.
    pub fn check(&self, now: &Self) -> Result<(), DataError> {
        let differs = |what, then: &dyn ToString, now: &dyn ToString| {
            let (then, now) = (then.to_string(), now.to_string());
            if then == now { Ok(()) } else { Err(DataError::OtherOrder { what, then, now }) }
        };
        differs("version of the order", &self.version, &now.version)?;
        differs("data set", &self.dataset, &now.dataset)?;
        differs("data seed", &self.seed, &now.seed)?;
        differs("batch", &self.batch, &now.batch)?;
        differs("shuffle window in batches", &self.window_batches, &now.window_batches)?;
        differs("separation of pages", &self.distinct_pages, &now.distinct_pages)
    }
}

/// Rows of one row group, next to each other in the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub epoch: u64,
    /// Number of the row group in the data set.
    pub group: u32,
    /// Rows of the row group.
    pub rows: Range<u32>,
}

/// Rows next to each other in the stream, of whole batches except at the end of an ordered one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub number: u64,
    /// The step of its first batch.
    pub first_step: u64,
    pub rows: usize,
    pub parts: Vec<Part>,
}

impl Window {
    /// The rows of each epoch in it.
    pub fn epochs(&self) -> Vec<Range<usize>> {
        let mut epochs: Vec<(u64, Range<usize>)> = Vec::new();
        let mut at = 0;
        for part in &self.parts {
            let end = at + part.rows.len();
            match epochs.last_mut().filter(|(epoch, _)| *epoch == part.epoch) {
                Some((_, rows)) => rows.end = end,
                None => epochs.push((part.epoch, at..end)),
            }
            at = end;
        }
        epochs.into_iter().map(|(_, rows)| rows).collect()
    }
}

/// How rows are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Shuffled by this seed, epoch after epoch.
    Shuffled(u64),
    /// As they lie in the shards, up to so many rows.
    Once(u64),
}

/// The order of one data set's rows.
#[derive(Clone, Debug)]
pub(super) struct Order {
    rows: Arc<[u32]>,
    total: u64,
    kind: Kind,
    batch: u64,
    window_batches: u64,
    /// The row groups of the epoch asked for last, with the row that each begins at.
    epoch: Option<(u64, Vec<(u64, u32)>)>,
}

impl Order {
    /// The order of row groups with `rows` rows each; all sizes are at least 1.
    pub fn new(rows: Arc<[u32]>, kind: Kind, batch: usize, window_batches: u64) -> Self {
        let total = rows.iter().map(|&rows| u64::from(rows)).sum();
        Self { rows, total, kind, batch: batch as u64, window_batches, epoch: None }
    }

    /// The window of a step, and which of its batches the step is.
    pub fn window_of(&self, step: u64) -> (u64, usize) {
        (step / self.window_batches, (step % self.window_batches) as usize)
    }

    /// A window; none after the last row of an ordered reading.
    pub fn window(&mut self, number: u64) -> Option<Window> {
        let first_step = number.checked_mul(self.window_batches)?;
        let mut start = first_step.checked_mul(self.batch)?;
        let mut end = start.checked_add(self.window_batches * self.batch)?;
        if let Kind::Once(limit) = self.kind {
            end = end.min(limit.min(self.total));
        }
        let rows = end.checked_sub(start).filter(|&rows| rows > 0)?;
        let mut parts = Vec::new();
        while start < end {
            let part = self.part(start, end);
            start += part.rows.len() as u64;
            parts.push(part);
        }
        Some(Window { number, first_step, rows: usize::try_from(rows).ok()?, parts })
    }

    /// The rest of the row group at `start` in the stream, up to `end`.
    fn part(&mut self, start: u64, end: u64) -> Part {
        let (epoch, offset) = (start / self.total, start % self.total);
        let groups = self.groups_of(epoch);
        let at = groups.partition_point(|&(begin, _)| begin <= offset) - 1;
        let (begin, group) = groups[at];
        let first = (offset - begin) as u32;
        let left = u64::from(self.rows[group as usize] - first).min(end - start) as u32;
        Part { epoch, group, rows: first..first + left }
    }

    fn groups_of(&mut self, epoch: u64) -> &[(u64, u32)] {
        if self.epoch.as_ref().is_none_or(|(known, _)| *known != epoch) {
            let mut groups: Vec<u32> = (0..self.rows.len() as u32).collect();
            if let Kind::Shuffled(seed) = self.kind {
                Random::new(seed_of(seed, Draw::Epoch, &[epoch])).shuffle(&mut groups);
            }
            let mut begin = 0;
            let begins = groups.into_iter().map(|group| {
                let at = (begin, group);
                begin += u64::from(self.rows[group as usize]);
                at
            });
            self.epoch = Some((epoch, begins.collect()));
        }
        self.epoch.as_ref().map_or(&[], |(_, groups)| groups)
    }

    /// The batches of a window; `pages` has the page of each of its rows.
    pub fn arrange(&self, window: &Window, pages: Option<&[u64]>) -> Arrangement {
        match self.kind {
            Kind::Once(_) => in_order(window.rows, self.batch as usize),
            Kind::Shuffled(seed) => {
                let mut random = Random::new(seed_of(seed, Draw::Window, &[window.number]));
                arrange(&window.epochs(), pages, self.batch as usize, &mut random)
            }
        }
    }
}

/// The position of a run at a step.
pub(super) fn position(
    dataset: &str,
    seed: u64,
    batch: usize,
    window_batches: u64,
    distinct_pages: bool,
    step: u64,
) -> Position {
    let dataset = dataset.to_owned();
    Position { version: VERSION, dataset, seed, batch, window_batches, distinct_pages, step }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// (row group, row) of the first `windows` windows, as delivered.
    fn delivered(order: &mut Order, windows: u64) -> Vec<(u32, u32)> {
        let mut all = Vec::new();
        for number in 0..windows {
            let window = order.window(number).unwrap();
            let rows = window.parts.iter();
            let rows = rows.flat_map(|part| part.rows.clone().map(|row| (part.group, row)));
            let rows: Vec<_> = rows.collect();
            let arranged = order.arrange(&window, None);
            all.extend(arranged.batches.concat().into_iter().map(|row| rows[row as usize]));
        }
        all
    }

    proptest! {
        #[test]
        fn each_epoch_is_a_permutation(
            rows in prop::collection::vec(1_u32..20, 1..12),
            batch in 1_usize..17,
            window in 1_u64..9,
            seed: u64,
        ) {
            let total = rows.iter().sum::<u32>() as usize;
            let mut order =
                Order::new(rows.clone().into(), Kind::Shuffled(seed), batch, window);
            let windows = (3 * total).div_ceil(batch * window as usize);
            let all = delivered(&mut order, windows as u64);
            let every: Vec<_> = (0..).zip(&rows)
                .flat_map(|(group, &rows)| (0..rows).map(move |row| (group, row))).collect();
            for epoch in all.chunks_exact(total) {
                let mut epoch = epoch.to_vec();
                epoch.sort_unstable();
                prop_assert_eq!(&epoch, &every);
            }
        }

        #[test]
        fn windows_do_not_depend_on_what_was_asked_before(
            rows in prop::collection::vec(1_u32..20, 1..12),
            batch in 1_usize..17,
            window in 1_u64..9,
            asked in prop::collection::vec(0_u64..50, 1..8),
        ) {
            let fresh = || Order::new(rows.clone().into(), Kind::Shuffled(1), batch, window);
            let mut used = fresh();
            for number in asked {
                prop_assert_eq!(used.window(number), fresh().window(number));
            }
        }

        #[test]
        fn an_ordered_reading_gives_each_row_once_up_to_its_limit(
            rows in prop::collection::vec(1_u32..20, 1..12),
            batch in 1_usize..17,
            window in 1_u64..9,
            limit in 0_u64..300,
        ) {
            let mut order = Order::new(rows.clone().into(), Kind::Once(limit), batch, window);
            let windows: Vec<_> = (0..).map_while(|number| order.window(number)).collect();
            let got: Vec<_> = windows.iter().flat_map(|window| &window.parts)
                .flat_map(|part| part.rows.clone().map(|row| (part.group, row))).collect();
            let every = (0..).zip(&rows)
                .flat_map(|(group, &rows)| (0..rows).map(move |row| (group, row)));
            prop_assert_eq!(got, every.take(limit as usize).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_order_never_changes() {
        // From a second implementation, in Python. If this has to change, so has `VERSION`.
        let mut order = Order::new([3; 5].into(), Kind::Shuffled(42), 5, 3);
        let batches = [
            [(3, 2), (4, 0), (1, 2), (2, 0), (2, 1)],
            [(3, 0), (4, 1), (1, 0), (1, 1), (0, 2)],
            [(3, 1), (4, 2), (2, 2), (0, 0), (0, 1)],
        ];
        assert_eq!(delivered(&mut order, 1), batches.concat());
    }

    #[test]
    fn epochs_and_seeds_have_orders_of_their_own() {
        let rows: Arc<[u32]> = vec![8; 64].into();
        let groups = |seed, number| {
            let window = Order::new(rows.clone(), Kind::Shuffled(seed), 8, 64).window(number);
            window.unwrap().parts.iter().map(|part| part.group).collect::<Vec<_>>()
        };
        assert_ne!(groups(1, 0), groups(1, 1));
        assert_ne!(groups(1, 0), groups(2, 0));
    }

    #[test]
    fn a_position_of_another_order_is_refused() {
        let then = position("abc", 1, 2048, 16, true, 400);
        then.check(&Position { step: 7, ..then.clone() }).unwrap();
        let error = then.check(&Position { batch: 1024, ..then.clone() }).unwrap_err();
        let text = "cannot go on from this checkpoint: its batch was 2048, now it is 1024";
        assert_eq!(error.to_string(), text);
        then.check(&Position { dataset: "abd".into(), ..then.clone() }).unwrap_err();
    }
}
