//! One table at a time: hashes sorted by what they have in two blocks, and compared within runs of a key.

use std::io;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rayon::prelude::*;

use super::MAX_RADIUS;
use super::pairs::{Found, Pairs, Sink};

/// Members of a run above which its comparisons are shared out to all cores…
const LONG: usize = 2048;
/// …so many members at a time.
const SHARE: usize = 512;

/// Comparisons counted together, so that the compiler makes them wide: almost none is a pair.
const WIDE: usize = 32;

/// Spreads the bits of two blocks over the upper half of a word: 2^64 over the golden ratio.
pub const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

/// Keys are counted by so many of their upper bits, to be worked on in ranges.
const BUCKETS: usize = 1 << 12;
/// Hashes that are counted together.
const CHUNK: usize = 1 << 20;

/// The masks of `blocks` nearly equal blocks of a hash, highest bits first.
pub fn block_masks(blocks: u32) -> Vec<u64> {
    let below = |bit: u32| 1_u64.checked_shl(bit).map_or(!0, |power| power - 1);
    (0..blocks).rev().map(|b| below(64 * (b + 1) / blocks) & !below(64 * b / blocks)).collect()
}

/// What is compared of a run of equal keys.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The members of a run up to which all are compared with all.
    pub run: usize,
    /// The members after each, in hash order, that it is compared with in a longer run.
    pub window: usize,
}

impl Default for Limits {
    /// A run of 2^17 costs 2^33 comparisons, some seconds.
    fn default() -> Self {
        Self { run: 1 << 17, window: 4096 }
    }
}

/// Two blocks of a hash.
#[derive(Clone, Debug)]
pub struct Blocks {
    masks: Vec<u64>,
    first: usize,
    second: usize,
}

impl Blocks {
    /// Each two blocks, in the order in which tables are worked on.
    pub fn all(radius: u32) -> impl Iterator<Item = Self> {
        debug_assert!(radius <= MAX_RADIUS, "radius {radius} is over {MAX_RADIUS}");
        let masks = block_masks(radius + 2);
        let each =
            (1..masks.len()).flat_map(|second| (0..second).map(move |first| (first, second)));
        each.map(move |(first, second)| Self { masks: masks.clone(), first, second })
    }

    /// What a hash has there. Two may fall together, if rarely: that lengthens a run, and `is_home` sees to it.
    pub fn key(&self, hash: u64) -> u32 {
        let mask = self.masks[self.first] | self.masks[self.second];
        ((hash & mask).wrapping_mul(SPREAD) >> 32) as u32
    }

    /// Whether no earlier table gives a pair that differs in the bits `differ`: it agrees first here.
    fn is_home(&self, differ: u64) -> bool {
        let mut agreed = (0..self.masks.len()).filter(|&block| differ & self.masks[block] == 0);
        agreed.next() == Some(self.first) && agreed.next() == Some(self.second)
    }
}

/// Which hashes were in a run over the limit.
pub struct Crowded(Vec<AtomicU64>);

impl Crowded {
    /// None of so many.
    pub fn none(hashes: usize) -> Self {
        Self((0..hashes.div_ceil(64)).map(|_| AtomicU64::new(0)).collect())
    }

    /// Marks one.
    pub fn mark(&self, i: usize) {
        self.0[i / 64].fetch_or(1 << (i % 64), Relaxed);
    }

    /// Whether it was marked.
    pub fn has(&self, i: usize) -> bool {
        self.0[i / 64].load(Relaxed) >> (i % 64) & 1 == 1
    }

    /// How many were.
    pub fn count(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.load(Relaxed).count_ones())).sum()
    }
}

/// All tables of some hashes.
pub struct Search<'a> {
    /// Distinct and ascending.
    pub hashes: &'a [u64],
    pub radius: u32,
    pub limits: Limits,
    /// In any table so far.
    pub crowded: Crowded,
    /// Whether pairs that an earlier table gives are wanted, too.
    pub every: bool,
}

impl<'a> Search<'a> {
    pub fn new(hashes: &'a [u64], radius: u32, limits: Limits) -> Self {
        debug_assert!(hashes.is_sorted_by(|a, b| a < b), "hashes are not distinct and ascending");
        let crowded = Crowded::none(hashes.len());
        Self { hashes, radius, limits, crowded, every: false }
    }

    /// What it takes beside hashes, keys and pairs.
    pub fn bytes(&self) -> u64 {
        let counts = self.hashes.len().div_ceil(CHUNK) * BUCKETS * size_of::<u32>();
        (self.hashes.len().div_ceil(8) + counts) as u64
    }

    /// The keys that have to be there at a time.
    pub fn least_keys(&self) -> usize {
        let largest = |blocks| {
            let counts = Table { search: self, blocks }.counts();
            (0..BUCKETS).map(|bucket| sum(&counts, bucket..bucket + 1)).max().unwrap_or(0)
        };
        Blocks::all(self.radius).map(largest).max().unwrap_or(0)
    }

    /// All pairs, each once where no run is capped. At most so many keys are there at a time, and of pairs
    /// so many bytes.
    pub fn pairs(&self, keys: usize, bytes: u64) -> io::Result<Pairs> {
        let sink: Sink = Mutex::new(Ok(Pairs::new(bytes)));
        let mut keys = vec![0; keys.min(self.hashes.len())];
        for blocks in Blocks::all(self.radius) {
            let table = Table { search: self, blocks };
            let counts = table.counts();
            for range in ranges(&counts, keys.len()) {
                let keys = table.fill(&mut keys, &counts, &range);
                table.scan(keys, &sink);
            }
        }
        sink.into_inner().expect("a panic would have gone on")
    }
}

