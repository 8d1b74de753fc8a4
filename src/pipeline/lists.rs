//! Lists of WARC files, as Common Crawl publishes them: one path or URL a line, perhaps gzip.
//!
//! <https://commoncrawl.org/get-started>: each crawl has its `warc.paths.gz`, whose lines are relative
//! to <https://data.commoncrawl.org/>.

use std::path::Path;

use magiclens_codings as codings;
use url::Url;

use super::RunError;
use crate::http::{Client, FetchError};
use crate::record::Slice;
use crate::stages::archives::is_url;
use crate::store::{Objects, is_remote};
use crate::telemetry::say;

/// Cap on a list, as it lies there and unpacked: a crawl's has 90,000 lines of 140 bytes.
const MAX_BYTES: usize = 256 << 20;

/// Returns true if a name is that of a list, and not of a WARC file.
pub(super) fn is_list(name: &str) -> bool {
    let name = name.split(['?', '#']).next().unwrap_or_default();
    let name = name.strip_suffix(".gz").unwrap_or(name);
    name.ends_with(".txt") || name.ends_with(".paths")
}

/// The lines of a list, comments and blanks left out. `client` is there where the name is a web address.
pub(super) async fn read(
    name: &str,
    client: Option<&Client>,
    objects: &Objects,
) -> Result<Vec<String>, RunError> {
    let refuse = |problem: String| RunError::Input { flag: "--warc", name: name.into(), problem };
    let bytes = match client.filter(|_| is_url(name)) {
        _ if is_remote(name) => {
            objects.read(name, MAX_BYTES).await.map_err(|error| refuse(error.to_string()))?
        }
        Some(client) => {
            let url = Url::parse(name).map_err(|error| refuse(error.to_string()))?;
            download(client, &url).await.map_err(|error| refuse(error.to_string()))?
        }
        None => std::fs::read(name).map_err(|error| refuse(error.to_string()))?,
    };
    let bytes = if bytes.starts_with(b"\x1f\x8b") {
        codings::decode(bytes, "gzip", MAX_BYTES).map_err(|error| refuse(error.to_string()))?
    } else {
        bytes
    };
    let text = String::from_utf8(bytes).map_err(|_| refuse("is no text".into()))?;
    let lines =
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let lines: Vec<String> = lines.map(str::to_owned).collect();
    if lines.is_empty() { Err(refuse("names no file".into())) } else { Ok(lines) }
}

async fn download(client: &Client, url: &Url) -> Result<Vec<u8>, FetchError> {
    let mut download = client.download(url, None);
    let mut bytes = Vec::new();
    while let Some(piece) = download.chunk().await? {
        if bytes.len() + piece.len() > MAX_BYTES {
            let detail = format!("a list of over {MAX_BYTES} bytes");
            return Err(FetchError::new(crate::record::Reason::BodyTooLarge, detail));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// A line of a list as a path or URL: relative ones belong to `base`, else to where the list lies.
pub(super) fn resolve(list: &str, line: &str, base: &str) -> String {
    if is_url(line) || Path::new(line).is_absolute() {
        return line.to_owned();
    }
    let base = match base {
        "" if is_url(list) => list.rsplit_once('/').map_or(list, |(folder, _)| folder).to_owned(),
        "" => Path::new(list).parent().unwrap_or(Path::new("")).to_string_lossy().into_owned(),
        base => base.to_owned(),
    };
    if base.is_empty() { line.to_owned() } else { format!("{}/{line}", base.trim_end_matches('/')) }
}

/// Prints a slice of a crawl's list of WARC files, each as a URL: lines k ≡ i mod n, so that slices
/// are of one size and together are all.
pub async fn warc_paths(
    crawl: &str,
    slice: Slice,
    base: &str,
    list: Option<&str>,
    config: &crate::config::Config,
) -> Result<(), RunError> {
    let published = format!("{}/crawl-data/{crawl}/warc.paths.gz", base.trim_end_matches('/'));
    let name = list.unwrap_or(&published);
    let client = if is_url(name) && !is_remote(name) { Some(Client::new(config)?) } else { None };
    for line in read(name, client.as_ref(), &Objects::default())
        .await?
        .iter()
        .skip(slice.index as usize)
        .step_by(slice.of as usize)
    {
        say(resolve(name, line, base));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_told_by_their_names() {
        for name in ["a.txt", "warc.paths", "x/warc.paths.gz", "https://h/warc.paths.gz?x=1"] {
            assert!(is_list(name), "{name}");
        }
        for name in ["a.warc", "a.warc.gz", "paths.warc.gz", "paths"] {
            assert!(!is_list(name), "{name}");
        }
    }

    #[test]
    fn relative_lines_belong_to_the_base_or_to_where_the_list_lies() {
        let cc = "https://data.commoncrawl.org/";
        for (list, line, base, expected) in [
            ("d/l.txt", "a.warc.gz", "", "d/a.warc.gz"),
            ("l.txt", "a.warc.gz", "", "a.warc.gz"),
            ("l.txt", "/x/a.warc.gz", cc, "/x/a.warc.gz"),
            ("l.txt", "http://h/a.warc.gz", cc, "http://h/a.warc.gz"),
            (
                "l.txt",
                "crawl-data/a.warc.gz",
                cc,
                "https://data.commoncrawl.org/crawl-data/a.warc.gz",
            ),
            ("http://h/d/l.txt", "a.warc.gz", "", "http://h/d/a.warc.gz"),
            ("l.txt", "a.warc.gz", "/mnt/cc", "/mnt/cc/a.warc.gz"),
        ] {
            assert_eq!(resolve(list, line, base), expected);
        }
    }
}
