//! Puts the rows of a window into its batches, so that no batch has two triplets of one page.
//!
//! Rows are dealt in random order; one whose page is in the batch already waits for the next batch,
//! and one that still waits at the end changes places with a row of another batch. That finds an
//! arrangement whenever no page has more rows in an epoch's part of the window than that part has
//! whole batches: a batch with a place left has at most B − 1 pages, the page of the waiting row
//! among them; some whole batch lacks that page and has B pages, so at least two of those rows can go
//! where the waiting row cannot.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;

use super::Random;

/// The rows of each batch of a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrangement {
    /// Rows of the window by batch. Sorted, so that a slice of a batch lies in neighbouring row
    /// groups: each rank then reads row groups of its own.
    pub batches: Vec<Vec<u32>>,
    /// Rows of each batch whose page an earlier row of the batch has.
    pub shared: Vec<usize>,
}

/// Rows in window order, nothing shuffled.
pub fn in_order(rows: usize, batch: usize) -> Arrangement {
    let all: Vec<u32> = (0..rows as u32).collect();
    let batches: Vec<_> = all.chunks(batch).map(<[u32]>::to_vec).collect();
    Arrangement { shared: vec![0; batches.len()], batches }
}

/// Shuffles rows into batches of `batch` rows. `epochs` are the parts of the window by epoch, end to
/// end: all rows of an epoch come before any of the next. `pages` has the page of each row; without
/// it pages may share a batch.
pub fn arrange(
    epochs: &[Range<usize>],
    pages: Option<&[u64]>,
    batch: usize,
    random: &mut Random,
) -> Arrangement {
    let rows = epochs.last().map_or(0, |epoch| epoch.end);
    let count = rows.div_ceil(batch);
    let mut table = Table { pages, batches: vec![Vec::new(); count], seen: Vec::new() };
    table.seen.resize_with(count, HashMap::new);
    for epoch in epochs {
        let mut shuffled: Vec<u32> = (epoch.start as u32..epoch.end as u32).collect();
        random.shuffle(&mut shuffled);
        Deal::new(&mut table, epoch.clone(), batch).run(shuffled, random);
    }
    table.finish()
}

struct Table<'a> {
    pages: Option<&'a [u64]>,
    batches: Vec<Vec<u32>>,
    /// How many rows of each page a batch has.
    seen: Vec<HashMap<u64, u32>>,
}

impl Table<'_> {
    fn page(&self, row: u32) -> Option<u64> {
        self.pages.map(|pages| pages[row as usize])
    }

    fn fits(&self, batch: usize, row: u32) -> bool {
        self.page(row).is_none_or(|page| !self.seen[batch].contains_key(&page))
    }

    fn put(&mut self, batch: usize, row: u32) {
        if let Some(page) = self.page(row) {
            *self.seen[batch].entry(page).or_default() += 1;
        }
        self.batches[batch].push(row);
    }

    fn take(&mut self, batch: usize, place: usize) -> u32 {
        let row = self.batches[batch].swap_remove(place);
        if let Some(page) = self.page(row)
            && let Some(rows) = self.seen[batch].get_mut(&page)
        {
            *rows -= 1;
            if *rows == 0 {
                self.seen[batch].remove(&page);
            }
        }
        row
    }

    fn finish(mut self) -> Arrangement {
        self.batches.iter_mut().for_each(|rows| rows.sort_unstable());
        let over = |seen: &HashMap<u64, u32>| seen.values().map(|&rows| rows as usize - 1).sum();
        Arrangement { shared: self.seen.iter().map(over).collect(), batches: self.batches }
    }
}

/// The dealing of one epoch's part of a window.
struct Deal<'t, 'a> {
    table: &'t mut Table<'a>,
    epoch: Range<usize>,
    /// The batches that it reaches into.
    batches: Range<usize>,
    size: usize,
}

impl<'t, 'a> Deal<'t, 'a> {
    fn new(table: &'t mut Table<'a>, epoch: Range<usize>, size: usize) -> Self {
        let batches = epoch.start / size..epoch.end.div_ceil(size);
        Self { table, epoch, batches, size }
    }

