//! Rounds over all parts, until no link is left to follow.

use std::collections::{BTreeMap, BTreeSet};

use url::Url;

use super::STAGE;
use super::part::PartCrawl;
use super::scope::CrawlScope;
use crate::record::{Page, host_key, partition};
use crate::stages::context::{Context, StageError, open_table};
use crate::store::{Fingerprint, Manifest, Table};
use crate::table::{OutboxLink, PAGES};

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

/// Crawls until the table `pages` is complete; gives its manifests.
pub async fn run(ctx: &Context, seeds: &Seeds) -> Result<Vec<Manifest>, StageError> {
    let table = open_table(&ctx.run, PAGES, STAGE, &fingerprint(ctx, seeds)).await?;
    let crawl = Crawl {
        ctx,
        scope: CrawlScope::new(ctx.config.crawl.scope, seeds.urls()),
        parts: ctx.config.crawl.partitions,
        table,
    };
    let mut entries = seeds.0.iter().map(|url| (url.to_string(), 0)).collect();
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

/// What `pages` depends on: seeds and `[crawl]`, but for what only decides who is asked, and the
/// limits of `[http]` that decide what is given up.
fn fingerprint(ctx: &Context, seeds: &Seeds) -> Fingerprint {
    let http = &ctx.config.http;
    let urls: Vec<&str> = seeds.0.iter().map(Url::as_str).collect();
    Fingerprint::new()
        .with_section("crawl", &ctx.config.crawl, &["contact"])
        .with("http.max_redirects", http.max_redirects)
        .with("seed_urls", urls)
}

struct Crawl<'a> {
    ctx: &'a Context,
    scope: CrawlScope,
    parts: u32,
    table: Table<Page>,
}

impl Crawl<'_> {
    /// Crawls the parts of one round that are not committed, side by side.
    async fn round(
        &self,
        round: u32,
        entries: &BTreeMap<String, u32>,
        committed: &[Manifest],
    ) -> Result<Vec<Manifest>, StageError> {
        let mut by_part: BTreeMap<u32, BTreeSet<OutboxLink>> = BTreeMap::new();
        for (url, &depth) in entries {
            let Ok(parsed) = Url::parse(url) else { continue };
            let part = partition(&host_key(&parsed), self.parts);
            by_part.entry(part).or_default().insert(OutboxLink { url: url.clone(), depth });
        }
        let active = by_part.len().max(1);
        let segment_bytes = (self.ctx.config.store.segment_bytes / active).max(256 << 10);
        let parts = (0..self.parts).map(|k| {
            let entries = by_part.remove(&k).unwrap_or_default();
            let earlier: Vec<Manifest> =
                committed.iter().filter(|m| m.part % self.parts == k).cloned().collect();
            let part = round * self.parts + k;
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
        self.ctx.all(parts, self.parts as usize).await
    }

    /// The links that a round left for the next one, each at its least depth.
    async fn outbox(&self, manifests: &[Manifest]) -> Result<BTreeMap<String, u32>, StageError> {
        let mut links = BTreeMap::new();
        for manifest in manifests {
            let Some(rows) = self.table.read::<OutboxLink>(manifest, "outbox", 1024).await? else {
                continue;
            };
            for link in rows.collect().await? {
                let known = links.entry(link.url).or_insert(link.depth);
                *known = link.depth.min(*known);
            }
        }
        Ok(links)
    }
}
