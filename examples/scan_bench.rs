//! Exact search over random unit vectors, for `benches/peers/search.sh` to put beside others.
//!
//!   scan_bench FILE ROWS WIDTH QUERIES K ROUNDS
//!
//! Writes FILE where it is not of this size, then prints a line of JSON a measurement: a plain read of the
//! matrix, one query, and all of them; wall and CPU seconds.

use std::path::Path;
use std::time::Instant;

use magiclens::retrieval::index::matrix::{Matrix, Writer};
use magiclens::retrieval::index::scan::top_k;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

/// Rows that are drawn at a time.
const BLOCK: usize = 10_000;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, numbers @ ..] = arguments.as_slice() else { anyhow::bail!("see the source") };
    let numbers: Vec<usize> = numbers.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
    let [rows, width, queries, k, rounds] = numbers[..] else { anyhow::bail!("see the source") };
    let path = Path::new(file);
    if path.metadata().map_or(true, |found| found.len() != (rows * width * 2) as u64) {
        write(path, rows, width)?;
    }
    let opening = Instant::now();
    let matrix = Matrix::open(path, width)?;
    say("open", opening.elapsed().as_secs_f64(), 0.0);
    let queries = unit(queries, width, u64::MAX);
    for _ in 0..rounds {
        measure("read", || std::hint::black_box(read(&matrix)));
        measure("one", || std::hint::black_box(top_k(&matrix, &queries[..width], k)));
        measure("all", || std::hint::black_box(top_k(&matrix, &queries, k)));
    }
    Ok(())
}

fn write(path: &Path, rows: usize, width: usize) -> anyhow::Result<()> {
    let mut writer = Writer::create(path, width)?;
    for first in (0..rows).step_by(BLOCK) {
        writer.push(&unit(BLOCK.min(rows - first), width, first as u64))?;
    }
    Ok(writer.finish()?)
}

fn unit(rows: usize, width: usize, seed: u64) -> Vec<f32> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut numbers: Vec<f32> =
        (0..rows * width).map(|_| StandardNormal.sample(&mut random)).collect();
    for row in numbers.chunks_exact_mut(width) {
        let length = row.iter().map(|number| number * number).sum::<f32>().sqrt();
        row.iter_mut().for_each(|number| *number /= length);
    }
    numbers
}

/// Every byte looked at once, on all cores.
fn read(matrix: &Matrix) -> u64 {
    let words: &[u64] = bytemuck::cast_slice(matrix.numbers());
    let sum = |words: &[u64]| words.iter().fold(0_u64, |sum, word| sum.wrapping_add(*word));
    words.par_chunks(1 << 16).map(sum).reduce(|| 0, u64::wrapping_add)
}

fn measure<T>(what: &str, work: impl FnOnce() -> T) {
    let (wall, cpu) = (Instant::now(), cpu_seconds());
    work();
    say(what, wall.elapsed().as_secs_f64(), cpu_seconds() - cpu);
}

#[expect(clippy::print_stdout, reason = "this is its output")]
fn say(what: &str, wall: f64, cpu: f64) {
    println!("{}", serde_json::json!({ "what": what, "wall": wall, "cpu": cpu }));
}

/// User and system time of this process, in the kernel's ticks of 10 ms.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}