    /// How many more rows of this epoch a batch takes.
    fn room(&self, batch: usize) -> usize {
        ((batch + 1) * self.size).min(self.epoch.end)
            - batch * self.size
            - self.table.batches[batch].len()
    }

    fn run(mut self, shuffled: Vec<u32>, random: &mut Random) {
        let (rows, excess) = self.split_excess(shuffled);
        let waiting = self.deal(rows);
        for row in waiting {
            if !self.place(row) && !self.swap(row, random) {
                self.force(row);
            }
        }
        for row in excess {
            if !self.place(row) {
                self.force(row);
            }
        }
    }

    /// Sets apart the rows of a page beyond one for every batch: they cannot be kept apart, and
    /// would only be tried again and again.
    fn split_excess(&self, shuffled: Vec<u32>) -> (Vec<u32>, Vec<u32>) {
        let mut counts: HashMap<u64, usize> = HashMap::new();
        shuffled.into_iter().partition(|&row| {
            self.table.page(row).is_none_or(|page| {
                let count = counts.entry(page).or_default();
                *count += 1;
                *count <= self.batches.len()
            })
        })
    }

    /// Fills batch after batch; gives the rows that found none.
    fn deal(&mut self, rows: Vec<u32>) -> VecDeque<u32> {
        let mut fresh = rows.into_iter();
        let mut waiting = VecDeque::new();
        for batch in self.batches.clone() {
            for _ in 0..waiting.len() {
                if let Some(row) = waiting.pop_front() {
                    self.offer(batch, row, &mut waiting);
                }
            }
            while self.room(batch) > 0
                && let Some(row) = fresh.next()
            {
                self.offer(batch, row, &mut waiting);
            }
        }
        waiting.extend(fresh);
        waiting
    }

    fn offer(&mut self, batch: usize, row: u32, waiting: &mut VecDeque<u32>) {
        if self.room(batch) > 0 && self.table.fits(batch, row) {
            self.table.put(batch, row);
        } else {
            waiting.push_back(row);
        }
    }

    fn place(&mut self, row: u32) -> bool {
        let fitting = |&batch: &usize| self.room(batch) > 0 && self.table.fits(batch, row);
        let Some(batch) = self.batches.clone().find(fitting) else { return false };
        self.table.put(batch, row);
        true
    }

    /// Puts the row into a full batch, and a row from there into the first batch with room.
    fn swap(&mut self, row: u32, random: &mut Random) -> bool {
        let Some(open) = self.batches.clone().find(|&batch| self.room(batch) > 0) else {
            return false;
        };
        let (first, count) = (self.batches.start, self.batches.len());
        let start = random.below(count);
        for at in 0..count {
            let batch = first + (start + at) % count;
            if batch == open || !self.table.fits(batch, row) {
                continue;
            }
            let movable = |other: &u32| {
                self.epoch.contains(&(*other as usize)) && self.table.fits(open, *other)
            };
            if let Some(place) = self.table.batches[batch].iter().position(movable) {
                let other = self.table.take(batch, place);
                self.table.put(batch, row);
                self.table.put(open, other);
                return true;
            }
        }
        false
    }

    fn force(&mut self, row: u32) {
        let open = self.batches.clone().find(|&batch| self.room(batch) > 0);
        self.table.put(open.expect("an epoch's part has a place for each of its rows"), row);
    }
}

#[cfg(test)]
mod tests {
    use std::slice;

    use proptest::prelude::*;

    use super::*;

    /// Parts of random length that fill whole batches together, with pages for their rows.
    fn windows() -> impl Strategy<Value = (Vec<Range<usize>>, Vec<u64>, usize, u64)> {
        let sizes = (1_usize..9, 1_usize..9, prop::collection::vec(0_usize..72, 0..4));
        let sized = sizes.prop_map(|(batch, count, mut cuts)| {
            cuts.retain(|&cut| cut > 0 && cut < batch * count);
            cuts.extend([0, batch * count]);
            cuts.sort_unstable();
            cuts.dedup();
            let epochs: Vec<_> = cuts.windows(2).map(|pair| pair[0]..pair[1]).collect();
            (epochs, batch * count, batch)
        });
        (sized, 1_u64..40).prop_flat_map(|((epochs, rows, batch), pages)| {
            let pages = prop::collection::vec(0..pages, rows);
            (Just(epochs), pages, Just(batch), any::<u64>())
        })
    }

