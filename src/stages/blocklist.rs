//! Lists of what is never fetched or kept: hosts, URLs, sha256 and perceptual hashes.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use url::Url;

use crate::config::Config;
use crate::record::ImageId;
use crate::stages::context::StageError;

/// Hamming distance up to which a perceptual hash counts as listed.
const PHASH_DISTANCE: u32 = 3;

/// Hosts and URLs.
#[derive(Debug, Default)]
pub struct UrlBlocklist {
    hosts: HashSet<String>,
    urls: HashSet<String>,
}

impl UrlBlocklist {
    /// Reads `crawl.block_hosts` and `filter.block_urls`.
    pub fn load(config: &Config) -> Result<Self, StageError> {
        let hosts = lines("crawl.block_hosts", &config.crawl.block_hosts)?;
        let urls = lines("filter.block_urls", &config.filter.block_urls)?;
        Ok(Self {
            hosts: hosts.into_iter().map(|host| host.to_ascii_lowercase()).collect(),
            urls: urls
                .into_iter()
                .filter_map(|url| Url::parse(&url).ok())
                .map(Into::into)
                .collect(),
        })
    }

    /// The entry that a URL matches: its host, a domain above it, or itself.
    pub fn matches(&self, url: &Url) -> Option<String> {
        if self.urls.contains(url.as_str()) {
            return Some(url.to_string());
        }
        let mut host = url.host_str()?;
        loop {
            if self.hosts.contains(host) {
                return Some(host.to_owned());
            }
            host = host.split_once('.')?.1;
        }
    }
}

/// Content.
#[derive(Debug, Default)]
pub struct ContentBlocklist {
    sha256: HashSet<String>,
    phash: Vec<u64>,
}

impl ContentBlocklist {
    /// Reads `fetch.block_sha256` and `fetch.block_phash`.
    pub fn load(config: &Config) -> Result<Self, StageError> {
        let sha256 = lines("fetch.block_sha256", &config.fetch.block_sha256)?;
        let mut phash = Vec::new();
        for path in &config.fetch.block_phash {
            for line in lines("fetch.block_phash", std::slice::from_ref(path))? {
                let hash = u64::from_str_radix(line.trim_start_matches("0x"), 16);
                phash.push(hash.map_err(|_| StageError::ConfigFile {
                    key: "fetch.block_phash",
                    path: path.clone(),
                    problem: format!("{line:?} is not a 64-bit hash in hex"),
                })?);
            }
        }
        let sha256 = sha256.into_iter().map(|line| line.to_ascii_lowercase()).collect();
        Ok(Self { sha256, phash })
    }

    /// Whether an image is listed by its bytes or its looks.
    pub fn matches(&self, id: &ImageId, phash: u64) -> bool {
        self.sha256.contains(id.as_str())
            || self.phash.iter().any(|listed| (listed ^ phash).count_ones() <= PHASH_DISTANCE)
    }
}

/// The lines of list files, comments and blanks left out.
fn lines(key: &'static str, paths: &[PathBuf]) -> Result<Vec<String>, StageError> {
    let mut all = Vec::new();
    for path in paths {
        let text = read(key, path)?;
        let lines = text.lines().map(str::trim);
        all.extend(lines.filter(|l| !l.is_empty() && !l.starts_with('#')).map(str::to_owned));
    }
    Ok(all)
}

/// Reads a file that the configuration names.
pub fn read(key: &'static str, path: &Path) -> Result<String, StageError> {
    std::fs::read_to_string(path).map_err(|error| StageError::ConfigFile {
        key,
        path: path.to_owned(),
        problem: error.to_string(),
    })
}

/// A digest of the files' content, for fingerprints: a list that changed is another configuration.
pub fn digest(key: &'static str, paths: &[PathBuf]) -> Result<String, StageError> {
    let mut hasher = Sha256::new();
    for path in paths {
        hasher.update(read(key, path)?);
    }
    Ok(hex::encode(&hasher.finalize()[..8]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(folder: &Path, text: &str) -> Config {
        let path = folder.join("list.txt");
        std::fs::write(&path, text).unwrap();
        let mut config = Config::default();
        config.crawl.block_hosts = vec![path.clone()];
        config.filter.block_urls = vec![path.clone()];
        config.fetch.block_sha256 = vec![path];
        config
    }

    #[test]
    fn a_host_blocks_its_subdomains() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path(), "# bad\nBad.example\n\nhttp://a.example/x.jpg\n");
        let list = UrlBlocklist::load(&config).unwrap();
        let matches = |url| list.matches(&Url::parse(url).unwrap()).is_some();
        assert!(matches("http://img.bad.example/1.jpg"));
        assert!(matches("http://a.example/x.jpg"));
        assert!(!matches("http://notbad.example/1.jpg"));
        assert!(!matches("http://a.example/y.jpg"));
    }

    #[test]
    fn content_is_found_by_bytes_and_by_looks() {
        let folder = tempfile::tempdir().unwrap();
        let id = ImageId::of(b"x");
        let mut config = config(folder.path(), &id.as_str().to_uppercase());
        let hashes = folder.path().join("phash.txt");
        std::fs::write(&hashes, "0xff00\n").unwrap();
        config.fetch.block_phash = vec![hashes.clone()];
        let list = ContentBlocklist::load(&config).unwrap();
        let other = ImageId::of(b"y");
        assert!(list.matches(&id, u64::MAX));
        assert!(list.matches(&other, 0xff07));
        assert!(!list.matches(&other, 0xff0f));
        std::fs::write(&hashes, "xyz").unwrap();
        let error = ContentBlocklist::load(&config).unwrap_err().to_string();
        assert!(error.contains("fetch.block_phash") && error.contains("xyz"), "{error}");
    }

    #[test]
    fn a_missing_list_names_key_and_path() {
        let mut config = Config::default();
        config.filter.block_urls = vec!["/no/such/list".into()];
        let error = UrlBlocklist::load(&config).unwrap_err().to_string();
        assert!(error.starts_with("filter.block_urls: /no/such/list: "), "{error}");
    }
}
