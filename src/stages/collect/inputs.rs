//! What `collect` begins with, and which parts of `pages` come of what.

use serde_json::Value;

use super::rounds::Seeds;
use crate::config::Config;
use crate::record::content_id;
use crate::store::{Fingerprint, Manifest};

/// Lists up to this length are in a fingerprint name by name.
const NAMED: usize = 8;

/// Everything pages are made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inputs {
    /// Where the crawl begins; without any there is none.
    pub seeds: Seeds,
    /// WARC files by path or URL, in the order given.
    pub archives: Vec<String>,
    /// Tables of images by path, in the order given.
    pub tables: Vec<String>,
}

/// The parts of `pages`: one for each WARC file, then those of the tables, then those of the crawl's
/// rounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// WARC files.
    pub archives: u32,
    /// Parts of all tables together.
    pub tables: u32,
    /// Parts of one round of the crawl; none where nothing is crawled.
    pub crawl: u32,
}

impl Layout {
    /// The layout for so many seeds, WARC files and tables.
    pub fn new(seeds: usize, archives: usize, tables: usize, config: &Config) -> Self {
        let partitions = config.crawl.partitions;
        let parts_of = |inputs: usize| if inputs == 0 { 0 } else { partitions };
        let archives = u32::try_from(archives).unwrap_or(u32::MAX);
        Self { archives, tables: parts_of(tables), crawl: parts_of(seeds) }
    }

    /// The first part of the crawl.
    pub fn first_crawled(&self) -> u32 {
        self.archives + self.tables
    }

    /// Parts that `pages` will have at least, given those that are there.
    pub fn wanted(&self, pages: &[Manifest]) -> usize {
        (self.first_crawled() + self.rounds(pages) * self.crawl) as usize
    }

    /// Rounds that the crawl has begun.
    fn rounds(&self, pages: &[Manifest]) -> u32 {
        let crawled = || pages.iter().filter(|m| self.crawl > 0 && m.part >= self.first_crawled());
        let round = |manifest: &Manifest| (manifest.part - self.first_crawled()) / self.crawl;
        let highest = crawled().map(round).max().unwrap_or(0);
        let more = crawled().any(|m| round(m) == highest && m.rows("outbox") > 0);
        highest + 1 + u32::from(more)
    }
}

impl Inputs {
    /// The layout of what comes of them.
    pub fn layout(&self, config: &Config) -> Layout {
        Layout::new(self.seeds.urls().len(), self.archives.len(), self.tables.len(), config)
    }

    /// Adds what is not crawled to a fingerprint; nothing where everything is.
    pub(super) fn add_to(&self, fingerprint: Fingerprint) -> Fingerprint {
        let lists = [("archives", &self.archives), ("tables", &self.tables)];
        let given = lists.into_iter().filter(|(_, names)| !names.is_empty());
        given.fold(fingerprint, |fingerprint, (key, names)| fingerprint.with(key, listed(names)))
    }
}

/// A short value that tells lists apart.
fn listed(names: &[String]) -> Value {
    if names.len() <= NAMED {
        return names.into();
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    format!("{} files, {}", names.len(), &content_id(&names)[..16]).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(part: u32) -> Manifest {
        Manifest {
            table: "pages".into(),
            part,
            files: Default::default(),
            counts: Default::default(),
            passed_over: Default::default(),
            fingerprint: String::new(),
            software: String::new(),
        }
    }

    #[test]
    fn parts_are_counted_by_what_they_come_of() {
        let mut config = Config::default();
        config.crawl.partitions = 4;
        let wanted = |seeds, archives, tables, pages: &[Manifest]| {
            Layout::new(seeds, archives, tables, &config).wanted(pages)
        };
        assert_eq!(wanted(1, 0, 0, &[]), 4);
        assert_eq!(wanted(0, 3, 0, &[]), 3);
        assert_eq!(wanted(0, 3, 1, &[part(0), part(6)]), 7);
        assert_eq!(wanted(2, 3, 1, &[part(0), part(7)]), 11);
        assert_eq!(wanted(2, 3, 1, &[part(0), part(11)]), 15);
    }
}
