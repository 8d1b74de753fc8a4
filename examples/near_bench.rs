//! Near-duplicates among hashes made up for the purpose, for `benches/peers/near.sh` to put beside others.
//!
//!   near_bench ROWS RADIUS [FILE [BYTES]]
//!
//! One row in five is a near-duplicate of the row before it, one in a hundred has one hash, one in a
//! thousand lies in one ball of radius 3. Prints a line of JSON for each measurement, wall and CPU seconds
//! with the most memory so far: all pairs within the radius (the candidates), star clusters of them, and of
//! 200,000 such rows how many pairs are missed beside comparing all with all. With FILE, the distinct
//! hashes are written there as 64-bit numbers, least byte first, for the peer. BYTES is the memory that
//! either may take beside its input, as much as it wants if left out.

use std::convert::Infallible;
use std::io::Write;
use std::time::Instant;

use anyhow::{Context, Result};
use magiclens::similarity::near::{Limits, NearError, Room, neighbours};
use magiclens::stages::group::leaders::{Distinct, leaders};
use magiclens::telemetry::{self, Resources};
use rayon::prelude::*;

/// Rows of which all pairs are compared.
const SAMPLE: usize = 200_000;

/// Centres that one item is compared with, as in `group`.
const MAX_CENTRES: usize = 64;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [rows, radius, file @ ..] = arguments.as_slice() else {
        anyhow::bail!("usage: near_bench ROWS RADIUS [FILE [BYTES]]")
    };
    let (rows, radius): (usize, u32) = (rows.parse()?, radius.parse()?);
    let memory = file.get(1).map_or(Ok(u64::MAX / 8), |bytes| bytes.parse())?;
    check(radius)?;
    let hashes = planted(rows, 7);
    let distinct = distinct(&hashes);
    if let Some(path) = file.first() {
        write(path, &distinct).with_context(|| path.clone())?;
    }
    let pairs = measure("candidates", || {
        let near = neighbours(
            &distinct,
            radius,
            Limits::default(),
            Room { search: memory, result: memory },
        )?;
        Ok::<_, NearError>((0..distinct.len() as u32).map(|i| near.of(i).len()).sum::<usize>() / 2)
    })?;
    say(&format!("\"distinct\": {}, \"pairs\": {pairs}", distinct.len()));
    drop(distinct);
    let order: Vec<u32> = (0..rows as u32).collect();
    let stars = measure("clusters", || {
        let distinct = Distinct::new(hashes);
        let near =
            neighbours(distinct.hashes(), radius, Limits::default(), distinct.room(memory)?)?;
        // Every candidate passes for the same: the most that clusters can have to do.
        let all_same = |_, _| Ok::<_, Infallible>(true);
        let Ok(clusters) = leaders(distinct, near, &order, all_same, MAX_CENTRES);
        let centres = clusters.centre_of.iter().enumerate();
        let stars = centres.filter(|&(item, &centre)| item as u32 == centre).count();
        Ok::<_, NearError>(stars)
    })?;
    say(&format!("\"clusters\": {stars}"));
    Ok(())
}

/// Counts what is missed and what is too much, beside comparing all with all.
fn check(radius: u32) -> Result<()> {
    let hashes = distinct(&planted(SAMPLE, 11));
    let near = |i: usize, j: usize| (hashes[i] ^ hashes[j]).count_ones() <= radius;
    let truth = |i: usize| -> Vec<u32> {
        (0..hashes.len()).filter(|&j| i != j && near(i, j)).map(|j| j as u32).collect()
    };
    let truth: Vec<Vec<u32>> = (0..hashes.len()).into_par_iter().map(truth).collect();
    let all = Room { search: u64::MAX / 8, result: u64::MAX / 8 };
    let found = neighbours(&hashes, radius, Limits::default(), all)?;
    let (mut pairs, mut missed, mut wrong) = (0, 0, 0);
    for (i, truth) in truth.iter().enumerate() {
        let found = found.of(i as u32);
        pairs += truth.len();
        missed += truth.iter().filter(|j| found.binary_search(j).is_err()).count();
        wrong += found.iter().filter(|j| truth.binary_search(j).is_err()).count();
    }
    say(&format!(
        "\"what\": \"check\", \"rows\": {SAMPLE}, \"pairs\": {}, \"missed\": {missed}, \"wrong\": {wrong}",
        pairs / 2
    ));
    Ok(())
}

fn planted(rows: usize, seed: u64) -> Vec<u64> {
    let mut random = Random(seed);
    let (same, centre) = (random.next(), random.next());
    let (shared, ball) = (rows / 100, rows / 1000);
    let mut hashes: Vec<u64> = (0..rows - shared - ball).map(|_| random.next()).collect();
    for to in (1..hashes.len()).step_by(5) {
        hashes[to] = random.flip(hashes[to - 1]);
    }
    hashes.extend(std::iter::repeat_n(same, shared));
    hashes.extend((0..ball).map(|_| random.flip(centre)));
    hashes
}

/// Splitmix64, by Sebastiano Vigna.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    /// `hash` with up to three bits flipped.
    fn flip(&mut self, hash: u64) -> u64 {
        (0..3).fold(hash, |hash, _| hash ^ 1 << (self.next() % 64))
    }
}

fn distinct(hashes: &[u64]) -> Vec<u64> {
    let mut hashes = hashes.to_vec();
    hashes.par_sort_unstable();
    hashes.dedup();
    hashes
}

fn write(path: &str, hashes: &[u64]) -> Result<()> {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
    hashes.iter().try_for_each(|hash| file.write_all(&hash.to_le_bytes()))?;
    Ok(file.flush()?)
}

fn measure<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let (wall, cpu) = (Instant::now(), resources().cpu_s);
    let value = work();
    let (wall, cpu) = (wall.elapsed().as_secs_f64(), resources().cpu_s - cpu);
    let peak = resources().peak_bytes >> 20;
    say(&format!(
        "\"what\": \"{what}\", \"wall\": {wall:.2}, \"cpu\": {cpu:.2}, \"peak_mb\": {peak}"
    ));
    value
}

#[expect(clippy::print_stdout, reason = "measurements are this program's output")]
fn say(fields: &str) {
    println!("{{{fields}}}");
}

/// Of this process; nothing where the system does not say.
fn resources() -> Resources {
    telemetry::resources().unwrap_or_default()
}
