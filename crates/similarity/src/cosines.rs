//! Which of many fixed vectors have a cosine above a bound with another one.
//!
//! A vector's sketch says for each of 256 random planes on which side it lies; two vectors at an angle of
//! `a` differ in each bit with probability `a / π` (Charikar, STOC 2002). Sketches are compared with all, at
//! 32 bytes instead of kilobytes each, and cosines taken only of what may be near enough.

use sha2::{Digest, Sha256};

use super::dot;

/// Planes, which are the bits of a sketch.
const PLANES: usize = 256;

/// Standard deviations by which a sketch may be further off than it should be: of ten million vectors just
/// within the bound, about three are missed.
const DEVIATIONS: f64 = 5.0;

type Sketch = [u64; PLANES / 64];

/// Fixed vectors of length 1 and one width, to be looked up by cosine.
#[derive(Debug)]
pub struct CosineIndex {
    width: usize,
    /// Rows of +1 and -1, one a plane.
    planes: Vec<f32>,
    vectors: Vec<f32>,
    sketches: Vec<Sketch>,
    min_cosine: f32,
    /// Bits in which sketches of near vectors differ, at most.
    limit: u32,
}

impl CosineIndex {
    /// Of vectors one after the other.
    pub fn new(vectors: Vec<f32>, width: usize, min_cosine: f32) -> Self {
        let planes = planes(width);
        let sketches = vectors.chunks_exact(width.max(1)).map(|row| sketch(&planes, row)).collect();
        let limit = limit(min_cosine);
        Self { width, planes, vectors, sketches, min_cosine, limit }
    }

    /// The vector with the largest cosine that reaches the bound, and that; none of another width does.
    pub fn find(&self, vector: &[f32]) -> Option<(u32, f32)> {
        if vector.len() != self.width || self.sketches.is_empty() {
            return None;
        }
        let own = sketch(&self.planes, vector);
        let apart = |other: &Sketch| -> u32 {
            own.iter().zip(other).map(|(a, b)| (a ^ b).count_ones()).sum()
        };
        let near = (0..).zip(&self.sketches).filter(|(_, other)| apart(other) <= self.limit);
        let cosine = |item: u32| {
            let at = item as usize * self.width;
            dot(vector, &self.vectors[at..at + self.width])
        };
        let cosines = near.map(|(item, _)| (item, cosine(item)));
        let near = cosines.filter(|(_, cosine)| *cosine >= self.min_cosine);
        near.max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)))
    }
}

/// Signs instead of normal deviates (Achlioptas, PODS 2001), the same everywhere.
fn planes(width: usize) -> Vec<f32> {
    let blocks = (PLANES * width).div_ceil(256) as u64;
    let bytes = (0..blocks).flat_map(|block| Sha256::digest(block.to_le_bytes()));
    let signs = bytes.flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1));
    signs.take(PLANES * width).map(|sign| if sign == 1 { 1.0 } else { -1.0 }).collect()
}

fn sketch(planes: &[f32], vector: &[f32]) -> Sketch {
    let mut sketch = Sketch::default();
    for (bit, plane) in planes.chunks_exact(vector.len().max(1)).enumerate() {
        let sum: f32 = plane.iter().zip(vector).map(|(sign, value)| sign * value).sum();
        sketch[bit / 64] |= u64::from(sum > 0.0) << (bit % 64);
    }
    sketch
}

fn limit(min_cosine: f32) -> u32 {
    let (planes, share) = (
        PLANES as f64,
        f64::from(min_cosine.clamp(-1.0, 1.0)).acos() / f64::from(std::f32::consts::PI),
    );
    (planes * share + DEVIATIONS * (planes * share * (1.0 - share)).sqrt()).ceil() as u32
}

#[cfg(test)]
mod tests {
    use magiclens_testing::hashes::Random;

    use super::*;

    const WIDTH: usize = 64;

    fn unit(mut vector: Vec<f32>) -> Vec<f32> {
        let length = dot(&vector, &vector).sqrt();
        vector.iter_mut().for_each(|value| *value /= length);
        vector
    }

    /// Vectors that lean one way, as those of a model do.
    fn random(random: &mut Random) -> Vec<f32> {
        let mut value = || random.below(2000) as f32 / 1000.0 - 0.7;
        unit((0..WIDTH).map(|_| value()).collect())
    }

    #[test]
    fn finds_what_comparing_with_all_finds() {
        let mut source = Random(5);
        let rows: Vec<Vec<f32>> = (0..2000).map(|_| random(&mut source)).collect();
        let index = CosineIndex::new(rows.concat(), WIDTH, 0.95);
        let mut hits = 0;
        for row in rows.iter().take(500) {
            let noise = random(&mut source);
            let share = source.below(100) as f32 / 100.0;
            let near = unit(row.iter().zip(&noise).map(|(a, b)| a + share * b).collect());
            let cosines = rows.iter().map(|row| dot(row, &near));
            let best = (0..).zip(cosines).max_by(|a: &(u32, f32), b| a.1.total_cmp(&b.1)).unwrap();
            let expected = Some(best).filter(|(_, cosine)| *cosine >= 0.95);
            assert_eq!(index.find(&near), expected);
            hits += usize::from(expected.is_some());
        }
        assert!((100..400).contains(&hits), "{hits} of 500 near enough");
    }

    #[test]
    fn another_width_is_near_to_nothing() {
        let index = CosineIndex::new(vec![0.6, 0.8], 2, 0.9);
        assert_eq!(index.find(&[0.6, 0.8]), Some((0, 1.0)));
        assert_eq!(index.find(&[1.0]), None);
        assert_eq!(CosineIndex::new(Vec::new(), 0, 0.9).find(&[]), None);
    }
}
