//! Finds the image of a benchmark that an image of a run is a near-duplicate of.
//!
//! Candidates are found by five 64-bit hashes of the image, each in an index of its own: the DCT hash, looked
//! up among all views of a benchmark's images, for crops; and the four quarters of the 256-bit gradient
//! hash, each a quarter of the picture, among the whole images, for an overlay leaves most quarters as they
//! were. Then the rule of near-duplicates decides, with its own limits.

use std::collections::HashMap;

use super::list::{Listed, View};
use super::{Benchmark, Match, MatchedBy};
use crate::config::Decontaminate;
use crate::record::Look;
use crate::similarity::{CosineIndex, HashIndex, Seen, Tolerance, are_near_duplicates};

/// 64-bit quarters of a 256-bit hash.
const QUARTERS: usize = 4;

/// Ones of a quarter that says something: a clear sky gives nearly all or none, on any picture.
const TELLING: std::ops::RangeInclusive<u32> = 12..=52;

/// Benchmarks to be looked up in.
#[derive(Debug, Default)]
pub struct Screen {
    benchmarks: Vec<Screened>,
}

#[derive(Debug)]
struct Screened {
    name: String,
    files: Vec<String>,
    by_digest: HashMap<[u8; 32], u32>,
    /// All views, with the image that each is of.
    views: Vec<(u32, Packed)>,
    dct: HashIndex,
    quarters: Vec<Quarter>,
    vectors: Vectors,
    tolerance: Tolerance,
}

/// What is compared of a view.
#[derive(Debug)]
struct Packed {
    phash256: [u8; 32],
    colours: [u8; 192],
    width: u32,
    height: u32,
}

/// The whole images by one quarter of their 256-bit hashes.
#[derive(Debug)]
struct Quarter {
    index: HashIndex,
    /// The view of each item.
    views: Vec<u32>,
}

/// The vectors of a benchmark's images, and the image of each.
#[derive(Debug)]
struct Vectors {
    index: CosineIndex,
    images: Vec<u32>,
}

impl Screen {
    /// Builds the indexes.
    pub fn new(benchmarks: &[Benchmark], config: &Decontaminate) -> Self {
        Self { benchmarks: benchmarks.iter().map(|one| Screened::new(one, config)).collect() }
    }

    /// Whether there is nothing to look up in.
    pub fn is_empty(&self) -> bool {
        self.benchmarks.is_empty()
    }

    /// The near-duplicate of an image in each benchmark that has one. `vector` is the image's own, where it
    /// has one.
    pub fn matches(&self, look: &Look, vector: Option<&[f32]>) -> Vec<Match> {
        self.benchmarks.iter().filter_map(|one| one.find(look, vector)).collect()
    }
}

impl Screened {
    fn new(benchmark: &Benchmark, config: &Decontaminate) -> Self {
        let mut views = Vec::new();
        let (mut hashes, mut by_digest) = (Vec::new(), HashMap::new());
        let mut quarters = [(); QUARTERS].map(|()| (Vec::new(), Vec::new()));
        for (image, listed) in (0..).zip(&benchmark.images) {
            by_digest.extend(listed.image_id.digest().map(|digest| (digest, image)));
            for (nth, view) in listed.views.iter().enumerate() {
                let Some(packed) = pack(view) else { continue };
                if nth == 0 {
                    for (quarter, hash) in quarters.iter_mut().zip(quarters_of(&packed.phash256)) {
                        if let Some(hash) = hash {
                            quarter.0.push(hash);
                            quarter.1.push(views.len() as u32);
                        }
                    }
                }
                hashes.push(view.phash);
                views.push((image, packed));
            }
        }
        let radius = config.hash_radius;
        let quarter = |(hashes, views)| Quarter { index: HashIndex::new(hashes, radius), views };
        Self {
            name: benchmark.name.clone(),
            files: benchmark.images.iter().map(|listed| listed.file.clone()).collect(),
            by_digest,
            views,
            dct: HashIndex::new(hashes, radius),
            quarters: quarters.into_iter().map(quarter).collect(),
            vectors: Vectors::new(&benchmark.images, config.min_cosine as f32),
            tolerance: Tolerance {
                bits: config.verify_bits,
                levels: config.verify_colour,
                cells: config.verify_cells,
                aspect: config.verify_aspect,
            },
        }
    }

    fn find(&self, look: &Look, vector: Option<&[f32]>) -> Option<Match> {
        let by_bytes = look.image_id.digest().and_then(|digest| self.by_digest.get(&digest));
        let (image, by) = by_bytes
            .map(|image| (*image, MatchedBy::Bytes))
            .or_else(|| self.by_hash(look).map(|image| (image, MatchedBy::Hash)))
            .or_else(|| self.by_cosine(vector?))?;
        let file = self.files[image as usize].clone();
        Some(Match { benchmark: self.name.clone(), file, by })
    }