    /// The most rows that a page has in a part.
    fn most(pages: &[u64]) -> usize {
        let count = |page| pages.iter().filter(|&other| other == page).count();
        pages.iter().map(count).max().unwrap_or(0)
    }

    fn repeats(rows: &[u32], pages: &[u64]) -> usize {
        let mut distinct: Vec<u64> = rows.iter().map(|&row| pages[row as usize]).collect();
        distinct.sort_unstable();
        distinct.dedup();
        rows.len() - distinct.len()
    }

    proptest! {
        #[test]
        fn every_row_has_one_place_in_its_epoch((epochs, pages, batch, seed) in windows()) {
            let mut random = Random::new(seed);
            let Arrangement { batches, shared } =
                arrange(&epochs, Some(&pages), batch, &mut random);
            prop_assert!(batches.iter().all(|rows| rows.len() == batch && rows.is_sorted()));
            let mut all: Vec<u32> = batches.concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..pages.len() as u32).collect::<Vec<_>>());
            for epoch in &epochs {
                for (at, rows) in batches.iter().enumerate() {
                    let places = at * batch..(at + 1) * batch;
                    let of_epoch = rows.iter().filter(|&&row| epoch.contains(&(row as usize)));
                    let meant = places.filter(|place| epoch.contains(place)).count();
                    prop_assert_eq!(of_epoch.count(), meant);
                }
            }
            for (rows, &shared) in batches.iter().zip(&shared) {
                prop_assert_eq!(repeats(rows, &pages), shared);
            }
        }

        #[test]
        fn pages_never_share_a_batch_where_whole_batches_suffice(
            (epochs, pages, batch, seed) in windows(),
        ) {
            let whole = |epoch: &Range<usize>| {
                (epoch.end / batch).saturating_sub(epoch.start.div_ceil(batch))
            };
            prop_assume!(epochs.iter().all(|epoch| most(&pages[epoch.clone()]) <= whole(epoch)));
            let arranged = arrange(&epochs, Some(&pages), batch, &mut Random::new(seed));
            prop_assert_eq!(arranged.shared.iter().sum::<usize>(), 0);
        }

        #[test]
        fn one_epoch_has_no_shared_batch_exactly_where_that_is_possible(
            batch in 1_usize..9,
            count in 1_usize..9,
            kinds in 1_u64..80,
            seed: u64,
        ) {
            let mut random = Random::new(seed);
            let rows = batch * count;
            let pages: Vec<u64> = (0..rows).map(|_| random.bits() % kinds).collect();
            let arranged = arrange(slice::from_ref(&(0..rows)), Some(&pages), batch, &mut random);
            prop_assert_eq!(arranged.shared.iter().sum::<usize>() == 0, most(&pages) <= count);
        }
    }

    #[test]
    fn rows_go_anywhere_in_the_window() {
        let arranged = arrange(slice::from_ref(&(0..4096)), None, 64, &mut Random::new(5));
        // Row 0 to 63 would all be in batch 0; now a batch has about one of them.
        let spread = arranged.batches.iter().filter(|rows| rows.iter().any(|&row| row < 64));
        assert!(spread.count() > 30);
        assert_ne!(arranged, arrange(slice::from_ref(&(0..4096)), None, 64, &mut Random::new(6)));
    }

    #[test]
    fn a_single_page_for_all_rows_ends_soon_and_is_counted() {
        let pages = vec![9; 65_536];
        let arranged =
            arrange(slice::from_ref(&(0..65_536)), Some(&pages), 2048, &mut Random::new(1));
        assert_eq!(arranged.shared, vec![2047; 32]);
    }
}