/// How many keys of some buckets there are.
fn sum(counts: &[Vec<u32>], buckets: Range<usize>) -> usize {
    counts.iter().flat_map(|chunk| &chunk[buckets.clone()]).map(|&count| count as usize).sum()
}

/// All buckets in ranges of at most so many keys, of which no bucket has more.
fn ranges(counts: &[Vec<u32>], keys: usize) -> Vec<Range<usize>> {
    let (mut ranges, mut from, mut held) = (Vec::new(), 0, 0);
    for bucket in 0..BUCKETS {
        let count = sum(counts, bucket..bucket + 1);
        if held + count > keys {
            ranges.push(from..bucket);
            (from, held) = (bucket, 0);
        }
        held += count;
    }
    ranges.push(from..BUCKETS);
    ranges
}

/// The hashes sorted by what they have in two of the blocks.
pub struct Table<'a> {
    pub search: &'a Search<'a>,
    pub blocks: Blocks,
}

impl Table<'_> {
    /// How many hashes of each chunk have keys of each bucket.
    fn counts(&self) -> Vec<Vec<u32>> {
        let count = |hashes: &[u64]| {
            let mut counts = vec![0; BUCKETS];
            hashes.iter().for_each(|&hash| counts[self.bucket(hash)] += 1);
            counts
        };
        self.search.hashes.par_chunks(CHUNK).map(count).collect()
    }

    fn bucket(&self, hash: u64) -> usize {
        self.blocks.key(hash) as usize / ((1 << 32) / BUCKETS)
    }

    /// Fills `keys` with packed (key, index) of some buckets, sorted, so that each run is in hash order.
    fn fill<'k>(
        &self,
        keys: &'k mut [u64],
        counts: &[Vec<u32>],
        buckets: &Range<usize>,
    ) -> &'k mut [u64] {
        let keys = &mut keys[..sum(counts, buckets.clone())];
        let (mut rest, mut chunks) = (&mut *keys, Vec::with_capacity(counts.len()));
        for counts in counts {
            let of_chunk = counts[buckets.clone()].iter().map(|&count| count as usize).sum();
            let (chunk, others) = rest.split_at_mut(of_chunk);
            chunks.push(chunk);
            rest = others;
        }
        let hashes = self.search.hashes.par_chunks(CHUNK).enumerate();
        chunks.into_par_iter().zip(hashes).for_each(|(keys, (chunk, hashes))| {
            let mut keys = keys.iter_mut();
            for (i, &hash) in (chunk * CHUNK..).zip(hashes) {
                if buckets.contains(&self.bucket(hash)) {
                    let key = keys.next().expect("as many as were counted");
                    *key = u64::from(self.blocks.key(hash)) << 32 | i as u64;
                }
            }
        });
        keys.par_sort_unstable();
        keys
    }

    /// Compares within the runs of sorted keys.
    pub fn scan(&self, keys: &[u64], sink: &Sink) {
        let runs = keys.par_chunk_by(|a, b| a >> 32 == b >> 32).filter(|run| run.len() > 1);
        runs.for_each_init(|| Found::new(sink), |found, run| self.run(run, found));
    }

    fn run(&self, run: &[u64], found: &mut Found) {
        let limits = self.search.limits;
        let is_capped = run.len() > limits.run;
        let window = if is_capped { limits.window } else { run.len() };
        if is_capped {
            run.iter().for_each(|&key| self.search.crowded.mark(index(key)));
        }
        if run.len() < LONG {
            return self.compare(run, 0..run.len(), window, found);
        }
        let shares = (0..run.len().div_ceil(SHARE)).into_par_iter();
        let sink = found.sink;
        shares.for_each_init(
            || Found::new(sink),
            |found, share| {
                let members = share * SHARE..run.len().min((share + 1) * SHARE);
                self.compare(run, members, window, found);
            },
        );
    }

    /// Compares some members of a run with those after each.
    fn compare(&self, run: &[u64], members: Range<usize>, window: usize, found: &mut Found) {
        let run = &run[members.start..run.len().min(members.end.saturating_add(window))];
        let hashes: &[u64] =
            &run.iter().map(|&key| self.search.hashes[index(key)]).collect::<Vec<_>>();
        for i in 0..members.len() {
            let after = &hashes[i + 1..run.len().min((i + 1).saturating_add(window))];
            for j in self.near(hashes[i], after).map(|j| i + 1 + j) {
                let (a, b) = (index(run[i]), index(run[j]));
                if self.is_wanted(hashes[i] ^ hashes[j], a, b) {
                    found.push(a, b);
                }
            }
        }
    }

    /// Where among `others` the hashes within the radius of `hash` are.
    fn near(&self, hash: u64, others: &[u64]) -> impl Iterator<Item = usize> {
        let is_near = move |other: &u64| (hash ^ other).count_ones() <= self.search.radius;
        let wide = others.chunks(WIDE).enumerate();
        wide.filter(move |(_, part)| {
            part.iter().map(|other| u32::from(is_near(other))).sum::<u32>() > 0
        })
        .flat_map(move |(at, part)| {
            (0..part.len()).filter(move |&j| is_near(&part[j])).map(move |j| at * WIDE + j)
        })
    }

    /// Whether no earlier table gave a pair, or what a capped run missed turns up again.
    fn is_wanted(&self, differ: u64, a: usize, b: usize) -> bool {
        let Search { every, crowded, .. } = self.search;
        *every || self.blocks.is_home(differ) || crowded.has(a) && crowded.has(b)
    }
}

/// The index of a packed key.
fn index(key: u64) -> usize {
    key as u32 as usize
}
