//! `train`: will turn triplet shards into a checkpoint. For now it checks that libtorch works.
#![forbid(unsafe_code)]

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use magiclens::train::{Probe, probe};

/// Checks that libtorch is found, picks up CUDA where there is one, and multiplies two tensors
///
/// Training itself is not there yet: this command reads no triplets and writes no checkpoint.
#[derive(Parser)]
#[command(name = "train", version)]
struct Args {}

fn main() -> ExitCode {
    let Args {} = Args::parse();
    match probe().map_err(anyhow::Error::from).and_then(|probe| report(&probe)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("train: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn report(probe: &Probe) -> anyhow::Result<()> {
    let version = probe.backend.version().unwrap_or_else(|| "of unknown version".to_owned());
    let mut out = std::io::stdout().lock();
    writeln!(out, "device    {:?}", probe.device)?;
    writeln!(out, "libtorch  {version} ({})", probe.backend.folder().display())?;
    writeln!(out, "product   right: two matrices were multiplied")?;
    Ok(())
}
