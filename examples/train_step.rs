//! Times whole training steps on one batch of random numbers: what `benches/peers/train.sh` and
//! `scripts/bench-gpu.sh` set beside PyTorch. Prints one line of JSON. No data is read; that side has
//! `benches/preprocess.rs`.
//!
//! The batch is drawn by libtorch's generator with seed 1, in the order of [`batch`], so that the peer can
//! draw the same.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, ensure};
use clap::Parser;
use magiclens::model::{MagicLens, ModelConfig};
use magiclens::train::collective::Alone;
use magiclens::train::config::{Recipe, Sources};
use magiclens::train::device::Machine;
use magiclens::train::encode::encode;
use magiclens::train::feed::Fed;
use magiclens::train::flops;
use magiclens::train::gradcache::Chunk;
use magiclens::train::learner::Learner;
use magiclens::train::mask::Labels;
use magiclens::train::optimizer::Rates;
use magiclens::train::step::Rows;
use serde_json::{Value, json};
use tch::{Cuda, Device, Kind, Tensor};

/// Times training steps
#[derive(Parser)]
struct Args {
    /// base, large, base32, tiny, or a JSON file of sizes
    #[arg(long, default_value = "tiny")]
    model: String,
    /// Triplets of a step
    #[arg(long, default_value_t = 128)]
    batch: usize,
    /// Triplets encoded at once
    #[arg(long, default_value_t = 128)]
    chunk: usize,
    /// Chunks that are not encoded twice
    #[arg(long, default_value_t = 1)]
    held: usize,
    /// f32 or bf16
    #[arg(long, default_value = "f32")]
    precision: String,
    /// Tokens of each instruction, ends included
    #[arg(long, default_value_t = 16)]
    tokens: i64,
    /// Steps that are timed
    #[arg(long, default_value_t = 20)]
    steps: usize,
    /// Steps before them
    #[arg(long, default_value_t = 3)]
    warmup: usize,
    /// Learning rate of all weights
    #[arg(long, default_value_t = 1e-4)]
    rate: f64,
    /// Write the weights to begin with, and how they are trained, into a folder; time nothing
    #[arg(long, value_name = "DIR")]
    save: Option<PathBuf>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    magiclens_torch::load_cuda()?;
    let device = magiclens_torch::device()?;
    let recipe = recipe(&args)?;
    let config = magiclens::train::model_config(&args.model)?;
    let mut model = MagicLens::new(&config, device, 0);
    model.set_compute(recipe.model.precision.kind());
    let mut learner = Learner::new(&model, &recipe, Box::new(Alone), None)?;
    if let Some(path) = &args.save {
        return save(&model, &recipe, path);
    }
    let machine = Machine::measure(device, model.compute());
    let fed = batch(&args, &config, &model);
    let encoder = |chunk: &Chunk| encode(&model, &fed, chunk, true);
    let rates = Rates { new: args.rate, reused: args.rate };
    let (mut losses, mut seconds, mut cpu) = (Vec::new(), Vec::new(), 0.0);
    for step in 0..args.warmup + args.steps {
        if step == args.warmup {
            cpu = cpu_seconds()?;
        }
        let began = Instant::now();
        let _held = model.hold_casts();
        losses.push(learner.step(&fed.rows, rates, &encoder)?.loss);
        synchronize(device);
        seconds.push(began.elapsed().as_secs_f64());
    }
    cpu = (cpu_seconds()? - cpu) / args.steps as f64;
    let seconds = median(&mut seconds[args.warmup..]);
    let rate = args.batch as f64 / seconds;
    let flops = flops(&recipe, &config, args.tokens as f64, 0.0);
    let chunks = args.batch.div_ceil(args.chunk);
    let held = args.held.min(chunks) as f64 / chunks as f64;
    let line = json!({
        "who": "magiclens", "device": format!("{device:?}"), "seconds": seconds,
        "cpu_seconds": cpu, "triplets_per_second": rate,
        "gflop_a_triplet": flops.training() / 1e9, "peak_tflops": machine.peak / 1e12,
        "mfu": flops.training() * rate / machine.peak,
        "utilisation": flops.with_recomputation(held, false) * rate / machine.peak,
        "memory_bytes": machine.memory().map(|memory| memory.used), "losses": losses,
    });
    print(&line);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the line is what this program is for")]
fn print(line: &Value) {
    println!("{line}");
}

fn recipe(args: &Args) -> Result<Recipe> {
    ensure!(args.steps > 0, "--steps must be 1 or more");
    let flags = vec![
        format!("batch.size={}", args.batch),
        format!("batch.chunk={}", args.chunk),
        format!("batch.held_chunks={}", args.held),
        format!("model.precision={:?}", args.precision),
        format!("model.config={:?}", args.model),
    ];
    Ok(Recipe::load(Sources { flags, ..Sources::default() })?)
}

/// Query images, then target images, then token ids: no two rows alike, no row another's false negative.
fn batch(args: &Args, config: &ModelConfig, model: &MagicLens) -> Fed {
    tch::manual_seed(1);
    let (rows, size, device) = (args.batch as i64, config.image_size, model.device());
    let pixels = Tensor::randn([2 * rows, 3, size, size], (Kind::Float, device));
    let ids = Tensor::randint_low(1, 49_000, [rows, args.tokens], (Kind::Int64, device));
    let _ = ids.select(1, 0).fill_(49_406);
    let _ = ids.select(1, args.tokens - 1).fill_(49_407);
    let labels = Labels {
        query_cluster: (0..rows).collect(),
        target_cluster: (rows..2 * rows).collect(),
        valid: vec![true; args.batch],
    };
    Fed {
        step: 0,
        pixels: pixels.to_kind(model.compute()),
        ids,
        rows: Rows { labels, hard_rows: Vec::new() },
        cut_texts: 0,
        shared_pages: 0,
        failures: Vec::new(),
    }
}

/// A checkpoint's model.safetensors and config.json, and training.json: which weights decay, and how.
fn save(model: &MagicLens, recipe: &Recipe, folder: &Path) -> Result<()> {
    model.save(folder)?;
    let decaying = model.parameters().iter().filter(|one| one.decays);
    let names: Vec<&str> = decaying.map(|one| one.name.as_str()).collect();
    let text = json!({"decay": names, "optimizer": recipe.optimizer}).to_string();
    Ok(std::fs::write(folder.join("training.json"), text)?)
}

fn synchronize(device: Device) {
    if let Device::Cuda(index) = device {
        Cuda::synchronize(index as i64);
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// User and system time of this process.
fn cpu_seconds() -> Result<f64> {
    let text = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> =
        text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: f64 = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
    Ok(ticks / 100.0)
}
