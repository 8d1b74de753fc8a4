//! The recipe and the files in `recipes/`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::*;
use crate::train::loss::HardNegatives;

/// All that there are.
const RECIPES: [&str; 6] = [
    "base.toml",
    "large.toml",
    "tiny.toml",
    "ladder/200k.toml",
    "ladder/1m.toml",
    "ladder/5m.toml",
];

fn recipe_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("recipes").join(name)
}

fn load(name: &str) -> Recipe {
    let file = Some(recipe_file(name));
    Recipe::load(Sources { file, ..Sources::default() }).unwrap_or_else(|error| panic!("{error}"))
}

fn set(flags: &[&str]) -> Result<Recipe, String> {
    let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
    Recipe::load(Sources { flags, ..Sources::default() }).map_err(|error| error.to_string())
}

/// Dotted keys of all values.
fn keys_of(table: &Table) -> BTreeSet<String> {
    let sections = table.iter().flat_map(|(section, keys)| {
        let keys = keys.as_table().into_iter().flat_map(Table::keys);
        keys.map(move |key| format!("{section}.{key}"))
    });
    sections.collect()
}

#[test]
fn base_toml_lists_every_key_at_its_default() {
    assert_eq!(load("base.toml"), Recipe::default());
    let text = std::fs::read_to_string(recipe_file("base.toml")).unwrap();
    let written = keys_of(&text.parse().unwrap());
    let known = keys_of(&Table::try_from(Recipe::default()).unwrap());
    assert_eq!(written, known);
    assert!(known.len() > 35, "only {} keys are known", known.len());
}

/// Lines that set a key or open a section and have no comment on the line above.
fn uncommented(text: &str) -> Vec<&str> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let sets = |line: &str| !line.starts_with('#') && (line.starts_with('[') || line.contains('='));
    let bare = lines.iter().enumerate().filter(|(at, line)| {
        sets(line) && !at.checked_sub(1).is_some_and(|above| lines[above].starts_with("# "))
    });
    bare.map(|(_, line)| *line).collect()
}

/// Every value says whose it is: read in the paper, second-hand, from memory, or ours.
#[test]
fn every_key_of_every_recipe_is_explained_and_marked() {
    for name in RECIPES {
        let text = std::fs::read_to_string(recipe_file(name)).unwrap();
        assert_eq!(uncommented(&text), Vec::<&str>::new(), "{name}");
        for block in text.split("\n\n") {
            let sets =
                block.lines().any(|line| !line.starts_with(['#', '[']) && line.contains('='));
            let marks = ["[P]", "[S]", "[?]", "(ours)"].iter().any(|mark| block.contains(mark));
            assert!(!sets || marks, "{name} does not say whose this is:\n{block}");
        }
    }
}

#[test]
fn the_large_recipe_differs_in_the_model_alone() {
    let (base, large) = (load("base.toml"), load("large.toml"));
    assert_eq!(large.model.config, "large");
    assert_ne!(large.model.weights, base.model.weights);
    let expected = Recipe { model: large.model.clone(), batch: large.batch.clone(), ..base };
    assert_eq!(large, expected);
    assert_eq!(large.batch.size, expected.batch.size);
}

#[test]
fn the_ladder_scales_steps_and_nothing_that_is_learned_with() {
    let base = load("base.toml");
    let mut steps = Vec::new();
    for (name, triplets) in [("200k", 200_000.0), ("1m", 1e6), ("5m", 5e6)] {
        let rung = load(&format!("ladder/{name}.toml"));
        let passes = (rung.run.steps as usize * rung.batch.size) as f64 / triplets;
        assert!((2.0..=12.0).contains(&passes), "{name}: {passes} passes");
        let warmup = rung.optimizer.warmup_steps as f64 / rung.run.steps as f64;
        assert!((0.02..=0.1).contains(&warmup), "{name}: warm-up is {warmup} of the run");
        let optimizer =
            Optimizer { warmup_steps: rung.optimizer.warmup_steps, ..base.optimizer.clone() };
        assert_eq!((&rung.optimizer, &rung.loss), (&optimizer, &base.loss), "{name}");
        assert_eq!(rung.batch.size, base.batch.size, "{name}");
        assert!(rung.checkpoint.every <= rung.run.steps / 4, "{name}");
        steps.push(rung.run.steps);
    }
    assert!(steps.is_sorted() && steps.last() < Some(&base.run.steps), "{steps:?}");
}

