//! Seed URLs from the command line and from files.

use std::net::IpAddr;

use url::{Host, Url};

use super::RunError;
use crate::config::Config;
use crate::store::{Objects, is_remote};

/// A list of seeds has at most this many bytes where it is an object.
const MAX_BYTES: usize = 256 << 20;

/// Reads `--seed-urls`: each a URL, or a file or object with one URL a line (`#` begins a comment).
pub async fn load(given: &[String], objects: &Objects) -> Result<Vec<Url>, RunError> {
    let mut urls = Vec::new();
    for seed in given {
        if seed.contains("://") && !is_remote(seed) {
            urls.push(parse(seed, seed)?);
            continue;
        }
        let fail = |problem: String| RunError::Seed { seed: seed.clone(), problem };
        let text = match is_remote(seed) {
            true => objects.read(seed, MAX_BYTES).await.map_err(|error| fail(error.to_string()))?,
            false => std::fs::read(seed).map_err(|error| fail(error.to_string()))?,
        };
        let text = String::from_utf8(text).map_err(|_| fail("is no text".into()))?;
        let lines = text.lines().map(str::trim).enumerate();
        for (number, line) in lines.filter(|(_, l)| !l.is_empty() && !l.starts_with('#')) {
            urls.push(parse(line, &format!("{seed}:{}", number + 1))?);
        }
    }
    Ok(urls)
}

fn parse(text: &str, place: &str) -> Result<Url, RunError> {
    let fail = |problem: String| RunError::Seed { seed: place.to_owned(), problem };
    let url = Url::parse(text).map_err(|error| fail(error.to_string()))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        other => Err(fail(format!("{other}: is not crawled, only http and https"))),
    }
}

/// Returns true if every seed belongs to the operator of this run: its address, or the one that
/// `http.resolve` gives it, is in `crawl.allow_addresses`.
pub fn all_private(seeds: &[Url], config: &Config) -> bool {
    let allowed = |ip: IpAddr| config.crawl.allow_addresses.iter().any(|net| net.contains(&ip));
    seeds.iter().all(|seed| match seed.host() {
        Some(Host::Ipv4(ip)) => allowed(ip.into()),
        Some(Host::Ipv6(ip)) => allowed(ip.into()),
        Some(Host::Domain(name)) => config.http.resolve.get(name).is_some_and(|ip| allowed(*ip)),
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn files_and_urls_mix() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("seeds.txt");
        std::fs::write(&file, "# ours\nhttp://a.example/\n\n https://b.example/x \n").unwrap();
        let given = [file.display().to_string(), "http://c.example".into()];
        let urls = load(&given, &Objects::default()).await.unwrap();
        let urls: Vec<String> = urls.into_iter().map(Into::into).collect();
        assert_eq!(urls, ["http://a.example/", "https://b.example/x", "http://c.example/"]);
    }

    #[tokio::test]
    async fn a_bad_seed_is_named_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("seeds.txt");
        std::fs::write(&file, "http://a.example/\nftp://b.example/\n").unwrap();
        let error = load(&[file.display().to_string()], &Objects::default()).await.unwrap_err();
        assert!(error.to_string().contains("seeds.txt:2: ftp: is not crawled"), "{error}");
        let error = load(&["/no/such/seeds.txt".into()], &Objects::default()).await.unwrap_err();
        assert!(error.to_string().contains("No such file"), "{error}");
        assert_eq!(error.exit_code(), 3);
    }

    #[test]
    fn a_contact_is_not_asked_for_on_ones_own_machine() {
        let mut config = Config::default();
        config.crawl.allow_addresses = vec!["127.0.0.0/8".parse().unwrap()];
        config.http.resolve.insert("demo.example".into(), "127.0.0.1".parse().unwrap());
        let private = |url: &str| all_private(&[Url::parse(url).unwrap()], &config);
        assert!(private("http://127.0.0.2:8090/"));
        assert!(private("http://demo.example/"));
        assert!(!private("http://example.org/"));
        assert!(!private("http://10.0.0.1/"));
    }
}
