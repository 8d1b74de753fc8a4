//! A place to train at: shards, a recipe, runs, and what a run leaves, read without `train`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use magiclens::model::ModelConfig;
use magiclens::train::loss::INITIAL_SCALE;
use safetensors::SafeTensors;
use serde_json::Value;
use tempfile::TempDir;

use super::shards;

use crate::bounds::{F32, assert_within, likely, roundings};
use crate::support::signal;

/// Steps of a run: two passes over the triplets and some more.
pub const STEPS: u64 = 24;

/// Triplets of a step, and of a validation.
const BATCH: usize = 16;

/// Has a step be a multiple of the gradient where this is small. Adam alone makes a whole step of a
/// gradient that is nothing but rounding, and so of rounding far more than it is.
pub const EVEN: &str = "optimizer.eps=1e-2";

/// Everything that a resumed run could get wrong is on: crops, averages, a schedule, validation.
const RECIPE: &str = r#"
[run]
steps = 24
seed = 5
[model]
config = "sizes.json"
weights = ""
precision = "f32"
[augment]
crop_scale = 0.6
crop_ratio = 1.2
[data]
prefetch_mib = 64
[batch]
size = 16
chunk = 8
held_chunks = 2
[optimizer]
lr_new = 1e-3
lr_reused = 1e-3
warmup_steps = 4
[ema]
decay = 0.9
[checkpoint]
every = 5
[eval]
every = 6
[log]
every = 1
"#;

/// A model whose checkpoints are written in no time: a quarter of the numbers of `tiny`.
const SIZES: &str = r#"{
  "name": "tinier", "image_size": 48, "context_length": 77,
  "image_mean": [0.48145466, 0.4578275, 0.40821073],
  "image_std": [0.26862954, 0.26130258, 0.27577711],
  "clip": {
    "embed_dim": 32, "vocab_size": 49408, "vision_num_layers": 2, "vision_features": 32,
    "vision_patch_size": 16, "text_features": 16, "text_num_heads": 2, "text_num_layers": 1,
    "vision_head_dim": 16, "vision_num_heads": 2
  },
  "magiclens": {
    "embed_dim": 32, "ff_hidden_size": 128, "num_layers": 2, "num_heads": 4,
    "num_query_token": 1, "clip_model_name": "tinier", "fusion_dim_per_head": 8,
    "pooler_hidden_dim": 128, "pooler_dim_per_head": 32
  }
}"#;

/// Longer than any run here takes, on whatever machine.
const PATIENCE: Duration = Duration::from_secs(900);

/// A folder with `shards/` and `recipe.toml`; runs go beside them.
pub struct Bench {
    /// The folder.
    pub folder: TempDir,
}

/// A line of `log.jsonl` without the time and what depends on it.
pub type Point = BTreeMap<String, f64>;

impl Bench {
    /// Draws shards.
    pub fn new() -> Self {
        Self::with(shards::triplets())
    }

    /// The same with these triplets.
    pub fn with(triplets: Vec<magiclens::table::Triplet>) -> Self {
        let bench = Self { folder: tempfile::tempdir().unwrap() };
        std::fs::write(bench.at("recipe.toml"), RECIPE).unwrap();
        std::fs::write(bench.at("sizes.json"), SIZES).unwrap();
        std::fs::create_dir(bench.at("shards")).unwrap();
        shards::write(&bench.at("shards"), triplets);
        bench
    }

    /// A path in the folder.
    pub fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `train --shards shards --recipe recipe.toml --out OUT`, on the CPU whatever the machine has.
    pub fn command(&self, out: &str) -> Command {
        let mut command = train(self.folder.path());
        command.args(["--shards", "shards", "--recipe", "recipe.toml", "--out", out]);
        command
    }

    /// The same with `--set` for each of some keys.
    pub fn command_with(&self, out: &str, sets: &[&str]) -> Command {
        let mut command = self.command(out);
        command.args(sets.iter().flat_map(|set| ["--set", set]));
        command
    }

    /// Runs with `--set` for each of some keys.
    pub fn run(&self, out: &str, sets: &[&str]) -> Output {
        self.command_with(out, sets).output().unwrap()
    }

    /// The same, to an end with exit code 0.
    pub fn succeed(&self, out: &str, sets: &[&str]) -> Output {
        let output = self.run(out, sets);
        assert!(output.status.success(), "{}", said(&output));
        output
    }

    /// Starts a run whose output is kept.
    pub fn start(&self, out: &str) -> Child {
        spawn(self.command(out))
    }

