//! Visual similarity from the 256-bit hash (structure) and the colour layout.

use magiclens_core::Look;

/// Bits in which the hashes of unrelated pictures differ, about.
const UNRELATED_BITS: f32 = 128.0;
/// Mean difference of the colour cells of unrelated pictures, in levels, about.
const UNRELATED_LEVELS: f32 = 64.0;

/// 1 for the same picture, near 0 for pictures that share neither structure nor colours.
pub fn visual(a: &Look, b: &Look) -> f32 {
    let bits: u32 = a.phash256.iter().zip(&b.phash256).map(|(a, b)| (a ^ b).count_ones()).sum();
    let levels = a.colour_layout.iter().zip(&b.colour_layout).map(|(a, b)| a.abs_diff(*b));
    let levels: u32 = levels.map(u32::from).sum();
    let mean = levels as f32 / a.colour_layout.len().max(1) as f32;
    let structure = 1.0 - (bits as f32 / UNRELATED_BITS).min(1.0);
    let colours = 1.0 - (mean / UNRELATED_LEVELS).min(1.0);
    (structure + colours) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(bits: u8, level: u8) -> Look {
        Look { phash256: vec![bits; 32], colour_layout: vec![level; 192], ..Look::default() }
    }

    #[test]
    fn structure_and_colour_count_alike() {
        assert_eq!(visual(&look(0, 0), &look(0, 0)), 1.0);
        assert_eq!(visual(&look(0, 0), &look(0xff, 0)), 0.5);
        assert_eq!(visual(&look(0, 0), &look(0, 200)), 0.5);
        assert_eq!(visual(&look(0, 0), &look(0xff, 200)), 0.0);
        assert!(visual(&look(0, 0), &look(1, 16)) > visual(&look(0, 0), &look(3, 16)));
    }
}
