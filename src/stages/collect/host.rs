//! The crawl of one host, level by level.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures::{StreamExt, stream};
use tokio::sync::mpsc;
use url::Url;

use super::frontier::Frontier;
use super::resolve::Brief;
use super::scope::CrawlScope;
use super::sitemap;
use super::visit::{Memo, Visit, visit};
use crate::record::host_key;
use crate::stages::context::{Context, StageError};
use crate::table::OutboxLink;

/// What an earlier process or round knows about a host.
#[derive(Debug, Default)]
pub struct HostPast {
    /// Visits of this round that segments hold, by URL.
    pub memo: HashMap<String, Memo>,
    /// URLs asked for in earlier rounds.
    pub requested: Vec<String>,
    /// URLs that answered in earlier rounds.
    pub collected: Vec<String>,
}

/// What a host's crawl leaves beside its visits.
#[derive(Debug, Default)]
pub struct HostResult {
    /// Distinct URLs that were considered.
    pub considered: u64,
    /// The pages that were read.
    pub briefs: Vec<Brief>,
    /// Links to other hosts of the crawl.
    pub outbox: BTreeMap<String, u32>,
}

/// A host's crawl in one round.
pub struct HostCrawl<'a> {
    ctx: &'a Context,
    scope: &'a CrawlScope,
    host: String,
    frontier: Frontier,
    past: HostPast,
    out: mpsc::Sender<Visit>,
    result: HostResult,
}

impl<'a> HostCrawl<'a> {
    /// Prepares the crawl of `host`; visits are sent to `out` as they are made.
    pub fn new(
        ctx: &'a Context,
        scope: &'a CrawlScope,
        host: String,
        past: HostPast,
        out: mpsc::Sender<Visit>,
    ) -> Self {
        let mut frontier = Frontier::new(&ctx.config.crawl);
        past.requested.iter().for_each(|url| frontier.count_earlier_visit(url));
        past.collected.iter().for_each(|url| frontier.mark(url));
        Self { ctx, scope, host, frontier, past, out, result: HostResult::default() }
    }

    /// Crawls from the entry URLs to the end, or until Ctrl-C.
    pub async fn run(mut self, entries: &BTreeSet<OutboxLink>) -> Result<HostResult, StageError> {
        let _turn = self.ctx.hosts.acquire().await.expect("the semaphore is never closed");
        let host = self.ctx.client.hosts().begin(&self.host);
        host.add_requests(self.past.memo.len() as u64);
        for entry in entries {
            self.frontier.offer(&entry.url, entry.depth);
        }
        if self.ctx.config.crawl.sitemaps && self.past.requested.is_empty() {
            self.offer_sitemaps(entries).await;
        }
        while let Some((depth, urls)) = self.frontier.next_level() {
            self.send_rejects(depth).await?;
            self.level(depth, urls).await?;
        }
        self.send_rejects(0).await?;
        self.result.considered = self.frontier.offered();
        Ok(self.result)
    }

    async fn offer_sitemaps(&mut self, entries: &BTreeSet<OutboxLink>) {
        let origin = entries.first().and_then(|entry| Url::parse(&entry.url).ok());
        let Some(origin) = origin else { return };
        for url in sitemap::collect(self.ctx, &origin).await {
            if self.scope.contains(&url) {
                self.offer(url.as_str(), 1);
            }
        }
    }

    async fn level(&mut self, depth: u32, urls: Vec<String>) -> Result<(), StageError> {
        let mut done: Vec<Memo> = Vec::with_capacity(urls.len());
        let mut open = Vec::new();
        for url in urls {
            match self.past.memo.remove(&url) {
                Some(memo) => done.push(memo),
                None => open.push(url),
            }
        }
        self.ctx.progress.add_total(open.len() as u64);
        // Twice the host's own limit keeps it busy while bodies are parsed.
        let in_flight = self.ctx.config.http.host_concurrency * 2;
        let (ctx, scope) = (self.ctx, self.scope);
        let visits =
            open.into_iter().take_while(|_| !ctx.stop.is_cancelled()).map(|url| async move {
                let parsed = Url::parse(&url).expect("only parsed URLs are offered");
                visit(ctx, scope, &parsed, depth).await
            });
        let mut visits = stream::iter(visits).buffer_unordered(in_flight);
        while let Some(visit) = visits.next().await {
            done.push(Memo::of(&visit));
            self.ctx.progress.done(visit.reject.as_ref().map(|reject| reject.reason));
            // Nobody takes visits when they cannot be kept; the part then fails with the reason.
            self.out.send(visit).await.map_err(|_| StageError::Interrupted)?;
        }
        drop(visits);
        self.ctx.go_on()?;
        self.take_in(depth, done);
        Ok(())
    }

    /// Feeds what a whole level found into the frontier; order does not matter.
    fn take_in(&mut self, depth: u32, level: Vec<Memo>) {
        for memo in &level {
            if let Some(brief) = memo.brief() {
                if brief.url != brief.requested_url {
                    self.frontier.mark(&brief.url);
                }
                self.result.briefs.push(brief);
            }
        }
        for link in level.into_iter().flat_map(|memo| memo.links) {
            self.offer(&link, depth + 1);
        }
    }

    fn offer(&mut self, url: &str, depth: u32) {
        let is_ours = Url::parse(url).is_ok_and(|url| host_key(&url) == self.host);
        if is_ours {
            self.frontier.offer(url, depth);
        } else {
            let known = self.result.outbox.entry(url.to_owned()).or_insert(depth);
            *known = depth.min(*known);
        }
    }

    async fn send_rejects(&mut self, depth: u32) -> Result<(), StageError> {
        for reject in self.frontier.take_rejects() {
            self.ctx.progress.add_total(1);
            self.ctx.progress.done(Some(reject.reason));
            let sent = self.out.send(Visit::rejected(depth, reject)).await;
            sent.map_err(|_| StageError::Interrupted)?;
        }
        Ok(())
    }
}
