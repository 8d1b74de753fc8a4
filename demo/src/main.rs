//! `demo-world`: serves a generated web on loopback, prints the truth about it, draws its scenes; and
//! the same for the world to train on, with its benchmark.

use std::io::{Write, stdout};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use image::{RgbImage, imageops};
use magiclens_demo::{Benchmark, Options, Rng, Scene, Training, World};

#[derive(Parser)]
#[command(about, version)]
struct Cli {
    #[command(flatten)]
    size: Size,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Args)]
struct Size {
    /// The same seed gives the same world.
    #[arg(long, default_value_t = Options::default().seed, global = true)]
    seed: u64,
    /// Sites with pictures: 6 that tell stories, or 98 to train on.
    #[arg(long, global = true)]
    sites: Option<usize>,
    /// Pages on each of them: 12.
    #[arg(long, global = true)]
    pages: Option<usize>,
    /// Leave out the odd sites.
    #[arg(long, global = true)]
    stories_only: bool,
    /// Leave out what costs a client its time limits or size caps.
    #[arg(long, global = true)]
    quick: bool,
}

#[derive(Subcommand)]
enum Verb {
    /// Serve the world until interrupted; prints the seed URLs once it listens.
    Serve {
        /// The port on 127.0.0.1; 0 takes a free one.
        #[arg(long, default_value_t = 8099)]
        port: u16,
        /// Write a configuration for mine here.
        #[arg(long)]
        config_out: Option<PathBuf>,
    },
    /// Print what should become of every URL, as JSON.
    Truth {
        /// The port the world is served on.
        #[arg(long, default_value_t = 8099)]
        port: u16,
    },
    /// Draw a contact sheet of scenes.
    Draw {
        /// The PNG to write.
        #[arg(long)]
        out: PathBuf,
    },
    /// Serve the world to train on until interrupted; prints the seed URLs once it listens.
    ServeTraining {
        /// The port on 127.0.0.1; 0 takes a free one.
        #[arg(long, default_value_t = 8099)]
        port: u16,
        /// Write a configuration for mine here.
        #[arg(long)]
        config_out: Option<PathBuf>,
    },
    /// Write a gallery of unseen exhibits, and composed queries for it.
    Benchmark {
        /// The folder to write.
        #[arg(long)]
        out: PathBuf,
    },
}

impl Size {
    fn options(&self) -> Options {
        let default = Options::default();
        Options {
            seed: self.seed,
            sites: self.sites.unwrap_or(default.sites),
            pages_per_site: self.pages.unwrap_or(default.pages_per_site),
            odd: !self.stories_only,
            hostile: !self.quick,
        }
    }

    fn training(&self) -> Training {
        let default = Training::default();
        Training {
            seed: self.seed,
            sites: self.sites.unwrap_or(default.sites),
            pages_per_site: self.pages.unwrap_or(default.pages_per_site),
            ..default
        }
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let cli = Cli::parse();
    let options = cli.size.options();
    match cli.verb {
        Verb::Serve { port, config_out } => {
            serve(World::generate(&options), port, config_out.as_deref()).await
        }
        Verb::Truth { port } => {
            let truth = World::generate(&options).truth(port);
            Ok(serde_json::to_writer_pretty(stdout().lock(), &truth)?)
        }
        Verb::Draw { out } => draw(options.seed, &out),
        Verb::ServeTraining { port, config_out } => {
            serve(World::training(&cli.size.training()), port, config_out.as_deref()).await
        }
        Verb::Benchmark { out } => Benchmark::generate(options.seed).write(&out),
    }
}

async fn serve(world: World, port: u16, config_out: Option<&Path>) -> Result<()> {
    let running = world.serve(([127, 0, 0, 1], port).into()).await?;
    if let Some(path) = config_out {
        std::fs::write(path, running.config())
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    let mut out = stdout().lock();
    for seed in running.seeds() {
        writeln!(out, "{seed}")?;
    }
    out.flush()?;
    drop(out);
    tokio::signal::ctrl_c().await.context("cannot wait for Ctrl-C")?;
    running.shutdown().await;
    Ok(())
}

fn draw(seed: u64, out: &Path) -> Result<()> {
    let (width, height, columns, rows) = (360, 240, 4, 5);
    let mut rng = Rng::new(seed);
    let mut sheet = RgbImage::new(width * columns, height * rows);
    for index in 0..columns * rows {
        let scene = Scene::random(&mut rng);
        let (x, y) = (index % columns * width, index / columns * height);
        imageops::replace(&mut sheet, &scene.render(width, height), x.into(), y.into());
        writeln!(stdout(), "{}", scene.alt())?;
    }
    sheet.save(out).with_context(|| format!("cannot write {}", out.display()))
}
