//! Extracts the HTML files of a folder again and again: `extract_pages FOLDER [SECONDS]`.
//!
//! Prints one JSON object: pages a CPU-second, and the image URLs that the `<img>` elements of each
//! page name by `src`. `benches/peers/extract.sh` compares both with another extractor's.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use magiclens::record::ImageRef;
use magiclens::stages::collect::extract::{Limits, extract};
use url::Url;

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let folder = args.next().context("usage: extract_pages FOLDER [SECONDS]")?;
    let seconds: f64 = args.next().as_deref().unwrap_or("3").parse().context("SECONDS")?;
    let pages = read(Path::new(&folder))?;
    let limits = Limits { max_images: usize::MAX / 64, ..Limits::default() };
    let url = Url::parse("http://127.0.0.1:8090/en/page.html")?;

    let start = cpu_seconds()?;
    let (mut count, mut bytes) = (0usize, 0usize);
    while cpu_seconds()? - start < seconds {
        for page in pages.values() {
            bytes += extract(page, None, &url, &limits).images.len() + page.len();
            count += 1;
        }
    }
    let pages_per_second = count as f64 / (cpu_seconds()? - start);

    let images: BTreeMap<_, Vec<_>> = pages
        .iter()
        .map(|(name, page)| (name, shown(extract(page, None, &url, &limits).images)))
        .collect();
    let average = bytes / count.max(1);
    let report = serde_json::json!({
        "pages_per_second": pages_per_second, "bytes_per_page": average, "images": images,
    });
    serde_json::to_writer(std::io::stdout(), &report).context("write the report")
}

/// What the page itself shows, which is what a reader of `src` attributes finds.
fn shown(images: Vec<ImageRef>) -> Vec<String> {
    images.into_iter().map(|image| image.shown_url.unwrap_or(image.url)).collect()
}

fn read(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut pages = BTreeMap::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "html") {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            pages.insert(name, std::fs::read(&path)?);
        }
    }
    Ok(pages)
}

/// User time of this process, from `/proc`: the machine may be busy with other things.
fn cpu_seconds() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").context("needs Linux")?;
    let after_name = stat.rsplit_once(')').context("an odd /proc/self/stat")?.1;
    let ticks: u64 = after_name.split_whitespace().nth(11).context("no utime")?.parse()?;
    Ok(ticks as f64 / 100.0)
}