    /// Waits for a run to have logged a step.
    pub fn await_step(&self, out: &str, step: u64, child: &mut Child) {
        let began = Instant::now();
        while self.last_logged(out) < step {
            if let Some(status) = child.try_wait().unwrap() {
                panic!("it ended before step {step}: {status}: {}", rest(child));
            }
            assert!(began.elapsed() < PATIENCE, "no step {step} in sight");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn last_logged(&self, out: &str) -> u64 {
        let text = std::fs::read_to_string(self.at(out).join("log.jsonl")).unwrap_or_default();
        text.lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .fold(0, |last, line| last.max(line["step"].as_u64().unwrap_or_default()))
    }

    /// All points of `log.jsonl`, in their order.
    pub fn curve(&self, out: &str) -> Vec<Point> {
        let text = std::fs::read_to_string(self.at(out).join("log.jsonl")).unwrap();
        let point = |line: &str| {
            let values: BTreeMap<String, Value> = serde_json::from_str(line).unwrap();
            let lasting = |name: &String| name != "time" && !name.starts_with("run/");
            let values = values.into_iter().filter(|(name, _)| lasting(name));
            values.map(|(name, value)| (name, value.as_f64().unwrap_or(f64::NAN))).collect()
        };
        text.lines().map(point).collect()
    }

    /// The checkpoint of a step.
    pub fn checkpoint(&self, out: &str, step: u64) -> PathBuf {
        self.at(out).join(format!("checkpoints/step-{step:09}"))
    }

    /// The step that `latest.json` or `best.json` points to.
    pub fn pointer(&self, out: &str, name: &str) -> u64 {
        let path = self.at(out).join("checkpoints").join(name);
        let pointer: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        pointer["step"].as_u64().unwrap()
    }

    /// What a checkpoint says of itself, without the seconds that it took.
    pub fn state(&self, out: &str, step: u64) -> Value {
        let text = std::fs::read(self.checkpoint(out, step).join("state.json")).unwrap();
        let mut state: Value = serde_json::from_slice(&text).unwrap();
        state["state"]["seconds"].take();
        state["state"].take()
    }

    /// Fails unless every file of a checkpoint is what `state.json` says, and `sha256sum` agrees.
    pub fn assert_whole(&self, out: &str, step: u64) {
        let folder = self.checkpoint(out, step);
        let checkpoints = magiclens::train::checkpoint::Checkpoints::at(folder.parent().unwrap());
        let which = magiclens::train::checkpoint::Which::Step(step);
        checkpoints.open(&which).unwrap();
        let mut check = Command::new("sha256sum");
        check.args(["--check", "--quiet", "state.sha256"]).current_dir(folder);
        assert!(check.status().unwrap().success());
    }
}

/// A `train` command on the CPU, without the surroundings' configuration.
pub fn train(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_train"));
    let foreign = |name: &str| {
        let ranks = ["RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"];
        name.starts_with("MAGICLENS_") || ranks.contains(&name)
    };
    for (name, _) in std::env::vars().filter(|(name, _)| foreign(name)) {
        command.env_remove(name);
    }
    // Sums in one order whatever the machine, and tests beside each other.
    command.env("OMP_NUM_THREADS", "1").env("CUDA_VISIBLE_DEVICES", "");
    command.current_dir(folder).stdin(Stdio::null());
    command
}

/// Starts a command whose output is kept.
pub fn spawn(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Asks a process to end, as the manager of a node does.
pub fn terminate(child: &Child) {
    signal(child, "TERM");
}

fn rest(child: &mut Child) -> String {
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    text
}

/// What a process wrote to stderr.
pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Fails unless both curves have the same points to the last bit: those of the same sums in the same
/// order, on one machine and one thread.
pub fn assert_same_curve(one: &[Point], other: &[Point]) {
    compare(one, other, |name, (one, other), points| {
        assert_eq!(one, other, "{name}: {points}");
    });
}

/// Fails unless both curves have the same points but for sums in another order: of runs with [`EVEN`].
///
/// The loss and its gradient work on cosines times the logit scale, and so on their errors times it. A row
/// whose target is as near as a rival may count as found in one run and not in the other.
pub fn assert_near_curve(one: &[Point], other: &[Point]) {
    let config: ModelConfig = serde_json::from_str(SIZES).unwrap();
    let within = INITIAL_SCALE * likely(F32, 2 * roundings(&config));
    compare(one, other, |name, (one, other), points| {
        let is_share = ["accuracy", "recall"].iter().any(|word| name.contains(word));
        let bound = if is_share { 1.01 / (BATCH - 1) as f64 } else { within * one.abs().max(1.0) };
        assert_within((one - other).abs(), bound, format!("{name}: {points}"));
    });
}

/// Shows all values of two curves with the same points.
fn compare(one: &[Point], other: &[Point], check: impl Fn(&str, (f64, f64), &str)) {
    assert_eq!(one.len(), other.len(), "points");
    for (one, other) in one.iter().zip(other) {
        let points = format!("{one:?} and {other:?}");
        assert!(one.keys().eq(other.keys()), "{points}");
        one.iter().for_each(|(name, value)| check(name, (*value, other[name]), &points));
    }
}

/// Fails unless two files have the same tensors to the last bit.
pub fn assert_same_tensors(one: &Path, other: &Path) {
    let (one, other) = (std::fs::read(one).unwrap(), std::fs::read(other).unwrap());
    let [one, other] = [&one, &other].map(|bytes| SafeTensors::deserialize(bytes).unwrap());
    let names = |file: &SafeTensors<'_>| {
        file.names().into_iter().map(str::to_owned).collect::<BTreeSet<_>>()
    };
    assert_eq!(names(&one), names(&other));
    for name in names(&one) {
        let (one, other) = (one.tensor(&name).unwrap(), other.tensor(&name).unwrap());
        assert_eq!((one.dtype(), one.shape()), (other.dtype(), other.shape()), "{name}");
        assert!(one.data() == other.data(), "{name}");
    }
}

/// Little-endian float32.
pub fn floats(bytes: &[u8]) -> impl Iterator<Item = f32> {
    bytes.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap()))
}
