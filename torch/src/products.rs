//! Dot products with rows of float16: the inner loops of exact search.
//!
//! A few queries are bound by memory, so rows are widened in registers on their way ([`dots`]); many are
//! bound by arithmetic, so a block of rows is widened once and multiplied as a matrix ([`products`]).
//! What the processor can do is found out at run time.

use gemm::Parallelism;
use half::f16;

/// Writes `[queries, rows]`: each of `queries`, `[_, width]`, times each of `rows`, `[_, width]`.
///
/// # Panics
///
/// If a length is no multiple of `width`, or `out` is of another one.
pub fn products(queries: &[f32], rows: &[f32], width: usize, out: &mut [f32]) {
    assert!(width > 0 && queries.len().is_multiple_of(width) && rows.len().is_multiple_of(width));
    let (m, n) = (queries.len() / width, rows.len() / width);
    assert_eq!(out.len(), m * n, "out is not [{m}, {n}]");
    if m == 0 || n == 0 {
        return;
    }
    let (across, down) = (1, width as isize);
    // SAFETY: the three matrices are as large as the strides go, which was just asserted, and `out`, which
    // alone is written to and is not read, is borrowed mutably, so it overlaps none of the others.
    unsafe {
        gemm::gemm(
            m,
            n,
            width,
            out.as_mut_ptr(),
            1,
            n as isize,
            false,
            queries.as_ptr(),
            across,
            down,
            rows.as_ptr(),
            down,
            across,
            0.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

/// Writes the dot product of each of `rows`, `[_, width]`, with a query of `width` numbers.
///
/// # Panics
///
/// If `rows` is not `[out.len(), query.len()]`.
pub fn dots(rows: &[f16], query: &[f32], out: &mut [f32]) {
    assert_eq!(rows.len(), out.len() * query.len());
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the processor has it, and the lengths fit.
            return unsafe { x86::dots_avx512(rows, query, out) };
        }
        if is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c")
        {
            // SAFETY: the processor has all three, and the lengths fit.
            return unsafe { x86::dots_avx2(rows, query, out) };
        }
    }
    plain(rows, query, out);
}

/// The same on any processor.
fn plain(rows: &[f16], query: &[f32], out: &mut [f32]) {
    for (row, out) in rows.chunks_exact(query.len().max(1)).zip(out) {
        *out = dot(row, query);
    }
}

fn dot(row: &[f16], query: &[f32]) -> f32 {
    row.iter().zip(query).map(|(x, y)| x.to_f32() * y).sum()
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use half::f16;

    use super::dot;

    /// Sums of a row, so that one addition need not wait for the other.
    const SUMS: usize = 4;

    /// # Safety
    ///
    /// Needs AVX-512F, and `rows` to be `[out.len(), query.len()]`.
    #[target_feature(enable = "avx512f")]
    pub unsafe fn dots_avx512(rows: &[f16], query: &[f32], out: &mut [f32]) {
        const LANES: usize = 16;
        let width = query.len();
        let whole = width / (SUMS * LANES) * SUMS * LANES;
        for (row, out) in rows.chunks_exact(width.max(1)).zip(out) {
            let mut sums = [_mm512_setzero_ps(); SUMS];
            for at in (0..whole).step_by(SUMS * LANES) {
                for (step, sum) in sums.iter_mut().enumerate() {
                    let from = at + step * LANES;
                    // SAFETY: `from + LANES` is at most `whole`, and loads need no alignment.
                    unsafe {
                        let x = _mm256_loadu_si256(row.as_ptr().add(from).cast());
                        let y = _mm512_loadu_ps(query.as_ptr().add(from));
                        *sum = _mm512_fmadd_ps(_mm512_cvtph_ps(x), y, *sum);
                    }
                }
            }
            let [a, b, c, d] = sums;
            let sum = _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(a, b), _mm512_add_ps(c, d)));
            *out = sum + dot(&row[whole..], &query[whole..]);
        }
    }

    /// # Safety
    ///
    /// Needs AVX2, FMA and F16C, and `rows` to be `[out.len(), query.len()]`.
    #[target_feature(enable = "avx2,fma,f16c")]
    pub unsafe fn dots_avx2(rows: &[f16], query: &[f32], out: &mut [f32]) {
        const LANES: usize = 8;
        let width = query.len();
        let whole = width / (SUMS * LANES) * SUMS * LANES;
        for (row, out) in rows.chunks_exact(width.max(1)).zip(out) {
            let mut sums = [_mm256_setzero_ps(); SUMS];
            for at in (0..whole).step_by(SUMS * LANES) {
                for (step, sum) in sums.iter_mut().enumerate() {
                    let from = at + step * LANES;
                    // SAFETY: `from + LANES` is at most `whole`, and loads need no alignment.
                    unsafe {
                        let x = _mm_loadu_si128(row.as_ptr().add(from).cast());
                        let y = _mm256_loadu_ps(query.as_ptr().add(from));
                        *sum = _mm256_fmadd_ps(_mm256_cvtph_ps(x), y, *sum);
                    }
                }
            }
            let [a, b, c, d] = sums;
            let sum = sum_of(_mm256_add_ps(_mm256_add_ps(a, b), _mm256_add_ps(c, d)));
            *out = sum + dot(&row[whole..], &query[whole..]);
        }
    }

    /// The sum of eight numbers.
    #[target_feature(enable = "avx2")]
    fn sum_of(numbers: __m256) -> f32 {
        let four = _mm_add_ps(_mm256_castps256_ps128(numbers), _mm256_extractf128_ps(numbers, 1));
        let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that a float16 holds exactly, so that order and rounding play no part.
    fn whole(count: usize, seed: usize) -> Vec<f32> {
        (0..count).map(|at| ((at * 7 + seed * 13) % 11) as f32 - 5.0).collect()
    }

    fn halves(numbers: &[f32]) -> Vec<f16> {
        numbers.iter().map(|&number| f16::from_f32(number)).collect()
    }

    fn expected(rows: &[f32], query: &[f32]) -> Vec<f32> {
        let product = |row: &[f32]| row.iter().zip(query).map(|(x, y)| x * y).sum();
        rows.chunks_exact(query.len()).map(product).collect()
    }

    type Way = fn(&[f16], &[f32], &mut [f32]);

    #[test]
    fn every_way_gives_the_same() {
        for width in [1, 7, 8, 15, 16, 17, 31, 32, 65, 128, 200, 768] {
            for count in [0, 1, 3, 4, 5, 8, 11] {
                let (rows, query) = (whole(count * width, 1), whole(width, 2));
                let expected = expected(&rows, &query);
                let rows = halves(&rows);
                let mut ways: Vec<Way> = vec![dots, plain];
                #[cfg(target_arch = "x86_64")]
                if is_x86_feature_detected!("avx2")
                    && is_x86_feature_detected!("fma")
                    && is_x86_feature_detected!("f16c")
                {
                    // SAFETY: the processor has all three, and the lengths fit.
                    ways.push(|rows, query, out| unsafe { x86::dots_avx2(rows, query, out) });
                }
                for way in ways {
                    let mut out = vec![f32::NAN; count];
                    way(&rows, &query, &mut out);
                    assert_eq!(out, expected, "{count} rows of {width}");
                }
            }
        }
    }

    #[test]
    fn products_are_dot_products() {
        for (m, n, width) in [(1, 1, 1), (3, 5, 7), (17, 33, 64), (64, 100, 96), (2, 0, 4)] {
            let (queries, rows) = (whole(m * width, 3), whole(n * width, 4));
            let mut out = vec![f32::NAN; m * n];
            products(&queries, &rows, width, &mut out);
            let each = queries.chunks_exact(width).flat_map(|query| expected(&rows, query));
            assert_eq!(out, each.collect::<Vec<_>>());
        }
    }
}
