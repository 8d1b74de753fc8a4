//! The crawl of one host, level by level.

use std::collections::{BTreeSet, HashMap};

use futures::{StreamExt, stream};
use tokio::sync::mpsc;
use url::Url;

use super::frontier::Frontier;
use super::outbox::Outbox;
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
    /// Links to other hosts of the crawl, and sitemaps on other hosts.
    pub outbox: Outbox,
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
        let (sitemaps, pages): (Vec<_>, Vec<_>) =
            entries.iter().partition(|entry| entry.is_sitemap);
        for entry in &pages {
            self.frontier.offer(&entry.url, entry.depth);
        }
        if self.ctx.config.crawl.sitemaps
            && self.past.requested.is_empty()
            && let Some(entry) = pages.first()
        {
            self.own_sitemaps(&entry.url).await;
        }
        for entry in sitemaps {
            self.sitemap_of_another(entry).await;
        }
        // What was cut short has not listed all.
        self.ctx.go_on()?;
        while let Some((depth, urls)) = self.frontier.next_level() {
            self.send_rejects(depth).await?;
            self.level(depth, urls).await?;
        }
        self.send_rejects(0).await?;
        self.result.considered = self.frontier.offered();
        Ok(self.result)
    }

    /// What the sitemaps of this host list. Those that are on other hosts are for these to ask for.
    async fn own_sitemaps(&mut self, entry: &str) {
        let Ok(origin) = Url::parse(entry) else { return };
        let named = sitemap::named(self.ctx, &origin).await;
        let found = sitemap::collect(self.ctx, &self.host, named).await;
        self.offer_listed(found.pages, 1);
        for url in found.sitemaps {
            self.result.outbox.add(OutboxLink { url: url.into(), depth: 1, is_sitemap: true });
        }
    }

    /// What a sitemap of another host lists, which is on this one. One that leads on to a third is not
    /// followed there, so that none leads round in a circle.
    async fn sitemap_of_another(&mut self, entry: &OutboxLink) {
        let Ok(url) = Url::parse(&entry.url) else { return };
        let found = sitemap::collect(self.ctx, &self.host, vec![url]).await;
        self.offer_listed(found.pages, entry.depth);
    }

    fn offer_listed(&mut self, pages: Vec<Url>, depth: u32) {
        for url in pages {
            if self.scope.contains(&url) {
                self.offer(url.as_str(), depth);
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
            let url = url.to_owned();
            self.result.outbox.add(OutboxLink { url, depth, is_sitemap: false });
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
