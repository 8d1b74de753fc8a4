//! Random perceptual hashes with planted near-duplicates.

/// Splitmix64, by Sebastiano Vigna.
pub struct Random(pub u64);

impl Random {
    /// Returns the next 64 bits.
    #[expect(clippy::should_implement_trait, reason = "it has no end")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    /// Returns a number below a limit.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    /// Returns `hash` with up to `bits` bits flipped.
    pub fn flip(&mut self, hash: u64, bits: usize) -> u64 {
        (0..bits).fold(hash, |hash, _| hash ^ 1 << self.below(64))
    }
}

/// Returns hashes of which some are near-duplicates of others, some share a hash and some lie in a ball.
pub fn planted(rows: usize, shared: usize, ball: usize, bits: usize, seed: u64) -> Vec<u64> {
    let mut random = Random(seed);
    let (same, centre) = (random.next(), random.next());
    let mut hashes: Vec<u64> = (0..rows - shared - ball).map(|_| random.next()).collect();
    for to in (0..hashes.len()).step_by(5).skip(1) {
        hashes[to] = random.flip(hashes[to - 1], bits);
    }
    hashes.extend((0..shared).map(|_| same));
    hashes.extend((0..ball).map(|_| random.flip(centre, bits)));
    hashes
}
