//! Fetches a list of image URLs and stores what the miner would store.
//!
//! `cargo run --release --example fetch_urls -- URLS OUTDIR [MAX_SIDE]`, one URL a line in URLS.
//! For measuring against other downloaders (`benches/peers/fetch.sh`): a plain client without
//! politeness, address rules or retries. Mining the web is `mine`'s work.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt, stream};
use magiclens::config::Fetch;
use magiclens::imaging::prepare_guarded;

/// Requests in flight, as img2dataset's thread_count in the peer run.
const CONCURRENCY: usize = 32;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let urls = args.next().context("usage: fetch_urls URLS OUTDIR [MAX_SIDE]")?;
    let out = PathBuf::from(args.next().context("usage: fetch_urls URLS OUTDIR [MAX_SIDE]")?);
    let max_side = args.next().map_or(Ok(256), |side| side.parse())?;
    let limits = Arc::new(Fetch { max_side, ..Fetch::default() });
    std::fs::create_dir_all(&out)?;
    let urls = std::fs::read_to_string(&urls).with_context(|| format!("read {urls}"))?;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().build()?;

    let stored: Vec<usize> = stream::iter(urls.lines())
        .map(|url| store(&client, url, &out, Arc::clone(&limits)))
        .buffer_unordered(CONCURRENCY)
        .try_collect()
        .await?;
    eprintln!("{} images, {} bytes stored", stored.len(), stored.iter().sum::<usize>());
    Ok(())
}

/// One image: get, decode, scale, hash, encode, write.
async fn store(
    client: &reqwest::Client,
    url: &str,
    out: &Path,
    limits: Arc<Fetch>,
) -> Result<usize> {
    let response = client.get(url).send().await?.error_for_status()?;
    let bytes = response.bytes().await?;
    let prepared = prepare_guarded(bytes.into(), limits).await.with_context(|| url.to_owned())?;
    std::fs::write(out.join(prepared.image_id.as_str()), &prepared.bytes)?;
    Ok(prepared.bytes.len())
}
