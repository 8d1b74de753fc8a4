//! Exact search in memory: one query, a batch. Beside FAISS: `benches/peers/search.sh`.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use magiclens::retrieval::index::matrix::{Matrix, Writer};
use magiclens::retrieval::index::scan::top_k;

const ROWS: usize = 50_000;
const WIDTH: usize = 768;

fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|at| ((at * 2_654_435_761) % 10_007) as f32 / 10_007.0 - 0.5).collect()
}

fn search(c: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("vectors");
    let mut writer = Writer::create(&path, WIDTH).expect("a file");
    writer.push(&numbers(ROWS * WIDTH)).expect("room on the disk");
    writer.finish().expect("room on the disk");
    let matrix = Matrix::open(&path, WIDTH).expect("what was just written");
    let mut group = c.benchmark_group("search 50k x 768");
    for queries in [1, 4, 64, 256] {
        let asked = numbers(queries * WIDTH);
        group.throughput(Throughput::Elements((queries * ROWS) as u64));
        group.bench_function(format!("{queries} queries"), |bench| {
            bench.iter(|| top_k(&matrix, &asked, 50))
        });
    }
    group.finish();
}

criterion_group!(benches, search);
criterion_main!(benches);
