//! All parts of `pages`: WARC files, tables, and the crawl in rounds until no link is left to follow.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use url::Url;

use super::STAGE;
use super::archive::{ArchivePart, Rules};
use super::inputs::{Inputs, Layout};
use super::outbox::Outbox;
use super::part::PartCrawl;
use super::scope::CrawlScope;
use super::tables;
use crate::config::Config;
use crate::record::{Page, host_key, partition};
use crate::stages::blocklist;
use crate::stages::context::{Context, StageError, open_table};
use crate::store::{Fingerprint, Manifest, Table};
use crate::table::{ARCHIVED_IMAGES, OutboxLink, PAGES};

/// Where a crawl begins: parsed and sorted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seeds(Vec<Url>);

impl Seeds {
    /// Takes http(s) URLs, fragments off.
    pub fn new(mut urls: Vec<Url>) -> Self {
        urls.iter_mut().for_each(|url| url.set_fragment(None));
        urls.sort();
        urls.dedup();
        Self(urls)
    }

    /// The URLs.
    pub fn urls(&self) -> &[Url] {
        &self.0
    }
}

/// Makes the table `pages` of everything there is to make it of; gives its manifests.
pub async fn run(ctx: &Context, inputs: &Inputs) -> Result<Vec<Manifest>, StageError> {
    let table = open_table(&ctx.run, PAGES, STAGE, &fingerprint(&ctx.config, inputs)?).await?;
    let mut committed = archived(ctx, inputs, &table).await?;
    if !inputs.tables.is_empty() {
        let Layout { archives, tables: parts, .. } = inputs.layout(&ctx.config);
        committed.extend(tables::run(ctx, &inputs.tables, &table, archives, parts).await?);
    }
    if !inputs.seeds.0.is_empty() {
        committed.extend(crawled(ctx, inputs, table).await?);
    }
    Ok(committed)
}

/// The parts of all WARC files, a few files side by side.
async fn archived(
    ctx: &Context,
    inputs: &Inputs,
    pages: &Table<Page>,
) -> Result<Vec<Manifest>, StageError> {
    if inputs.archives.is_empty() {
        return Ok(Vec::new());
    }
    let fingerprint = inputs.add_to(Fingerprint::new());
    let images = open_table(&ctx.run, ARCHIVED_IMAGES, STAGE, &fingerprint).await?;
    let rules = Arc::new(Rules::load(ctx)?);
    let at_once = ctx.threads();
    let segment_bytes = (ctx.config.store.segment_bytes / at_once).max(256 << 10);
    let own = inputs.archives.iter().zip(0..).filter(|(_, part)| ctx.slice.owns(*part));
    let parts = own.map(|(archive, part)| {
        let (rules, archive) = (Arc::clone(&rules), archive.clone());
        let part = ArchivePart { ctx, rules, pages, images: &images, part, archive, segment_bytes };
        async move { part.run().await }
    });
    ctx.all(parts, at_once).await
}

/// Crawls, round after round.
async fn crawled(
    ctx: &Context,
    inputs: &Inputs,
    table: Table<Page>,
) -> Result<Vec<Manifest>, StageError> {
    let seeds = &inputs.seeds;
    let crawl = Crawl {
        ctx,
        scope: CrawlScope::new(ctx.config.crawl.scope, seeds.urls()),
        first: inputs.layout(&ctx.config).first_crawled(),
        parts: ctx.config.crawl.partitions,
        table,
    };
    let mut entries = Outbox::default();
    for url in &seeds.0 {
        entries.add(OutboxLink { url: url.to_string(), depth: 0, is_sitemap: false });
    }
    let mut committed: Vec<Manifest> = Vec::new();
    for round in 0.. {
        let manifests = crawl.round(round, &entries, &committed).await?;
        entries = crawl.outbox(&manifests).await?;
        committed.extend(manifests);
        if entries.is_empty() {
            break;
        }
    }
    Ok(committed)
}

