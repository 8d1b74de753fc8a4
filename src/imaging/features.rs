//! What an image is found and compared by, all from one thumbnail of fixed size.
//!
//! The thumbnail makes the features of one picture agree across sizes and qualities, and makes them
//! cheap: the hashes never see more than 4,096 pixels. Hashing is by image_hasher; see
//! <http://www.hackerfactor.com/blog/?/archives/432-Looks-Like-It.html> for the idea.

use std::sync::LazyLock;

use image::GrayImage;
use img_hash::{HashAlg, Hasher, HasherConfig};

use super::{Bitmap, resize};

/// Side of the thumbnail; a multiple of both 16 and [`GRID`].
const SIDE: u32 = 64;
/// Side of the colour grid.
const GRID: usize = 8;

static DCT: LazyLock<Hasher<[u8; 8]>> = LazyLock::new(|| {
    HasherConfig::with_bytes_type().hash_alg(HashAlg::Mean).preproc_dct().to_hasher()
});
static GRADIENT: LazyLock<Hasher<[u8; 32]>> = LazyLock::new(|| {
    HasherConfig::with_bytes_type().hash_size(16, 16).hash_alg(HashAlg::Gradient).to_hasher()
});

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
        let hashed = |width, height| {
            // The hashers scale to these sizes and leave alone what has them.
            let pixels = resize::resize_luma(&luma, (SIDE, SIDE), (width, height));
            GrayImage::from_raw(width, height, pixels).expect("resize_luma returns width × height")
        };
        let phash = bytes_of(DCT.hash_image(&hashed(16, 16)).as_bytes());
        let phash256 = bytes_of(GRADIENT.hash_image(&hashed(17, 16)).as_bytes());
        Self {
            phash: u64::from_be_bytes(phash),
            phash256,
            colour_layout: colour_layout(&thumbnail),
            entropy: entropy(&luma),
        }
    }
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