    fn by_hash(&self, look: &Look) -> Option<u32> {
        let (phash256, colours) = (&look.phash256[..], &look.colour_layout[..]);
        let own = Seen { phash256, colours, width: look.width, height: look.height };
        let is_same = |view: u32| {
            are_near_duplicates(&own, &self.views[view as usize].1.seen(), &self.tolerance)
        };
        let whole: [u8; 32] = phash256.try_into().ok()?;
        let by_quarter = || {
            let quarters = self.quarters.iter().zip(quarters_of(&whole));
            quarters.filter_map(|(quarter, hash)| quarter.find(hash?, is_same)).next()
        };
        let view = self.dct.find(look.phash, is_same).or_else(by_quarter)?;
        Some(self.views[view as usize].0)
    }

    fn by_cosine(&self, vector: &[f32]) -> Option<(u32, MatchedBy)> {
        let (item, cosine) = self.vectors.index.find(vector)?;
        Some((self.vectors.images[item as usize], MatchedBy::Cosine(cosine)))
    }
}

impl Quarter {
    fn find(&self, hash: u64, is_same: impl Fn(u32) -> bool) -> Option<u32> {
        let item = self.index.find(hash, |item| is_same(self.views[item as usize]))?;
        Some(self.views[item as usize])
    }
}

impl Vectors {
    fn new(images: &[Listed], min_cosine: f32) -> Self {
        let width = images.iter().map(|listed| listed.embedding.len()).max().unwrap_or(0);
        let with =
            || (0..).zip(images).filter(|(_, image)| image.embedding.len() == width && width > 0);
        let vectors = with().flat_map(|(_, image)| image.embedding.iter().copied()).collect();
        let images = with().map(|(at, _)| at).collect();
        Self { index: CosineIndex::new(vectors, width, min_cosine), images }
    }
}

impl Packed {
    fn seen(&self) -> Seen<'_> {
        let Self { phash256, colours, width, height } = self;
        Seen { phash256, colours, width: *width, height: *height }
    }
}

/// None where a list was not made by this program.
fn pack(view: &View) -> Option<Packed> {
    Some(Packed {
        phash256: view.phash256.as_slice().try_into().ok()?,
        colours: view.colour_layout.as_slice().try_into().ok()?,
        width: view.width,
        height: view.height,
    })
}

/// The quarters of a 256-bit hash, four rows of the picture each; none for one that says nothing.
fn quarters_of(hash: &[u8; 32]) -> [Option<u64>; QUARTERS] {
    std::array::from_fn(|at| {
        let bytes = hash[at * 8..][..8].try_into().expect("eight bytes of 32");
        Some(u64::from_be_bytes(bytes)).filter(|word| TELLING.contains(&word.count_ones()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::ImageId;

    fn look(phash: u64, byte: u8) -> Look {
        Look {
            image_id: ImageId::of(&[byte]),
            width: 300,
            height: 200,
            phash,
            phash256: vec![byte; 32],
            colour_layout: (0..192).collect(),
            ..Look::default()
        }
    }

    fn listed(look: &Look, file: &str, embedding: Vec<f32>) -> Listed {
        let view = View {
            phash: look.phash,
            phash256: look.phash256.clone(),
            colour_layout: look.colour_layout.clone(),
            width: look.width,
            height: look.height,
        };
        Listed { file: file.into(), image_id: look.image_id.clone(), views: vec![view], embedding }
    }

    fn screen(images: Vec<Listed>) -> Screen {
        let benchmark = Benchmark { name: "b".into(), images, ..Benchmark::default() };
        Screen::new(&[benchmark], &Decontaminate::default())
    }

    fn by(found: &[Match]) -> Vec<(&str, MatchedBy)> {
        found.iter().map(|found| (found.file.as_str(), found.by)).collect()
    }

    #[test]
    fn an_image_is_found_by_its_bytes_by_any_hash_or_by_its_vector() {
        let (one, other) = (look(0x1234, 0b0101_1010), look(!0x1234, 0b1100_0011));
        let screen = screen(vec![
            listed(&one, "one.jpg", vec![0.0, 1.0]),
            listed(&other, "other.jpg", vec![0.6, 0.8]),
        ]);
        assert_eq!(by(&screen.matches(&one, None)), [("one.jpg", MatchedBy::Bytes)]);
        let mut copy = Look { image_id: ImageId::of(b"copy"), ..other.clone() };
        copy.phash ^= 0b111;
        assert_eq!(by(&screen.matches(&copy, None)), [("other.jpg", MatchedBy::Hash)]);
        // The DCT hash is far off, and so is what one quarter shows.
        copy.phash = 0x5555_5555;
        copy.phash256[..4].fill(0);
        assert_eq!(by(&screen.matches(&copy, None)), [("other.jpg", MatchedBy::Hash)]);
        copy.phash256.fill(0);
        assert_eq!(by(&screen.matches(&copy, Some(&[1.0, 0.0]))), []);
        let cosine = &screen.matches(&copy, Some(&[0.6, 0.8]))[0];
        assert!(cosine.to_string().starts_with("other.jpg of b, cosine 1.000"), "{cosine}");
    }

    #[test]
    fn a_quarter_of_clear_sky_finds_nothing() {
        assert_eq!(quarters_of(&[0; 32]), [None; 4]);
        assert_eq!(quarters_of(&[0xF0; 32]), [Some(0xF0F0_F0F0_F0F0_F0F0); 4]);
    }
}