/// Returns the fingerprint of `pages`. Of a crawl it holds the seeds, `[crawl]` without `contact`, and
/// `http.max_redirects`. Of archives and tables it holds the inputs and the keys that filter them.
fn fingerprint(config: &Config, inputs: &Inputs) -> Result<Fingerprint, StageError> {
    let urls: Vec<&str> = inputs.seeds.0.iter().map(Url::as_str).collect();
    let mut fingerprint = inputs
        .add_to(Fingerprint::new())
        .with_section("crawl", &config.crawl, &["contact"])
        .with("http.max_redirects", config.http.max_redirects)
        .with("seed_urls", urls);
    if !inputs.archives.is_empty() {
        let hosts = blocklist::digest("crawl.block_hosts", &config.crawl.block_hosts)?;
        let urls = blocklist::digest("filter.block_urls", &config.filter.block_urls)?;
        fingerprint = fingerprint
            .with_section("archive", &config.archive, &["base"])
            .with("filter.languages", config.filter.languages.clone())
            .with("hosts in crawl.block_hosts", hosts)
            .with("filter.block_urls", urls);
    }
    if !inputs.tables.is_empty() {
        fingerprint = fingerprint.with_section("tables", &config.tables, &[]);
    }
    Ok(fingerprint)
}

struct Crawl<'a> {
    ctx: &'a Context,
    scope: CrawlScope,
    /// The number of the first part.
    first: u32,
    parts: u32,
    table: Table<Page>,
}

impl Crawl<'_> {
    /// Crawls the parts of one round that are not committed, side by side; a host is always the same
    /// slice's.
    async fn round(
        &self,
        round: u32,
        entries: &Outbox,
        committed: &[Manifest],
    ) -> Result<Vec<Manifest>, StageError> {
        let mut by_part: BTreeMap<u32, BTreeSet<OutboxLink>> = BTreeMap::new();
        for link in entries.links() {
            let Ok(parsed) = Url::parse(&link.url) else { continue };
            let part = partition(&host_key(&parsed), self.parts);
            by_part.entry(part).or_default().insert(link);
        }
        let active = by_part.len().max(1);
        let segment_bytes = (self.ctx.config.store.segment_bytes / active).max(256 << 10);
        let slice = self.ctx.slice;
        let parts = (0..self.parts).filter(|k| slice.owns(*k)).map(|k| {
            let entries = by_part.remove(&k).unwrap_or_default();
            let earlier: Vec<Manifest> = committed
                .iter()
                .filter(|m| (m.part - self.first) % self.parts == k)
                .cloned()
                .collect();
            let part = self.first + round * self.parts + k;
            async move {
                if let Some(manifest) = self.table.manifest(part).await? {
                    self.table.discard_segments(part).await?;
                    return Ok(manifest);
                }
                let (ctx, scope, table) = (self.ctx, &self.scope, &self.table);
                let crawl = PartCrawl { ctx, scope, table, part, segment_bytes };
                crawl.run(entries, &earlier).await
            }
        });
        let parts: Vec<_> = parts.collect();
        let done = self.ctx.all(parts, self.parts as usize).await?;
        if done.len() == self.parts as usize {
            return Ok(done);
        }
        // The next round begins with what all parts of this one have left, whoever crawls them.
        let first = self.first + round * self.parts;
        let numbers: Vec<u32> = (first..first + self.parts).collect();
        self.ctx.whole(&self.table, &numbers, |part| slice.owner_of(part - first)).await
    }

    /// What a round left for the next one.
    async fn outbox(&self, manifests: &[Manifest]) -> Result<Outbox, StageError> {
        let mut outbox = Outbox::default();
        for manifest in manifests {
            let Some(rows) = self.table.read::<OutboxLink>(manifest, "outbox", 1024).await? else {
                continue;
            };
            rows.collect().await?.into_iter().for_each(|link| outbox.add(link));
        }
        Ok(outbox)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    #[test]
    fn pages_depend_on_what_they_did_in_25d6a2e() {
        let config: Config = toml::from_str(Config::HISTORY.first).unwrap();
        let seeds = Seeds::new(vec![Url::parse("http://a.example/").unwrap()]);
        let mut inputs = Inputs { seeds, archives: Vec::new(), tables: Vec::new() };
        let name = |inputs: &Inputs| fingerprint(&config, inputs).unwrap().name();
        assert_eq!(name(&inputs), "bb80b73eecb412c2105a5ab7c095e4b8");
        inputs.archives.push("/a.warc.gz".into());
        inputs.tables.push("/t.parquet".into());
        assert_eq!(name(&inputs), "b369a3f9f257caf0b6d5fc8f2fe9bc1a");
        let archived = inputs.add_to(Fingerprint::new()).name();
        assert_eq!(archived, "45f6cc8da9f077b1212e002580bceea5");
    }
}
