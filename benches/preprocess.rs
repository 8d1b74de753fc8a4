//! What one stored image costs on its way to the model, as the trainer's data side does it: decoding,
//! scaling, both.
//!
//! `cargo bench --features torch --bench preprocess`, by CPU time: images a second are those of one core.
//! The pictures are drawn here: photo-like noise, 512 pixels wide, encoded as the store encodes. With
//! `DUMP=FOLDER` they are written there instead, for `benches/peers/preprocess.py`.

use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use magiclens::config::Fetch;
use magiclens::imaging::decode_stored;
use magiclens::model::ModelConfig;
use magiclens::model::input::ImageInput;
use magiclens::model::preprocess::{ImageSpec, Preprocess, RgbView, prepare_into};

#[path = "support/cpu_time.rs"]
mod cpu_time;
#[path = "support/pictures.rs"]
mod pictures;
#[path = "support/process_time.rs"]
mod process_time;

use cpu_time::CpuTime;

fn steps(c: &mut Criterion<CpuTime>) {
    for height in [384, 512] {
        let files: Vec<Vec<u8>> = (0..16).map(|n| pictures::jpeg(512, height, 90, n)).collect();
        let bytes: usize = files.iter().map(Vec::len).sum();
        eprintln!("512×{height}: {} bytes a file on average", bytes / files.len());
        match std::env::var("DUMP") {
            Ok(folder) => dump(&files, height, folder.as_ref()).expect("the folder is writable"),
            Err(_) => measure(c, &files, height),
        }
    }
}

fn measure(c: &mut Criterion<CpuTime>, files: &[Vec<u8>], height: u16) {
    let limits = Fetch::default();
    let spec = ImageSpec::from(&ModelConfig::base());
    let mut group = c.benchmark_group(format!("512x{height} to 224"));
    group.throughput(Throughput::Elements(1));
    let mut next = files.iter().cycle();
    let mut next = move || next.next().expect("a cycle never ends");
    group.bench_function("decode", |b| b.iter(|| decode_stored(next(), &limits)));
    let bitmap = decode_stored(&files[0], &limits).expect("a JPEG drawn above");
    let (width, height) = (bitmap.width as usize, bitmap.height as usize);
    let image = RgbView::new(width, height, &bitmap.rgb).expect("a whole bitmap");
    let mut out = vec![0.0; 3 * spec.size * spec.size];
    for how in [Preprocess::Released, Preprocess::Clip] {
        group.bench_function(format!("resize, {how:?}"), |b| {
            b.iter(|| prepare_into(black_box(image), None, &spec, how, &mut out));
        });
        let input = ImageInput { spec, how, crop: None };
        group.bench_function(format!("all, {how:?}"), |b| {
            b.iter(|| input.read(next(), 0, &mut out).expect("a JPEG drawn above"));
        });
        let one = |file: &Vec<u8>| input.read(file, 0, &mut out).expect("a JPEG drawn above");
        let rate = a_second(files, one);
        eprintln!("512×{height} to 224, all, {how:?}: {rate:.0} images/s/core");
    }
    group.finish();
}

/// How many of the files a core is done with in a second of its time.
fn a_second(files: &[Vec<u8>], mut one: impl FnMut(&Vec<u8>)) -> f64 {
    let (before, mut done) = (process_time::cpu(), 0);
    loop {
        files.iter().for_each(&mut one);
        done += files.len();
        let took = (process_time::cpu() - before).as_secs_f64();
        if took >= 1.0 {
            return done as f64 / took;
        }
    }
}

fn dump(files: &[Vec<u8>], height: u16, folder: &Path) -> std::io::Result<()> {
    for (n, file) in files.iter().enumerate() {
        std::fs::write(folder.join(format!("512x{height}-{n:02}.jpg")), file)?;
    }
    Ok(())
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime);
    targets = steps
}
criterion_main!(benches);
