//! Reads a WARC file again and again, and the pages in it: `warc_pages FILE [SECONDS]`.
//!
//! Prints one JSON object: pages a CPU-second, and the image URLs that the `<img>` elements of each
//! page name by `src`, page by page in the order of the file. `benches/peers/warc.sh` compares both
//! with another reader's and another extractor's.

use std::fs::File;

use anyhow::{Context, Result};
use magiclens::record::ImageRef;
use magiclens::stages::collect::extract::{Extracted, Limits, extract, label_in};
use magiclens::warc::payload::Answer;
use magiclens::warc::{Reader, RecordType};
use url::Url;

/// As `crawl.max_page_bytes`.
const MAX_PAGE_BYTES: usize = 4 << 20;

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let path = args.next().context("usage: warc_pages FILE [SECONDS]")?;
    let seconds: f64 = args.next().as_deref().unwrap_or("3").parse().context("SECONDS")?;

    let start = cpu_seconds()?;
    let (mut count, mut bytes) = (0usize, 0usize);
    while cpu_seconds()? - start < seconds {
        read(&path, |_, body, page| {
            bytes += page.images.len() + body.len();
            count += 1;
        })?;
    }
    let pages_per_second = count as f64 / (cpu_seconds()? - start);

    let mut images = Vec::new();
    read(&path, |url, _, page| images.push((url.to_string(), shown(page.images))))?;
    let report = serde_json::json!({
        "pages_per_second": pages_per_second, "bytes_per_page": bytes / count.max(1),
        "images": images,
    });
    serde_json::to_writer(std::io::stdout(), &report).context("write the report")
}

/// Gives every page of a file to `visit`.
fn read(path: &str, mut visit: impl FnMut(&Url, &[u8], Extracted)) -> Result<()> {
    let limits = Limits { max_images: usize::MAX / 64, ..Limits::default() };
    let mut reader = Reader::new(File::open(path).context("open the file")?)?;
    while let Some(head) = reader.next_record()? {
        if head.record_type != RecordType::Response {
            continue;
        }
        let Some(answer) = Answer::read(&mut reader, &head)? else { continue };
        if answer.status != 200
            || !matches!(&*answer.media_type(), "text/html" | "application/xhtml+xml")
        {
            continue;
        }
        let url =
            Url::parse(head.target_uri.as_deref().unwrap_or_default()).context("target URI")?;
        let body = answer.body(&mut reader, MAX_PAGE_BYTES)?;
        let content_type = answer.headers.get("content-type").and_then(|value| value.to_str().ok());
        let charset = content_type.and_then(label_in);
        visit(&url, &body, extract(&body, charset, &url, &limits));
    }
    Ok(())
}

/// What the page itself shows, which is what a reader of `src` attributes finds.
fn shown(images: Vec<ImageRef>) -> Vec<String> {
    images.into_iter().map(|image| image.shown_url.unwrap_or(image.url)).collect()
}

/// User and system time of this process, from `/proc`: the machine may be busy with other things.
fn cpu_seconds() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").context("needs Linux")?;
    let after_name = stat.rsplit_once(')').context("an odd /proc/self/stat")?.1;
    let mut ticks = after_name.split_whitespace().skip(11).map(str::parse::<u64>);
    let user = ticks.next().context("no utime")??;
    let system = ticks.next().context("no stime")??;
    Ok((user + system) as f64 / 100.0)
}
