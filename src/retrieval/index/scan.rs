//! Exact search: every row against every query, and the best kept.
//!
//! Each core takes an equal stretch of the matrix and keeps the best of it for each query; these are put
//! together at the end. So the answer depends neither on the number of cores nor on the other queries,
//! the last bit of a score aside.

use std::cmp::Ordering;
use std::ops::Range;

use half::f16;
use half::slice::HalfFloatSliceExt;
use magiclens_torch::products::{dots, products};
use rayon::prelude::*;

use super::matrix::Matrix;

/// Up to so many queries, reading the matrix takes longer than the arithmetic.
const FEW: usize = 4;
/// Rows that are widened at a time.
const BLOCK: usize = 512;
/// Queries in one pass: with the rows of a block, what a core holds of scores.
const AT_ONCE: usize = 1024;

/// A row that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// Its number.
    pub row: u32,
    /// Its dot product with the query.
    pub score: f32,
}

/// The `k` rows with the highest scores for each query, the highest first, equal ones by row. A row whose
/// score is not a number is not found.
///
/// # Panics
///
/// If `queries` is not `[_, width]`, or the matrix has 2³² rows or more.
pub fn top_k(matrix: &Matrix, queries: &[f32], k: usize) -> Vec<Vec<Hit>> {
    let width = matrix.width();
    assert!(queries.len().is_multiple_of(width), "queries are not as wide as the matrix");
    let rows = u32::try_from(matrix.rows()).expect("fewer than 2^32 rows") as usize;
    queries.chunks(AT_ONCE * width).flat_map(|queries| pass(matrix, queries, k, rows)).collect()
}

fn pass(matrix: &Matrix, queries: &[f32], k: usize, rows: usize) -> Vec<Vec<Hit>> {
    let cores = rayon::current_num_threads();
    let length = rows.div_ceil(cores).max(1);
    let stretches = (0..cores).into_par_iter();
    let found: Vec<Vec<Best>> = stretches
        .map(|core| stretch(matrix, queries, k, core * length..((core + 1) * length).min(rows)))
        .collect();
    let count = queries.len() / matrix.width();
    (0..count).map(|query| merge(found.iter().map(|best| &best[query]), k)).collect()
}

/// The best of some rows for each query.
fn stretch(matrix: &Matrix, queries: &[f32], k: usize, rows: Range<usize>) -> Vec<Best> {
    let width = matrix.width();
    let mut best = vec![Best::new(k); queries.len() / width];
    if best.len() <= FEW {
        few(matrix, queries, rows, &mut best);
        return best;
    }
    let (mut wide, mut scores) = (vec![0.0; BLOCK * width], vec![0.0; BLOCK * best.len()]);
    for first in rows.clone().step_by(BLOCK) {
        let count = BLOCK.min(rows.end - first);
        let wide = &mut wide[..count * width];
        of(matrix, first..first + count).convert_to_f32_slice(wide);
        let scores = &mut scores[..count * best.len()];
        products(queries, wide, width, scores);
        for (best, scores) in best.iter_mut().zip(scores.chunks_exact(count)) {
            best.offer(first, scores);
        }
    }
    best
}

fn few(matrix: &Matrix, queries: &[f32], rows: Range<usize>, best: &mut [Best]) {
    let width = matrix.width();
    let mut scores = [0.0; BLOCK];
    for first in rows.clone().step_by(BLOCK) {
        let block = of(matrix, first..rows.end.min(first + BLOCK));
        let scores = &mut scores[..block.len() / width];
        for (best, query) in best.iter_mut().zip(queries.chunks_exact(width)) {
            dots(block, query, scores);
            best.offer(first, scores);
        }
    }
}

fn of(matrix: &Matrix, rows: Range<usize>) -> &[f16] {
    &matrix.numbers()[rows.start * matrix.width()..rows.end * matrix.width()]
}

/// The best so far, of rows that come in rising order: of equal ones, the first stay.
#[derive(Clone)]
struct Best {
    hits: Vec<Hit>,
    k: usize,
    /// What a further row must exceed.
    bar: f32,
}

impl Best {
    fn new(k: usize) -> Self {
        Self { hits: Vec::new(), k, bar: if k == 0 { f32::INFINITY } else { f32::NEG_INFINITY } }
    }

    fn offer(&mut self, first: usize, scores: &[f32]) {
        // Nearly all blocks have nothing for nearly all queries: the maximum is found many at a time.
        if self.hits.len() >= self.k && !scores.iter().any(|&score| score > self.bar) {
            return;
        }
        for (row, &score) in scores.iter().enumerate() {
            let is_room = self.hits.len() < self.k && !score.is_nan();
            if is_room || score > self.bar {
                self.hits.push(Hit { row: (first + row) as u32, score });
                if self.hits.len() >= 2 * self.k {
                    self.prune();
                }
            }
        }
    }

    /// Keeps `k`, and raises the bar.
    fn prune(&mut self) {
        self.hits.select_nth_unstable_by(self.k - 1, better);
        self.hits.truncate(self.k);
        self.bar = self.hits[self.k - 1].score;
    }
}

