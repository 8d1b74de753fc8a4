//! Features that images are found and compared by, all from one thumbnail of fixed size.
//!
//! The thumbnail makes the features of one image agree across sizes and qualities, and makes them
//! cheap: the hashes never see more than 4,096 pixels. Hashing is by image_hasher; see
//! <http://www.hackerfactor.com/blog/?/archives/432-Looks-Like-It.html> for the idea.

use std::f32::consts::PI;
use std::sync::LazyLock;

use image::GrayImage;
use img_hash::{HashAlg, Hasher, HasherConfig};

use super::{Bitmap, resize};

/// Side of the thumbnail; a multiple of both 16 and [`GRID`].
const SIDE: u32 = 64;
/// Side of the grid of the colour layout.
const GRID: usize = 8;

static DCT: LazyLock<Hasher<[u8; 8]>> = LazyLock::new(|| {
    HasherConfig::with_bytes_type().hash_alg(HashAlg::Median).preproc_dct().to_hasher()
});
static GRADIENT: LazyLock<Hasher<[u8; 32]>> = LazyLock::new(|| {
    HasherConfig::with_bytes_type().hash_size(16, 16).hash_alg(HashAlg::Gradient).to_hasher()
});

/// The image whose 64 lowest DCT coefficients are +[`BIAS`] or -[`BIAS`], by the bits of [`SIGNS`].
///
/// A DCT hash asks of each coefficient whether it is above the median, which is near zero. Skies,
/// drawings and screenshots have many coefficients of about nothing, and their bits would be those of
/// the compression noise. With the texture on top they are those of the texture, always the same.
/// (Measured on 372 images of a manual, as JPEG at quality 40 and 75 and at 0.3, 0.6 and 2 times
/// the size: of 64 bits 99 % changed at most 4, without the texture 18. The mean instead of the
/// median is as steady, but one in ten pairs of different images is then within 4 bits.)
static TEXTURE: LazyLock<Vec<f32>> = LazyLock::new(|| {
    let wave = |place: usize, frequency: usize| {
        (PI / 16.0 * (place as f32 + 0.5) * frequency as f32).cos()
            / if frequency == 0 { 16.0 } else { 8.0 }
    };
    let value = |i: usize| -> f32 {
        let sign = |bit: usize| if SIGNS >> bit & 1 == 1 { BIAS } else { -BIAS };
        (1..64).map(|bit| sign(bit) * wave(i % 16, bit % 8) * wave(i / 16, bit / 8)).sum()
    };
    (0..256).map(value).collect()
});
/// Several times what rounding and compression do to a coefficient of 16×16 luma.
const BIAS: f32 = 48.0;
/// 32 ones, so that the median falls between the two kinds; the first, for the mean luma, is one.
const SIGNS: u64 = 0xC0AC_29B7_C97C_50DD;

/// Two hashes of the luma, the colours, and how much there is to see.
#[derive(Clone, Debug, PartialEq)]
pub struct Features {
    /// 64-bit DCT hash of the luma.
    pub phash: u64,
    /// 256-bit gradient hash of the luma.
    pub phash256: [u8; 32],
    /// Mean RGB of an 8×8 grid, row by row.
    pub colour_layout: Vec<u8>,
    /// Shannon entropy in bits of the thumbnail's 64-level luma histogram.
    pub entropy: f32,
}

impl Features {
    /// Of an upright bitmap of any size.
    pub fn of(bitmap: &Bitmap) -> Self {
        let thumbnail = bitmap.resized(SIDE, SIDE);
        let luma: Vec<u8> = thumbnail.rgb.as_chunks().0.iter().map(luma).collect();
        // The hashers scale to these sizes and leave alone what has them.
        let scaled = |width, height| resize::resize_luma(&luma, (SIDE, SIDE), (width, height));
        let grey = |width, height, pixels| {
            GrayImage::from_raw(width, height, pixels).expect("resize_luma returns width × height")
        };
        let phash = bytes_of(DCT.hash_image(&grey(16, 16, textured(scaled(16, 16)))).as_bytes());
        let phash256 =
            bytes_of(GRADIENT.hash_image(&grey(17, 16, tilted(scaled(17, 16)))).as_bytes());
        Self {
            phash: u64::from_be_bytes(phash),
            phash256,
            colour_layout: colour_layout(&thumbnail),
            entropy: entropy(&luma),
        }
    }
}