#[test]
fn flags_beat_the_file_and_the_file_beats_what_was_kept() {
    let kept = Recipe { run: Run { steps: 7, seed: 7 }, ..Recipe::default() };
    let mut kept = Recipe { optimizer: Optimizer { warmup_steps: 2, ..kept.optimizer }, ..kept };
    kept.log.every = 77;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.toml");
    std::fs::write(&file, "[run]\nseed = 8\n[log]\nevery = 78\n").unwrap();
    let sources = Sources {
        kept: Some(kept.text()),
        file: Some(file),
        flags: vec!["log.every=79".into(), "loss.hard_negatives=own-row".into()],
    };
    let recipe = Recipe::load(sources).unwrap();
    assert_eq!((recipe.run.steps, recipe.run.seed, recipe.log.every), (7, 8, 79));
    assert_eq!(recipe.loss.hard_negatives, HardNegatives::Own);
}

#[test]
fn a_recipe_survives_being_kept() {
    let mut recipe = Recipe::default();
    recipe.data.shards = vec!["a \"b\"".into(), "s3://bucket/c".into()];
    recipe.optimizer.lr_new = 1.1e-5;
    recipe.run.seed = u32::MAX;
    let sources = Sources { kept: Some(recipe.text()), ..Sources::default() };
    assert_eq!(Recipe::load(sources).unwrap(), recipe);
    assert_ne!(recipe.hash(), Recipe::default().hash());
    assert_eq!(recipe.hash().len(), 64);
}

#[test]
fn errors_name_the_key_and_where_it_was_set() {
    for (flag, problem) in [
        ("loss.temprature=1", "unknown key `loss.temprature`; did you mean loss.temperature?"),
        ("qqqqqqq=1", "unknown key `qqqqqqq`; recipes/base.toml lists the keys there are"),
        ("loss.temperature=0.001", "loss.temperature must be at least 0.01"),
        ("batch.chunk=4096", "batch.chunk must be between 1 and batch.size"),
        ("optimizer.betas=[0.9, 1.0]", "optimizer.betas must both be 0 or more and below 1"),
        ("optimizer.lr_new=nan", "optimizer.lr_new must be above 0 and at most 1"),
        ("augment.crop_scale=0.0", "augment.crop_scale must be above 0 and at most 1"),
        ("loss.mask=some", "loss.mask: unknown variant `some`, expected `cluster` or `none`"),
        ("data.workers=-1", "data.workers: invalid value: integer `-1`, expected usize"),
    ] {
        assert_eq!(set(&[flag]).unwrap_err(), format!("--set {flag}: {problem}"));
    }
    let error = set(&["optimizer.warmup_steps=60000"]).unwrap_err();
    assert!(error.ends_with("optimizer.warmup_steps must be run.steps or less"), "{error}");
}

/// Each key is set, by itself, to a value that no recipe should have.
#[test]
fn every_number_has_a_range() {
    let unbounded = [
        "run.steps",
        "run.seed",
        "data.workers",
        "batch.held_chunks",
        "batch.recompute_blocks",
        "eval.every",
        "eval.limit",
    ];
    let table = Table::try_from(Recipe::default()).unwrap();
    let numbers = keys_of(&table).into_iter().filter(|key| {
        let (section, key) = key.split_once('.').unwrap();
        matches!(table[section][key], Value::Integer(_) | Value::Float(_))
    });
    let mut seen = 0;
    for key in numbers.filter(|key| !unbounded.contains(&key.as_str())) {
        let is_float = key.split_once('.').is_some_and(|(s, k)| table[s][k].is_float());
        let wild: &[&str] = if is_float { &["-1.0", "1e9", "nan", "inf"] } else { &["0"] };
        // A warm-up of no steps is a choice.
        for value in wild.iter().filter(|_| key != "optimizer.warmup_steps") {
            // A high temperature is bad and yet one, and a wide clip clips nothing.
            let is_lax = ["loss.temperature", "optimizer.clip_norm"].contains(&key.as_str());
            if !(is_lax && *value == "1e9") {
                let error = set(&[&format!("{key}={value}")]).unwrap_err();
                assert!(error.contains(&format!("{key} must be")), "{error}");
            }
        }
        seen += 1;
    }
    assert!(seen >= 18, "{seen}");
}
