//! `demo-world`: serves a generated web on loopback, prints the truth about it, draws its scenes.

use std::io::{Write, stdout};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use image::{RgbImage, imageops};
use magiclens_demo::{Options, Rng, Scene, World};

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
    /// Sites that tell stories.
    #[arg(long, default_value_t = Options::default().sites, global = true)]
    sites: usize,
    /// Pages on each of them.
    #[arg(long, default_value_t = Options::default().pages_per_site, global = true)]
    pages: usize,
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
}

impl Size {
    fn options(&self) -> Options {
        Options {
            seed: self.seed,
            sites: self.sites,
            pages_per_site: self.pages,
            odd: !self.stories_only,
            hostile: !self.quick,
        }
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let cli = Cli::parse();
    let options = cli.size.options();
    match cli.verb {
        Verb::Serve { port, config_out } => serve(&options, port, config_out.as_deref()).await,
        Verb::Truth { port } => {
            let truth = World::generate(&options).truth(port);
            Ok(serde_json::to_writer_pretty(stdout().lock(), &truth)?)
        }
        Verb::Draw { out } => draw(options.seed, &out),
    }
}

async fn serve(options: &Options, port: u16, config_out: Option<&Path>) -> Result<()> {
    let running = World::generate(options).serve(([127, 0, 0, 1], port).into()).await?;
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