/// Puts the faint [`TEXTURE`] on 16×16 luma, scaled to leave room for it.
fn textured(mut luma: Vec<u8>) -> Vec<u8> {
    for (value, texture) in luma.iter_mut().zip(TEXTURE.iter()) {
        *value = (f32::from(*value) * 0.84 + 20.0 + texture).round() as u8;
    }
    luma
}

/// Lets each row of 17×16 luma fall by one level a column, so that a gradient's bit says "brighter
/// by more than noise".
fn tilted(mut luma: Vec<u8>) -> Vec<u8> {
    for row in luma.chunks_mut(17) {
        for (value, fall) in row.iter_mut().zip((0..=16).rev()) {
            *value = (u32::from(*value) * 239 / 255) as u8 + fall;
        }
    }
    luma
}

fn bytes_of<const N: usize>(hash: &[u8]) -> [u8; N] {
    hash.try_into().expect("the hasher was given an array of this size")
}

/// BT.601, as JPEG has it.
fn luma(&[red, green, blue]: &[u8; 3]) -> u8 {
    let sum = 19_595 * u32::from(red) + 38_470 * u32::from(green) + 7_471 * u32::from(blue);
    ((sum + 32_768) >> 16) as u8
}

/// Mean of each of 8×8 equal blocks of the thumbnail.
fn colour_layout(thumbnail: &Bitmap) -> Vec<u8> {
    let side = SIDE as usize;
    let block = side / GRID;
    let mut sums = [[0u32; 3]; GRID * GRID];
    for (i, pixel) in thumbnail.rgb.as_chunks::<3>().0.iter().enumerate() {
        let cell = &mut sums[i / side / block * GRID + i % side / block];
        for (sum, &value) in cell.iter_mut().zip(pixel) {
            *sum += u32::from(value);
        }
    }
    let pixels = (block * block) as u32;
    sums.as_flattened().iter().map(|sum| ((sum + pixels / 2) / pixels) as u8).collect()
}

fn entropy(luma: &[u8]) -> f32 {
    let mut histogram = [0u32; 64];
    for &value in luma {
        histogram[usize::from(value / 4)] += 1;
    }
    let total = luma.len() as f32;
    let bits = |count: &u32| {
        let share = *count as f32 / total;
        -share * share.log2()
    };
    // Adding zero turns the -0.0 of a flat image into 0.0.
    histogram.iter().filter(|&&count| count > 0).map(bits).sum::<f32>() + 0.0
}

#[cfg(test)]
mod tests {
    use image::ImageFormat;
    use magiclens_common::config::Fetch;

    use super::*;
    use crate::{prepare, samples};

    fn of(bytes: Vec<u8>) -> Features {
        prepare(bytes, &Fetch::default()).unwrap().features
    }

    fn apart(a: &Features, b: &Features) -> u32 {
        (a.phash ^ b.phash).count_ones()
    }

    fn apart256(a: &Features, b: &Features) -> u32 {
        a.phash256.iter().zip(&b.phash256).map(|(a, b)| (a ^ b).count_ones()).sum()
    }

    /// Largest difference between cells, in grey levels.
    fn colours_apart(a: &Features, b: &Features) -> u8 {
        let cells = a.colour_layout.iter().zip(&b.colour_layout);
        cells.map(|(a, b)| a.abs_diff(*b)).max().unwrap()
    }

    type Draw = fn(u32, u32, u32) -> Bitmap;

