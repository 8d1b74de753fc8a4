//! What one image costs from bytes to row, and what its steps cost.
//!
//! `cargo bench --bench imaging [--features turbo]`. The pictures are drawn here: 612×459 photo-like
//! noise of about 38 KB as JPEG, the size of a typical web photograph.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use magiclens::config::Fetch;
use magiclens::imaging::{Features, decode_rgb, prepare};

#[path = "support/pictures.rs"]
mod pictures;

/// Width of every picture.
const WIDTH: u16 = 612;
/// Height of every picture: 0.28 megapixels.
const HEIGHT: u16 = 459;

/// A JPEG of about 38 KB.
fn web_jpeg(seed: u32) -> Vec<u8> {
    pictures::jpeg(WIDTH, HEIGHT, 85, seed)
}

fn steps(c: &mut Criterion) {
    let files: Vec<Vec<u8>> = (0..16).map(web_jpeg).collect();
    let bytes: usize = files.iter().map(Vec::len).sum();
    eprintln!("{} bytes a file on average", bytes / files.len());
    let mut group = c.benchmark_group("imaging");
    group.throughput(Throughput::Elements(1));
    let mut next = files.iter().cycle();
    for side in [256, 512] {
        let limits = Fetch { max_side: side, ..Fetch::default() };
        group.bench_function(format!("prepare to {side}"), |b| {
            b.iter(|| prepare(next.next().expect("cycle never ends").clone(), &limits));
        });
    }
    let limits = Fetch::default();
    group.bench_function("decode", |b| {
        b.iter(|| decode_rgb(next.next().expect("cycle never ends"), &limits));
    });
    let bitmap = decode_rgb(&files[0], &limits).expect("a JPEG drawn above");
    group.bench_function("features", |b| b.iter(|| Features::of(black_box(&bitmap))));
    group.bench_function("encode", |b| {
        b.iter(|| {
            let mut encoder = Encoder::new(Vec::with_capacity(1 << 16), 90);
            encoder.set_sampling_factor(SamplingFactor::R_4_2_0);
            encoder.encode(&bitmap.rgb, bitmap.width as u16, bitmap.height as u16, ColorType::Rgb)
        });
    });
    group.finish();
}

criterion_group!(benches, steps);
criterion_main!(benches);