/// Higher scores first, then lower rows. No score is NaN; zero and negative zero are equal.
fn better(a: &Hit, b: &Hit) -> Ordering {
    b.score.partial_cmp(&a.score).unwrap_or(Ordering::Equal).then(a.row.cmp(&b.row))
}

fn merge<'a>(parts: impl Iterator<Item = &'a Best>, k: usize) -> Vec<Hit> {
    let mut hits: Vec<Hit> = parts.flat_map(|best| best.hits.iter().copied()).collect();
    hits.sort_unstable_by(better);
    hits.truncate(k);
    hits
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::matrix::Writer;
    use super::*;
    use crate::model::tests::bounds::{F32, assert_within, guaranteed};

    fn matrix(rows: &[f32], width: usize) -> (tempfile::TempDir, Matrix) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vectors");
        let mut writer = Writer::create(&path, width).unwrap();
        writer.push(rows).unwrap();
        writer.finish().unwrap();
        let matrix = Matrix::open(&path, width).unwrap();
        (folder, matrix)
    }

    /// Every score, sorted. Small whole numbers make equal scores likely and sums exact.
    fn brute_force(rows: &[f32], queries: &[f32], width: usize, k: usize) -> Vec<Vec<Hit>> {
        let of_query = |query: &[f32]| {
            let score = |row: &[f32]| row.iter().zip(query).map(|(x, y)| x * y).sum();
            let hit =
                |(row, numbers): (usize, &[f32])| Hit { row: row as u32, score: score(numbers) };
            let mut hits: Vec<Hit> = rows.chunks_exact(width).enumerate().map(hit).collect();
            hits.sort_by(|a, b| b.score.partial_cmp(&a.score).unwrap().then(a.row.cmp(&b.row)));
            hits.truncate(k);
            hits
        };
        queries.chunks_exact(width).map(of_query).collect()
    }

    proptest! {
        #[test]
        fn the_best_are_found_whatever_is_equal(
            width in 1_usize..20, rows in 0_usize..1500, queries in 0_usize..9, k in 0_usize..40,
            values in prop::collection::vec(-2_i8..3, 1..400),
        ) {
            let numbers = |count: usize, shift: usize| -> Vec<f32> {
                let value = |at| f32::from(values[(at * at + at / 3 + shift) % values.len()]);
                (0..count).map(value).collect()
            };
            let (rows, queries) = (numbers(rows * width, 0), numbers(queries * width, 5));
            let (_folder, matrix) = matrix(&rows, width);
            let found = top_k(&matrix, &queries, k);
            prop_assert_eq!(found, brute_force(&rows, &queries, width, k));
        }
    }

    #[test]
    fn zero_has_no_sign() {
        let (_folder, matrix) = matrix(&[-0.0, 0.0, -1.0, 0.0], 1);
        for queries in [vec![1.0], vec![1.0; 9], vec![-1.0]] {
            let found = top_k(&matrix, &queries, 1).remove(0);
            assert_eq!(found[0].row, if queries[0] < 0.0 { 2 } else { 0 });
        }
    }

    #[test]
    fn a_query_is_answered_alike_alone_and_among_others() {
        // Mixed as by SplitMix64, so that no two rows are the same.
        let value = |at: usize| {
            let bits = (at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            (bits >> 40) as f32 / (1 << 24) as f32 - 0.5
        };
        let rows: Vec<f32> = (0..3000 * 64).map(value).collect();
        let queries: Vec<f32> = (0..20 * 64).map(|at| value(at + 1_000_000)).collect();
        let (_folder, matrix) = matrix(&rows, 64);
        let together = top_k(&matrix, &queries, 10);
        // Sums of 64 products of numbers up to a half.
        let within = guaranteed(F32, 64) * 64.0 * 0.25;
        let apart = |one: &Hit, other: &Hit| f64::from((one.score - other.score).abs());
        let mut clear = 0;
        for (query, together) in queries.chunks_exact(64).zip(together) {
            let alone = top_k(&matrix, query, 11).remove(0);
            for (one, other) in alone.iter().zip(&together) {
                assert_within(apart(one, other), within, format!("{one:?} {other:?}"));
                // Of two scores as near as that, rounding may put either first.
                let mut rivals = alone.iter().filter(|rival| rival.row != one.row);
                if rivals.all(|rival| apart(one, rival) > 2.0 * within) {
                    assert_eq!(one.row, other.row);
                    clear += 1;
                }
            }
        }
        assert!(clear > 180, "{clear} of 200 rows are clear of all others");
    }

    #[test]
    fn rows_that_are_no_numbers_are_not_found() {
        let (_folder, matrix) = matrix(&[1.0, f32::NAN, 3.0, f32::NAN, 2.0], 1);
        for queries in [vec![1.0], vec![1.0; 9]] {
            for found in top_k(&matrix, &queries, 4) {
                assert_eq!(found.iter().map(|hit| hit.row).collect::<Vec<_>>(), [2, 4, 0]);
            }
        }
    }
}
