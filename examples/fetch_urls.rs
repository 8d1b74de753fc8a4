//! Fetches a list of image URLs with the miner's own client and stores what the miner would store.
//!
//! `cargo run --release --example fetch_urls -- URLS OUTDIR [MAX_SIDE]`, one URL a line in URLS.
//! For measuring against other downloaders (`benches/peers/fetch.sh`): loopback is allowed and the
//! pace is that of one's own machine. Mining the web is `mine`'s work.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use futures::{StreamExt, TryStreamExt, stream};
use magiclens::config::{Config, Fetch};
use magiclens::http::{Answer, Client, Kind};
use magiclens::imaging::prepare_guarded;

/// The allocator of `mine`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Requests in flight, as img2dataset's thread_count in the peer run.
const CONCURRENCY: usize = 32;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let urls = args.next().context("usage: fetch_urls URLS OUTDIR [MAX_SIDE]")?;
    let out = PathBuf::from(args.next().context("usage: fetch_urls URLS OUTDIR [MAX_SIDE]")?);
    let max_side = args.next().map_or(Ok(256), |side| side.parse())?;
    std::fs::create_dir_all(&out)?;
    let urls = std::fs::read_to_string(&urls).with_context(|| format!("read {urls}"))?;
    let mut config = Config { fetch: Fetch { max_side, ..Fetch::default() }, ..Config::default() };
    config.crawl.allow_addresses = vec!["127.0.0.0/8".parse()?];
    (config.http.host_rate, config.http.host_concurrency) = (1e6, CONCURRENCY);
    let client = Client::new(&config)?;
    let limits = Arc::new(config.fetch.clone());

    let stored: Vec<usize> = stream::iter(urls.lines())
        .map(|url| store(&client, url, &out, Arc::clone(&limits)))
        .buffer_unordered(CONCURRENCY)
        .try_collect()
        .await?;
    eprintln!("{} images, {} bytes stored", stored.len(), stored.iter().sum::<usize>());
    Ok(())
}

/// One image: get, decode, scale, hash, encode, write.
async fn store(client: &Client, url: &str, out: &Path, limits: Arc<Fetch>) -> Result<usize> {
    let Answer::Fetched(fetched) = client.get(&url.parse()?, Kind::Image).await? else {
        bail!("{url}: redirected");
    };
    let prepared = {
        let _waiting = client.backlog().enter();
        prepare_guarded(fetched.body, limits).await.with_context(|| url.to_owned())?
    };
    std::fs::write(out.join(prepared.image_id.as_str()), &prepared.bytes)?;
    Ok(prepared.bytes.len())
}
