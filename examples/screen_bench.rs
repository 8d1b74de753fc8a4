//! How fast images are looked up among those of benchmarks, with hashes made up for the purpose.
//!
//!   screen_bench IMAGES LOOKUPS
//!
//! IMAGES have thirteen views each, as `mine hash-images` makes them, with random hashes; of LOOKUPS images one in a
//! thousand is a copy, a few bits off, and the others are random, which is what nearly all images of a crawl
//! are to a benchmark. Prints lines of JSON: seconds and megabytes to build the indexes, and wall seconds,
//! CPU microseconds a lookup and copies found, on all cores.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::Result;
use magiclens::config::Decontaminate;
use magiclens::record::{ImageId, Look};
use magiclens::stages::export::decontaminate::{Benchmark, Listed, Screen, View};
use magiclens::telemetry::{self, Resources};
use rayon::prelude::*;

/// The whole and twelve parts of it.
const VIEWS: u64 = 13;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [images, lookups] = arguments.as_slice() else {
        anyhow::bail!("usage: screen_bench IMAGES LOOKUPS")
    };
    let (images, lookups): (u64, u64) = (images.parse()?, lookups.parse()?);
    let begun = Instant::now();
    let listed = |image: u64| Listed {
        file: String::new(),
        image_id: ImageId::of(&image.to_le_bytes()),
        views: (0..VIEWS).map(|nth| view(image * VIEWS + nth)).collect(),
        embedding: Vec::new(),
    };
    let images_of = (0..images).into_par_iter().map(listed).collect();
    let benchmark = Benchmark { name: "random".into(), images: images_of, ..Benchmark::default() };
    let made = begun.elapsed();
    let screen = Screen::new(&[benchmark], &Decontaminate::default());
    let took = (begun.elapsed() - made).as_secs_f64();
    say(&format!(
        "\"images\": {images}, \"build_s\": {took:.2}, \"peak_mb\": {}",
        resources().peak_bytes >> 20
    ));

    let (begun, cpu, found) = (Instant::now(), resources().cpu_s, AtomicU64::new(0));
    (0..lookups).into_par_iter().for_each(|nth| {
        let look = match nth % 1000 {
            0 => copy(nth / 1000 % images),
            _ => look(view(u64::MAX - nth), nth),
        };
        found.fetch_add(screen.matches(&look, None).len() as u64, Ordering::Relaxed);
    });
    let (took, cpu) = (begun.elapsed().as_secs_f64(), resources().cpu_s - cpu);
    say(&format!(
        "\"lookups\": {lookups}, \"wall_s\": {took:.2}, \"cpu_us_each\": {:.1}, \"copies\": {}, \"found\": {}",
        cpu * 1e6 / lookups as f64,
        lookups.div_ceil(1000),
        found.into_inner(),
    ));
    Ok(())
}

/// Splitmix64, by Sebastiano Vigna.
fn mix(seed: u64) -> u64 {
    let sum = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = (sum ^ sum >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ mixed >> 31
}

fn view(seed: u64) -> View {
    let words = |salt: u64, count: u64| {
        (0..count).flat_map(move |nth| mix(mix(seed ^ salt) ^ nth).to_le_bytes()).collect()
    };
    View {
        phash: mix(seed),
        phash256: words(1 << 60, 4),
        colour_layout: words(1 << 61, 24),
        width: 640,
        height: 480,
    }
}

fn look(view: View, nth: u64) -> Look {
    Look {
        image_id: ImageId::of(&nth.to_be_bytes()),
        width: view.width,
        height: view.height,
        phash: view.phash,
        phash256: view.phash256,
        colour_layout: view.colour_layout,
        ..Look::default()
    }
}

/// A copy of the whole image, three bits off in the one hash and eight in the other.
fn copy(image: u64) -> Look {
    let mut view = view(image * VIEWS);
    view.phash ^= 0b1_0000_0100_0001;
    view.phash256[3] ^= 0xFF;
    look(view, image << 32)
}

#[expect(clippy::print_stdout, reason = "measurements are this program's output")]
fn say(fields: &str) {
    println!("{{{fields}}}");
}

/// Of this process; nothing where the system does not say.
fn resources() -> Resources {
    telemetry::resources().unwrap_or_default()
}
