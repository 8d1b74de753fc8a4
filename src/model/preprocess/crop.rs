//! Which part of an image is looked at: all of it, or a random part in training.
//!
//! The random crop is the usual one of image classifiers: an area and an aspect ratio drawn, ten
//! tries, else the centre. It is a function of the image's size and a seed, and never mirrors. See
//! <https://docs.pytorch.org/vision/main/generated/torchvision.transforms.RandomResizedCrop.html>.

/// A rectangle of pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// First column.
    pub left: usize,
    /// First row.
    pub top: usize,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

impl Region {
    /// The whole of an image.
    pub fn all(width: usize, height: usize) -> Self {
        Self { left: 0, top: 0, width, height }
    }

    /// Whether it has pixels, all of them inside an image of this size.
    pub fn is_within(&self, width: usize, height: usize) -> bool {
        let ends_by = |start: usize, length: usize, limit| {
            length > 0 && start.checked_add(length).is_some_and(|end| end <= limit)
        };
        ends_by(self.left, self.width, width) && ends_by(self.top, self.height, height)
    }
}

/// Ranges that a random crop is drawn from.
#[derive(Clone, Copy, Debug, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct RandomCrop {
    /// Part of the image's area, smallest and largest, of 0 to 1.
    pub scale: (f64, f64),
    /// Width by height, smallest and largest.
    pub ratio: (f64, f64),
}

impl Default for RandomCrop {
    /// OpenCLIP's for fine-tuning: at least nine tenths of the area, nearly its own shape.
    fn default() -> Self {
        Self { scale: (0.9, 1.0), ratio: (3.0 / 4.0, 4.0 / 3.0) }
    }
}

/// Draws before the centre is taken.
const TRIES: usize = 10;

impl RandomCrop {
    /// The region of an image of this size that belongs to `seed`: always the same.
    pub fn region(&self, width: usize, height: usize, seed: u64) -> Region {
        let mut dice = Dice(seed);
        let area = width as f64 * height as f64;
        for _ in 0..TRIES {
            let part = area * dice.between(self.scale.0, self.scale.1);
            let ratio = dice.between(self.ratio.0.ln(), self.ratio.1.ln()).exp();
            let side = |area: f64| area.sqrt().round() as usize;
            let (wide, high) = (side(part * ratio), side(part / ratio));
            if (1..=width).contains(&wide) && (1..=height).contains(&high) {
                let top = dice.below(height - high + 1);
                let left = dice.below(width - wide + 1);
                return Region { left, top, width: wide, height: high };
            }
        }
        self.centre(width, height)
    }

    /// As much of the centre as a ratio in range allows.
    fn centre(&self, width: usize, height: usize) -> Region {
        let ratio = width as f64 / height as f64;
        let (mut wide, mut high) = (width, height);
        if ratio < self.ratio.0 {
            high = ((width as f64 / self.ratio.0).round() as usize).clamp(1, height);
        } else if ratio > self.ratio.1 {
            wide = ((height as f64 * self.ratio.1).round() as usize).clamp(1, width);
        }
        Region { left: (width - wide) / 2, top: (height - high) / 2, width: wide, height: high }
    }
}

/// SplitMix64: a few draws from one seed, the same for ever. Crates of random numbers do not
/// promise that across their versions. See <https://prng.di.unimi.it/splitmix64.c>.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        // The upper 53 bits are all that a float holds.
        low + (high - low) * (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn below(&mut self, count: usize) -> usize {
        ((u128::from(self.next()) * count as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WIDE: RandomCrop = RandomCrop { scale: (0.08, 1.0), ratio: (0.75, 4.0 / 3.0) };

    #[test]
    fn the_dice_are_the_published_ones() {
        // First outputs of the reference implementation for seed 1234567.
        let mut dice = Dice(1_234_567);
        assert_eq!(dice.next(), 6_457_827_717_110_365_317);
        assert_eq!(dice.next(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn crops_differ_by_seed_and_spread() {
        let crops: Vec<_> = (0..1000).map(|seed| WIDE.region(640, 480, seed)).collect();
        assert_eq!(crops[7], WIDE.region(640, 480, 7));
        let mean = |value: fn(&Region) -> f64| crops.iter().map(value).sum::<f64>() / 1000.0;
        let area = mean(|crop| (crop.width * crop.height) as f64) / (640.0 * 480.0);
        assert!((0.4..0.6).contains(&area), "{area}");
        let centre = mean(|crop| crop.left as f64 + crop.width as f64 / 2.0);
        assert!((310.0..330.0).contains(&centre), "{centre}");
    }

    #[test]
    fn a_strip_gives_its_centre() {
        let crop = WIDE.region(1000, 10, 3);
        assert_eq!(crop, Region { left: 493, top: 0, width: 13, height: 10 });
    }

    #[test]
    fn regions_outside_are_told() {
        let region = |left, width| Region { left, top: 0, width, height: 1 };
        assert!(region(1, 2).is_within(3, 1));
        assert!(!region(1, 3).is_within(3, 1));
        assert!(!region(0, 0).is_within(3, 1));
        assert!(!region(usize::MAX, 2).is_within(3, 1));
    }

    proptest! {
        #[test]
        fn every_crop_is_inside(
            width in 1_usize..5000, height in 1_usize..5000, seed in any::<u64>(),
            smallest in 0.0_f64..1.0, narrowest in 0.1_f64..1.0,
        ) {
            let crop = RandomCrop { scale: (smallest, 1.0), ratio: (narrowest, 1.0 / narrowest) };
            prop_assert!(crop.region(width, height, seed).is_within(width, height));
        }
    }
}