    #[test]
    fn the_same_picture_hashes_alike_at_other_sizes_qualities_and_formats() {
        for (kind, draw) in [("scene", samples::scene as Draw), ("photo", samples::photo)] {
            for seed in 1..=6 {
                let original = of(samples::encode(&draw(640, 480, seed), ImageFormat::Png));
                let check = |variant: &str, features: Features| {
                    let (near, verify) =
                        (apart(&original, &features), apart256(&original, &features));
                    assert!(near <= 3, "{kind} {seed} {variant}: {near} of 64 bits");
                    assert!(verify <= 25, "{kind} {seed} {variant}: {verify} of 256 bits");
                    let colours = colours_apart(&original, &features);
                    assert!(colours <= 16, "{kind} {seed} {variant}: colours {colours} apart");
                };
                for quality in [40, 60, 75, 95] {
                    check(
                        &format!("q{quality}"),
                        of(samples::jpeg(&draw(640, 480, seed), quality)),
                    );
                }
                for (width, height) in [(192, 144), (320, 240), (800, 600), (1280, 960)] {
                    let resized = draw(640, 480, seed).resized(width, height);
                    check(&format!("{width} px"), of(samples::jpeg(&resized, 80)));
                }
                for format in [ImageFormat::WebP, ImageFormat::Gif, ImageFormat::Bmp] {
                    check(
                        &format!("{format:?}"),
                        of(samples::encode(&draw(640, 480, seed), format)),
                    );
                }
            }
        }
    }

    #[test]
    fn different_pictures_hash_apart() {
        for draw in [samples::scene as Draw, samples::photo] {
            let features: Vec<_> =
                (1..=12).map(|seed| Features::of(&draw(320, 240, seed))).collect();
            for (i, a) in features.iter().enumerate() {
                for (j, b) in features.iter().enumerate().skip(i + 1) {
                    let bits = (apart(a, b), apart256(a, b));
                    assert!(bits.0 > 3 || bits.1 > 12, "{i} and {j}: {bits:?}");
                }
            }
        }
    }

    #[test]
    fn colours_tell_apart_what_luma_cannot() {
        let variants = [
            [200.0, 40.0, 40.0],
            [40.0, 110.0, 60.0],
            [40.0, 60.0, 200.0],
            [160.0, 40.0, 160.0],
            [120.0, 80.0, 30.0],
        ];
        let features = variants.map(|colour| Features::of(&samples::object(400, 300, colour)));
        for (i, a) in features.iter().enumerate() {
            for b in &features[i + 1..] {
                assert!(apart(a, b) <= 3, "the trap is there: luma alone sees one picture");
                assert!(colours_apart(a, b) > 40, "{}", colours_apart(a, b));
            }
        }
    }

    #[test]
    fn entropy_grows_with_what_there_is_to_see() {
        let flat = Features::of(&samples::draw(100, 100, |_, _| [120.0; 3]));
        assert_eq!(flat.entropy, 0.0);
        assert!(flat.entropy.is_sign_positive());
        let object = Features::of(&samples::object(100, 100, [200.0, 40.0, 40.0]));
        let photo = Features::of(&samples::photo(100, 100, 1));
        assert!(0.2 < object.entropy && object.entropy < 2.5, "{}", object.entropy);
        assert!(photo.entropy > 4.0, "{}", photo.entropy);
    }

    #[test]
    fn the_layout_runs_row_by_row() {
        let quarters = samples::draw(80, 80, |x, y| match (x < 0.5, y < 0.5) {
            (true, true) => [250.0, 0.0, 0.0],
            (false, true) => [0.0, 250.0, 0.0],
            (true, false) => [0.0, 0.0, 250.0],
            (false, false) => [9.0, 9.0, 9.0],
        });
        let layout = Features::of(&quarters).colour_layout;
        let cell = |row: usize, column: usize| &layout[(row * 8 + column) * 3..][..3];
        assert_eq!(layout.len(), 192);
        assert_eq!(cell(0, 0), [250, 0, 0]);
        assert_eq!(cell(0, 7), [0, 250, 0]);
        assert_eq!(cell(7, 0), [0, 0, 250]);
        assert_eq!(cell(7, 7), [9, 9, 9]);
    }
}
