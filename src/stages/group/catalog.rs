//! The features of all images in files, and their order in memory.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::os::unix::fs::FileExt;

use crate::similarity::Seen;

/// Bytes of one record of the file.
const RECORD: usize = 32 + 32 + 192 + 8;

/// Bytes of memory that a catalog takes for an image. While it is made it takes three times as much: less than
/// clustering does, which comes after.
pub const IMAGE_BYTES: u64 = 8;

/// Features of one image by which near-duplicates are verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Features {
    /// sha256 of the original bytes.
    pub digest: [u8; 32],
    /// 256-bit gradient hash.
    pub phash256: [u8; 32],
    /// Mean RGB of an 8×8 grid.
    pub colours: [u8; 192],
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

impl Features {
    /// What near-duplicates are verified by.
    pub fn seen(&self) -> Seen<'_> {
        let Self { phash256, colours, width, height, .. } = self;
        Seen { phash256, colours, width: *width, height: *height }
    }

    fn to_record(&self) -> [u8; RECORD] {
        let mut record = [0; RECORD];
        record[..32].copy_from_slice(&self.digest);
        record[32..64].copy_from_slice(&self.phash256);
        record[64..256].copy_from_slice(&self.colours);
        record[256..260].copy_from_slice(&self.width.to_le_bytes());
        record[260..].copy_from_slice(&self.height.to_le_bytes());
        record
    }

    fn of_record(record: &[u8; RECORD]) -> Self {
        let part = |range: std::ops::Range<usize>| &record[range];
        let number = |at: usize| {
            u32::from_le_bytes(part(at..at + 4).try_into().expect("four bytes of a record"))
        };
        Self {
            digest: part(0..32).try_into().expect("32 bytes of a record"),
            phash256: part(32..64).try_into().expect("32 bytes of a record"),
            colours: part(64..256).try_into().expect("192 bytes of a record"),
            width: number(256),
            height: number(260),
        }
    }
}

/// Images in the order in which they are added.
pub struct Writer {
    file: BufWriter<File>,
    hashes: BufWriter<File>,
    areas: Vec<u32>,
    digests: Vec<u128>,
}

/// All images.
pub struct Catalog {
    file: File,
    hashes: File,
    /// Best first, one of each digest.
    order: Vec<u32>,
    /// For each image, the one of its digest that is in `order`.
    first: Vec<u32>,
}

impl Writer {
    /// Begins a catalog of at most so many images in unnamed files of the temporary folder.
    pub fn create(images: usize) -> io::Result<Self> {
        let file = || Ok::<_, io::Error>(BufWriter::with_capacity(1 << 20, tempfile::tempfile()?));
        let (areas, digests) = (Vec::with_capacity(images), Vec::with_capacity(images));
        Ok(Self { file: file()?, hashes: file()?, areas, digests })
    }

    /// Adds an image.
    pub fn push(&mut self, phash: u64, features: &Features) -> io::Result<()> {
        self.file.write_all(&features.to_record())?;
        self.hashes.write_all(&phash.to_le_bytes())?;
        self.areas.push(features.width.saturating_mul(features.height));
        let digest = features.digest[..16].try_into().expect("half a digest");
        self.digests.push(u128::from_be_bytes(digest));
        Ok(())
    }

    /// Orders the images: the largest first, equal ones by digest.
    pub fn finish(self) -> io::Result<Catalog> {
        let Self { file, hashes, areas, digests } = self;
        let written = |file: BufWriter<File>| file.into_inner().map_err(|error| error.into_error());
        let all = u32::try_from(areas.len()).expect("fewer than 2^32 images");
        let mut order: Vec<u32> = (0..all).collect();
        order.sort_unstable_by_key(|&i| {
            let i = i as usize;
            (std::cmp::Reverse(areas[i]), digests[i], i)
        });
        drop(areas);
        let mut first: Vec<u32> = (0..all).collect();
        let mut last: Option<u32> = None;
        order.retain(|&i| {
            let same = last.filter(|&l| digests[l as usize] == digests[i as usize]);
            match same {
                Some(l) => first[i as usize] = l,
                None => last = Some(i),
            }
            same.is_none()
        });
        Ok(Catalog { file: written(file)?, hashes: written(hashes)?, order, first })
    }
}

impl Catalog {
    /// How many images there are.
    pub fn images(&self) -> u64 {
        self.first.len() as u64
    }

    /// Perceptual hashes by image, read anew.
    pub fn hashes(&self) -> io::Result<Vec<u64>> {
        let mut file = &self.hashes;
        file.rewind()?;
        let mut reader = BufReader::with_capacity(1 << 20, file);
        let (mut hashes, mut hash) = (Vec::with_capacity(self.first.len()), [0; 8]);
        for _ in &self.first {
            reader.read_exact(&mut hash)?;
            hashes.push(u64::from_le_bytes(hash));
        }
        Ok(hashes)
    }

    /// One image of each digest, the best first.
    pub fn order(&self) -> &[u32] {
        &self.order
    }

    /// The image in [`Self::order`] with the same bytes.
    pub fn first(&self, image: u32) -> u32 {
        self.first[image as usize]
    }

    /// What decides over an image.
    pub fn features(&self, image: u32) -> io::Result<Features> {
        let mut record = [0; RECORD];
        self.file.read_exact_at(&mut record, u64::from(image) * RECORD as u64)?;
        Ok(Features::of_record(&record))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn features(digest: u8, side: u32) -> Features {
        let (phash256, colours) = ([digest ^ 1; 32], [digest ^ 2; 192]);
        Features { digest: [digest; 32], phash256, colours, width: side, height: side + 1 }
    }

    #[test]
    fn features_come_back_and_the_largest_is_first() {
        let mut writer = Writer::create(2).unwrap();
        let all = [features(9, 100), features(3, 200), features(9, 100), features(1, 100)];
        for (hash, image) in (7..).zip(&all) {
            writer.push(hash, image).unwrap();
        }
        let catalog = writer.finish().unwrap();
        assert_eq!(catalog.hashes().unwrap(), [7, 8, 9, 10]);
        assert_eq!(catalog.hashes().unwrap(), [7, 8, 9, 10]);
        assert_eq!(catalog.order(), [1, 3, 0]);
        assert_eq!([0, 1, 2, 3].map(|i| catalog.first(i)), [0, 1, 0, 3]);
        for (i, image) in (0..).zip(&all) {
            assert_eq!(catalog.features(i).unwrap(), *image);
        }
    }
}
