//! Whether two images are near-duplicates: the rule, for whoever has found candidates.
//!
//! A hash of the luma does not see colour, and a coarse one little else than the layout; so a second
//! hash of 256 bits, the colours of an 8×8 grid and the aspect ratio have to agree too.

/// Levels by which the cells of a colour grid differ where the grid tells pictures apart: a
/// chessboard and an embossed plate are the same grey in each cell and in the hashes.
const MIN_SPREAD: u8 = 8;

/// What of an image decides.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// 256-bit gradient hash.
    pub phash256: &'a [u8],
    /// Mean RGB of an 8×8 grid.
    pub colours: &'a [u8],
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

/// By how much near-duplicates may differ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// Bits of the 256-bit hash.
    pub bits: u32,
    /// Levels, of 255, of a cell of the colour grid…
    pub levels: u8,
    /// …in all but so many of its 64 cells.
    pub cells: u32,
    /// Factor between the aspect ratios.
    pub aspect: f64,
}

/// Whether two images show the same, by all that is known of them.
pub fn are_near_duplicates(a: &Seen<'_>, b: &Seen<'_>, tolerance: &Tolerance) -> bool {
    let bits: u32 = a.phash256.iter().zip(b.phash256).map(|(a, b)| (a ^ b).count_ones()).sum();
    let aspect = |seen: &Seen<'_>| f64::from(seen.width) / f64::from(seen.height.max(1));
    let ratio = aspect(a) / aspect(b);
    bits <= tolerance.bits
        && ratio.max(1.0 / ratio) <= tolerance.aspect
        && cells_apart(a.colours, b.colours, tolerance.levels) <= tolerance.cells
        && !is_even(a.colours)
        && !is_even(b.colours)
}

/// Cells of which some channel differs by more than `levels`.
fn cells_apart(a: &[u8], b: &[u8], levels: u8) -> u32 {
    let cells = a.as_chunks::<3>().0.iter().zip(b.as_chunks::<3>().0);
    let is_apart = |(a, b): &(&[u8; 3], &[u8; 3])| {
        a.iter().zip(b.iter()).any(|(a, b)| a.abs_diff(*b) > levels)
    };
    cells.filter(is_apart).count() as u32
}

/// Whether all cells of the colour grid are alike, whatever the picture shows at a finer scale.
fn is_even(colours: &[u8]) -> bool {
    (0..3).all(|channel| {
        let cells = || colours.iter().skip(channel).step_by(3).copied();
        let spread = cells().max().unwrap_or(0) - cells().min().unwrap_or(0);
        spread < MIN_SPREAD
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_may_differ_as_far_and_as_many_as_is_said() {
        let a: Vec<u8> = (0..192).collect();
        let mut b = a.clone();
        b[0] += 20;
        b[100] += 20;
        assert_eq!([cells_apart(&a, &b, 20), cells_apart(&a, &b, 19)], [0, 2]);
        let seen = |colours| Seen { phash256: &[7; 32], colours, width: 30, height: 20 };
        let tolerance = Tolerance { bits: 0, levels: 19, cells: 2, aspect: 1.0 };
        assert!(are_near_duplicates(&seen(&a), &seen(&b), &tolerance));
        let strict = Tolerance { cells: 1, ..tolerance };
        assert!(!are_near_duplicates(&seen(&a), &seen(&b), &strict));
        assert!(!are_near_duplicates(&seen(&[9; 192]), &seen(&[9; 192]), &tolerance), "even");
    }
}
