//! Checkpoints on a real disk: kept, damaged, killed, and without room.

mod damage;
mod full;
mod keeping;
mod kill;

use std::fs;
use std::path::Path;

use super::*;

/// Files of some size whose content is that of their step and name alone.
const FILES: [(&str, usize); 3] =
    [("model.safetensors", 300_000), ("config.json", 100), ("optimizer.safetensors", 600_000)];

fn content(name: &str, step: u64) -> Vec<u8> {
    let size = FILES.iter().find(|(file, _)| *file == name).map_or(10, |(_, size)| *size);
    (0..size as u64).map(|at| (at * 31 + step * 7 + name.len() as u64) as u8).collect()
}

fn state(step: u64) -> TrainState {
    TrainState {
        step,
        triplets: step * 2048,
        seed: 7,
        data: "fingerprint".into(),
        recipe: "[run]\nsteps = 10\n".into(),
        recipe_hash: "hash".into(),
        world_size: 2,
        best_score: Some(0.5),
        seconds: 1.25,
        counters: Counters { cut_texts: 3, ..Counters::default() },
        software: TrainState::software(),
    }
}

/// Saves a step with the files above.
fn save(keeper: &Keeper, step: u64, score: Option<f64>) -> Result<Saved, CheckpointError> {
    let writers = FILES.map(|(name, _)| {
        let write = move |path: &Path| Ok(fs::write(path, content(name, step))?);
        (name, Box::new(write) as Box<Writer>)
    });
    let files: Vec<(&str, &Writer)> =
        writers.iter().map(|(name, write)| (*name, &**write)).collect();
    keeper.save(&state(step), score, &files)
}

/// Names in a folder that begin with a dot: work that is not done.
fn leftovers(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let names = names.map(|name| name.to_string_lossy().into_owned());
    let mut names: Vec<_> = names.filter(|name| name.starts_with('.') && name != ".lock").collect();
    names.sort();
    names
}
