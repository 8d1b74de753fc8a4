//! One part of one round: its hosts side by side, their visits in segments, and the commit.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use tokio::sync::mpsc;
use url::Url;

use super::host::{HostCrawl, HostPast, HostResult};
use super::outbox::Outbox;
use super::resolve;
use super::scope::CrawlScope;
use super::visit::{Memo, Visit};
use crate::record::{Page, Reason, Reject, host_key};
use crate::stages::context::{Context, StageError};
use crate::store::{Manifest, SegmentLog, StoreError, Table};
use crate::table::{OutboxLink, PageKey};

/// Work on one part.
pub struct PartCrawl<'a> {
    /// What every stage is given.
    pub ctx: &'a Context,
    /// Which URLs belong to the crawl.
    pub scope: &'a CrawlScope,
    /// The table `pages`.
    pub table: &'a Table<Page>,
    /// The number of this part in the table.
    pub part: u32,
    /// Bytes of pending visits before a segment is written.
    pub segment_bytes: usize,
}

impl PartCrawl<'_> {
    /// Crawls from `entries` and commits. `earlier` are the manifests of the same hosts in earlier
    /// rounds.
    pub async fn run(
        &self,
        entries: BTreeSet<OutboxLink>,
        earlier: &[Manifest],
    ) -> Result<Manifest, StageError> {
        let mut hosts: BTreeMap<String, BTreeSet<OutboxLink>> = BTreeMap::new();
        for entry in entries {
            if let Ok(url) = Url::parse(&entry.url) {
                hosts.entry(host_key(&url)).or_default().insert(entry);
            }
        }
        let mut log = self.table.segments::<Visit>(self.part).await?;
        let mut pasts = self.pasts(&log, earlier).await?;
        let (sender, receiver) = mpsc::channel(64);
        let crawl = self.crawl_hosts(hosts, &mut pasts, sender);
        let (results, kept) =
            tokio::join!(crawl, log.keep(receiver, self.segment_bytes, self.ctx.segment_age()));
        kept?;
        let results = results?;
        let earlier_urls = pasts.into_values().flat_map(|past| past.collected).collect();
        self.commit(log, results, &earlier_urls).await
    }

    async fn crawl_hosts(
        &self,
        hosts: BTreeMap<String, BTreeSet<OutboxLink>>,
        pasts: &mut HashMap<String, HostPast>,
        sender: mpsc::Sender<Visit>,
    ) -> Result<Vec<HostResult>, StageError> {
        let crawls: Vec<_> = hosts
            .into_iter()
            .map(|(host, entries)| {
                let memo = pasts.get_mut(&host).map(take_for_crawl).unwrap_or_default();
                let crawl = HostCrawl::new(self.ctx, self.scope, host, memo, sender.clone());
                async move { crawl.run(&entries).await }
            })
            .collect();
        drop(sender);
        // Each waits for its turn among all hosts of the run.
        let all = crawls.len();
        self.ctx.all(crawls, all).await
    }

    /// What is known of each host: this round's segments and the earlier rounds' tables.
    async fn pasts(
        &self,
        log: &SegmentLog<Visit>,
        earlier: &[Manifest],
    ) -> Result<HashMap<String, HostPast>, StoreError> {
        let mut pasts: HashMap<String, HostPast> = HashMap::new();
        log.for_each(|memo: Memo| {
            let past = pasts.entry(host_of(&memo.key)).or_default();
            past.memo.insert(memo.key.clone(), memo);
        })
        .await?;
        for manifest in earlier {
            if let Some(mut rows) = self.table.read::<PageKey>(manifest, "rows", 1024).await? {
                while let Some(batch) = rows.next().await? {
                    for page in batch {
                        let past = pasts.entry(host_of(&page.requested_url)).or_default();
                        past.requested.push(page.requested_url);
                        past.collected.push(page.url);
                    }
                }
            }
            if let Some(mut rows) = self.table.read::<Reject>(manifest, "rejects", 1024).await? {
                while let Some(batch) = rows.next().await? {
                    for reject in batch {
                        pasts.entry(host_of(&reject.url)).or_default().requested.push(reject.url);
                    }
                }
            }
        }
        Ok(pasts)
    }

    async fn commit(
        &self,
        mut log: SegmentLog<Visit>,
        results: Vec<HostResult>,
        earlier: &HashSet<String>,
    ) -> Result<Manifest, StageError> {
        let _turn = self.ctx.commits.acquire().await.expect("the semaphore is never closed");
        let considered = results.iter().map(|result| result.considered).sum();
        let mut outbox = Outbox::default();
        results.iter().flat_map(|result| result.outbox.links()).for_each(|link| outbox.add(link));
        let briefs: Vec<_> = results.iter().flat_map(|result| result.briefs.clone()).collect();
        let duplicates = resolve::duplicates(&briefs, earlier);
        let mut writer = self.table.part::<OutboxLink>(self.part)?;
        let mut visits = log.merge().await?;
        while let Some(visit) = visits.next().await? {
            match (visit.page, visit.reject, duplicates.get(&visit.key)) {
                (Some(_), _, Some(stays)) => {
                    let reject = Reject::new(visit.key, Reason::DuplicateUrl, stays);
                    writer.reject(reject).await?;
                }
                (Some(page), _, None) => writer.push(page).await?,
                (None, Some(reject), _) => writer.reject(reject).await?,
                (None, None, _) => {
                    let path = format!("{} segments", self.table.name());
                    Err(StoreError::corrupt(path, "a visit without an outcome"))?;
                }
            }
        }
        for link in outbox.links() {
            writer.send(link).await?;
        }
        let manifest = writer.commit(considered).await?;
        log.clear().await?;
        Ok(manifest)
    }
}

/// Moves what the crawl needs out, leaving the URLs that finding duplicates needs.
fn take_for_crawl(past: &mut HostPast) -> HostPast {
    HostPast {
        memo: std::mem::take(&mut past.memo),
        requested: std::mem::take(&mut past.requested),
        collected: past.collected.clone(),
    }
}

fn host_of(url: &str) -> String {
    Url::parse(url).map(|url| host_key(&url)).unwrap_or_default()
}
