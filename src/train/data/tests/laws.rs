//! Laws of the order, over shards of random shape.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::fixtures::*;
use crate::record::Split;
use crate::train::data::{Batch, LoadOptions, Loader, Role, Shards};

fn shapes() -> impl Strategy<Value = Vec<Vec<u32>>> {
    prop::collection::vec(prop::collection::vec(1_u32..9, 1..4), 1..4)
}

fn total(shapes: &[Vec<u32>]) -> usize {
    shapes.iter().flatten().sum::<u32>() as usize
}

/// The number in a pixel of an image that [`png`] made.
fn number(pixel: &[f32]) -> u32 {
    pixel[0] as u32 + 256 * pixel[1] as u32
}

/// Everything in a batch belongs to the triplet whose id it has.
fn is_consistent(batch: &Batch) {
    for (row, triplet_id) in batch.triplet_ids.iter().enumerate() {
        let image = |at: usize| &batch.pixels[3 * at..3 * at + 3];
        let (query, target) = (image(row), image(batch.rows + row));
        let of = number(query);
        assert_eq!(*triplet_id, id(of));
        assert_eq!(number(target), of);
        assert_eq!((query[2], target[2]), (f32::from(QUERY), f32::from(TARGET)));
        let words = 1 + of as usize % 5;
        let ids = &batch.ids[row * batch.length..(row + 1) * batch.length];
        assert_eq!(ids.iter().filter(|&&id| id > 0).count(), words.min(4) + 2);
        let cluster = triplet(of, 0, None).query_cluster_id;
        let bytes = cluster.digest().unwrap();
        assert_eq!(batch.query_cluster[row].to_be_bytes(), bytes[..8]);
        assert_ne!(batch.query_cluster[row], batch.target_cluster[row]);
        let hard = batch.hard_row.iter().enumerate().filter(|&(_, &of)| of == row as i64);
        for (at, _) in hard {
            let hard = image(2 * batch.rows + at);
            assert_eq!(number(hard), of);
            assert!(hard[2] >= f32::from(HARD));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn each_epoch_has_every_triplet_once_and_whole(
        shapes in shapes(),
        batch in 1_usize..7,
        window in 1_usize..40,
        prefetch_mib in 0_usize..2,
    ) {
        let folder = folder(&shapes, |number| u64::from(number / 3));
        let dataset = train(folder.path());
        let options =
            LoadOptions { prefetch_mib, hard_negatives: 1, ..options(batch, window) };
        let steps = (2 * total(&shapes)).div_ceil(batch);
        let batches = batches(&dataset, &options, 0, steps);
        batches.iter().for_each(is_consistent);
        prop_assert_eq!(dataset.rows() as usize, total(&shapes));
        for epoch in ids(&batches).chunks_exact(total(&shapes)) {
            let mut epoch = epoch.to_vec();
            epoch.sort();
            epoch.dedup();
            prop_assert_eq!(epoch.len(), total(&shapes));
        }
    }

    #[test]
    fn a_resumed_run_goes_on_as_if_it_had_not_stopped(
        shapes in shapes(),
        batch in 1_usize..7,
        window in 1_usize..40,
        stop in 0_usize..12,
        threads in 1_usize..4,
        prefetch_mib in 0_usize..2,
    ) {
        let folder = folder(&shapes, |number| u64::from(number / 2));
        let dataset = train(folder.path());
        let options = LoadOptions { hard_negatives: 1, ..options(batch, window) };
        let undisturbed = batches(&dataset, &options, 0, stop + 3);
        let other = LoadOptions { threads, prefetch_mib, ..options };
        prop_assert_eq!(&batches(&dataset, &other, stop as u64, 3)[..], &undisturbed[stop..]);
    }

    #[test]
    fn ranks_together_have_the_batch_of_one(
        shapes in shapes(),
        each in 1_usize..4,
        world in 2_usize..5,
        window in 1_usize..40,
    ) {
        let folder = folder(&shapes, u64::from);
        let dataset = train(folder.path());
        let one = LoadOptions { hard_negatives: 2, ..options(each * world, window) };
        let alone = batches(&dataset, &one, 1, 3);
        let ranks: Vec<Vec<Batch>> = (0..world)
            .map(|rank| batches(&dataset, &LoadOptions { rank, world, ..one.clone() }, 1, 3))
            .collect();
        for (step, alone) in alone.iter().enumerate() {
            let rank = |part: fn(&Batch) -> Vec<i64>| -> Vec<i64> {
                ranks.iter().flat_map(|batches| part(&batches[step])).collect()
            };
            prop_assert_eq!(&rank(|batch| batch.query_cluster.clone()), &alone.query_cluster);
            prop_assert_eq!(&rank(|batch| batch.target_cluster.clone()), &alone.target_cluster);
            let images = |range: fn(&Batch) -> std::ops::Range<usize>| -> Vec<f32> {
                let of = |batches: &Vec<Batch>| batches[step].pixels[range(&batches[step])].to_vec();
                ranks.iter().flat_map(of).collect()
            };
            let queries = images(|batch| 0..3 * batch.rows);
            let targets = images(|batch| 3 * batch.rows..6 * batch.rows);
            let hard = images(|batch| 6 * batch.rows..batch.pixels.len());
            prop_assert_eq!(&[queries, targets, hard].concat(), &alone.pixels);
            let of_rank = |(rank, batches): (usize, &Vec<Batch>)| {
                batches[step].hard_row.iter().map(|row| row + (rank * each) as i64).collect()
            };
            let hard: Vec<Vec<i64>> = ranks.iter().enumerate().map(of_rank).collect();
            prop_assert_eq!(&hard.concat(), &alone.hard_row);
            let longest = ranks.iter().map(|batches| batches[step].length).max();
            prop_assert_eq!(longest, Some(alone.length));
        }
    }

    #[test]
    fn a_pass_in_order_has_the_first_triplets_as_they_lie(
        shapes in shapes(),
        batch in 1_usize..7,
        window in 1_usize..40,
        limit in prop::option::of(0_u64..60),
    ) {
        let folder = folder(&shapes, |_| 0);
        let dataset = train(folder.path());
        let loader = Loader::in_order(&dataset, &options(batch, window), prepare(), limit);
        let batches: Vec<Batch> = loader.unwrap().map(Result::unwrap).collect();
        let count = limit.unwrap_or(u64::MAX).min(dataset.rows()) as u32;
        prop_assert_eq!(ids(&batches), (0..count).map(id).collect::<Vec<_>>());
        let full = batches.iter().rev().skip(1).all(|one| one.rows == batch);
        prop_assert!(full && batches.iter().all(|one| one.valid == vec![true; one.rows]));
    }
}

#[test]
fn triplets_of_a_page_come_in_different_batches() {
    // 120 triplets of 15 pages, 8 each, in a window of 10 batches.
    let folder = folder(&[vec![30, 30], vec![60]], |number| u64::from(number / 8));
    let dataset = train(folder.path());
    let page =
        |id: &String| (0..120).find(|&number| super::fixtures::id(number) == *id).unwrap() / 8;
    let shared = |options: &LoadOptions| {
        let batches = batches(&dataset, options, 0, 10);
        let repeats = |batch: &Batch| {
            let pages: std::collections::BTreeSet<u32> =
                batch.triplet_ids.iter().map(page).collect();
            batch.rows - pages.len()
        };
        let counted: usize = batches.iter().map(|batch| batch.shared_pages).sum();
        (batches.iter().map(repeats).sum::<usize>(), counted)
    };
    assert_eq!(shared(&options(12, 120)), (0, 0));
    let (repeats, _) = shared(&LoadOptions { distinct_pages: false, ..options(12, 120) });
    assert!(repeats > 20, "{repeats}");
    // A window of two batches cannot keep eight triplets apart, and says how many it did not.
    let (repeats, counted) = shared(&options(12, 24));
    assert!(repeats == counted && counted > 0, "{repeats} {counted}");
}

#[test]
fn hard_negatives_are_read_when_asked_for_and_drawn_by_the_seed() {
    let folder = folder(&[vec![20]], u64::from);
    let dataset = train(folder.path());
    let batch = |hard_negatives, seed| {
        let options = LoadOptions { hard_negatives, seed, ..options(20, 20) };
        batches(&dataset, &options, 0, 1).remove(0)
    };
    assert_eq!(batch(0, 1).pixels.len(), 3 * 40);
    let all = batch(9, 1);
    let mut counts: BTreeMap<i64, usize> = BTreeMap::new();
    all.hard_row.iter().for_each(|&row| *counts.entry(row).or_default() += 1);
    for (row, triplet_id) in (0..).zip(&all.triplet_ids) {
        let number = (0..20).find(|&number| id(number) == *triplet_id).unwrap();
        let has = usize::from(hard_of(number).unwrap_or(0));
        assert_eq!(counts.get(&row).copied().unwrap_or(0), has);
    }
    let one = batch(1, 1);
    assert_eq!(one.hard_row.len(), 13);
    let marks = |batch: &Batch| -> Vec<(u32, f32)> {
        let hard = batch.pixels[3 * 40..].chunks(3);
        let mut marks: Vec<_> = hard.map(|pixel| (number(pixel), pixel[2])).collect();
        marks.sort_by_key(|&(number, _)| number);
        marks
    };
    assert_eq!(batch(1, 1), one);
    assert_ne!(marks(&batch(1, 2)), marks(&one));
}

#[test]
fn texts_are_trimmed_to_the_longest_of_the_batch() {
    let folder = folder(&[vec![40]], u64::from);
    let dataset = train(folder.path());
    for batch in batches(&dataset, &options(4, 40), 0, 10) {
        assert_eq!(batch.ids.len(), 4 * batch.length);
        let rows: Vec<&[i64]> = batch.ids.chunks(batch.length).collect();
        assert!(rows.iter().any(|ids| ids[batch.length - 1] == 49407));
        assert!(rows.iter().all(|ids| ids[0] == 49406));
        let long = rows.iter().filter(|ids| ids.contains(&4)).count();
        assert!(batch.cut_texts <= long);
    }
    let batches = batches(&dataset, &options(40, 40), 0, 1);
    assert_eq!((batches[0].length, batches[0].cut_texts), (6, 8));
}

#[test]
fn every_image_has_a_seed_of_its_own_that_ranks_agree_on() {
    use std::sync::{Arc, Mutex};
    let folder = folder(&[vec![12]], u64::from);
    let dataset = train(folder.path());
    let seeds = |rank, world, seed| {
        let seen = Arc::new(Mutex::new(BTreeMap::new()));
        let into = seen.clone();
        let image = move |bytes: &[u8], seed: u64, _: &mut [f32]| {
            into.lock().unwrap().entry(bytes.to_vec()).or_insert(seed);
            Ok(())
        };
        let prepare = crate::train::data::Prepare { image: Arc::new(image), ..prepare() };
        let options = LoadOptions { rank, world, seed, ..options(12, 12) };
        let mut loader = Loader::start(&dataset, &options, prepare, 0).unwrap();
        loader.next().unwrap().unwrap();
        drop(loader);
        let seen = seen.lock().unwrap();
        seen.clone()
    };
    let alone = seeds(0, 1, 1);
    let distinct: std::collections::BTreeSet<u64> = alone.values().copied().collect();
    assert_eq!((alone.len(), distinct.len()), (24, 24));
    let first = |(bytes, seed): (Vec<u8>, u64)| assert_eq!(alone[&bytes], seed);
    // Later batches of a rank may have begun: only images of its own first batch are compared.
    let options = LoadOptions { rank: 1, world: 2, seed: 1, ..options(12, 12) };
    let batch = batches(&dataset, &options, 0, 1).remove(0);
    let own = seeds(1, 2, 1).into_iter().filter(|(bytes, _)| {
        batch.triplet_ids.iter().any(|triplet_id| {
            let number = (0..12).find(|&number| id(number) == *triplet_id).unwrap();
            *bytes == png(number, QUERY)
        })
    });
    own.for_each(first);
    assert_ne!(seeds(0, 1, 2), alone);
}

#[test]
fn a_batch_given_back_lends_its_memory_to_a_later_one() {
    let folder = folder(&[vec![12]], u64::from);
    let dataset = train(folder.path());
    let options = LoadOptions { ready_batches: 1, ..options(4, 12) };
    let mut loader = Loader::start(&dataset, &options, prepare(), 0).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..50 {
        let batch = loader.next().unwrap().unwrap();
        is_consistent(&batch);
        seen.insert(batch.pixels.as_ptr() as usize);
        loader.recycle(batch);
    }
    assert!(seen.len() <= 4, "{} allocations", seen.len());
    assert_eq!(loader.position(50), options.position(&dataset, 50));
}

#[test]
fn splits_are_datasets_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let rows = |numbers: std::ops::Range<u32>, split| {
        let of = |number| crate::table::Triplet { split, ..triplet(number, 0, None) };
        vec![numbers.map(of).collect()]
    };
    shard(&folder.path().join("0.parquet"), &rows(0..5, Split::Train));
    shard(&folder.path().join("1.parquet"), &rows(5..8, Split::Val));
    let shards = Shards::open(folder.path().to_str().unwrap()).unwrap();
    let (train, val) = (shards.split(Split::Train).unwrap(), shards.split(Split::Val).unwrap());
    assert_eq!((train.rows(), val.rows()), (5, 3));
    assert_ne!(train.fingerprint(), val.fingerprint());
    let error = shards.split(Split::Test).unwrap_err().to_string();
    assert!(error.ends_with("no triplets of split test in 2 shards"), "{error}");
    let mut loader = Loader::in_order(&val, &options(2, 2), prepare(), None).unwrap();
    assert_eq!(loader.next().unwrap().unwrap().triplet_ids, [id(5), id(6)]);
    assert_eq!(Role::Query.number(), 0);
}
