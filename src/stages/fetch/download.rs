//! `images`: each image of `fetch_list` requested once, decoded, scaled, hashed and stored.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};

use arrow::datatypes::{DataType, FieldRef};
use futures::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use url::Url;

use super::errands::{Errand, Errands, Open, short};
use super::{STAGE, archived};
use crate::http::optout::Directives;
use crate::http::{Answer, FetchError, Fetched, Kind};
use crate::imaging::{JPEG_DECODER, prepare_guarded};
use crate::record::{Image, Reason, Reject, host_key, partition};
use crate::stages::blocklist::{self, ContentBlocklist};
use crate::stages::context::{Context, StageError, open_table};
use crate::store::{
    Fingerprint, Manifest, PlainPart, Row, SegmentEntry, SegmentLog, StoreError, Table, read_rows,
};
use crate::table::columns::{optional, text};
use crate::table::{FetchTarget, IMAGES};

/// Maps every part of `fetch_list`.
pub async fn run(ctx: &Context, targets: &[Manifest]) -> Result<Vec<Manifest>, StageError> {
    let config = &ctx.config;
    let fingerprint = Fingerprint::new()
        .with_section("fetch", &config.fetch, &["block_sha256", "block_phash", "decode_timeout_s"])
        .with(
            "fetch.block_sha256",
            blocklist::digest("fetch.block_sha256", &config.fetch.block_sha256)?,
        )
        .with(
            "fetch.block_phash",
            blocklist::digest("fetch.block_phash", &config.fetch.block_phash)?,
        )
        .with("JPEG decoder", JPEG_DECODER)
        .with_section("crawl", &OptOutKeys::of(ctx), &[])
        .with_inputs(targets);
    let table: Table<Image> = open_table(&ctx.run, IMAGES, STAGE, &fingerprint).await?;
    let open = targets.iter().filter(|manifest| manifest.rows("rows") > 0).count().max(1);
    let download = Download {
        ctx,
        table,
        blocklist: ContentBlocklist::load(config)?,
        limits: Arc::new(config.fetch.clone()),
        segment_bytes: (config.store.segment_bytes / open).max(512 << 10),
        partitions: config.filter.partitions,
    };
    let own = targets.iter().filter(|manifest| ctx.slice.owns(manifest.part));
    let parts: Vec<_> = own.map(|manifest| download.part(manifest)).collect();
    let done = ctx.all(parts, targets.len()).await?;
    let done: Option<Vec<Manifest>> = done.into_iter().collect();
    match done {
        Some(done) if done.len() == targets.len() => Ok(done),
        _ => download.errands(targets).await,
    }
}

/// The keys of `[crawl]` that decide over images too.
#[derive(Serialize)]
struct OptOutKeys<'a> {
    opt_outs: &'a [crate::config::OptOut],
    robots_tokens: &'a [String],
    allow_addresses: &'a [ipnet::IpNet],
}

impl<'a> OptOutKeys<'a> {
    fn of(ctx: &'a Context) -> Self {
        let crawl = &ctx.config.crawl;
        Self {
            opt_outs: &crawl.opt_outs,
            robots_tokens: &crawl.robots_tokens,
            allow_addresses: &crawl.allow_addresses,
        }
    }
}

/// The outcome of one image URL, as kept in segments: an image or a reject.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// The URL.
    pub key: String,
    /// The image, if there is one.
    pub image: Option<Image>,
    /// Why there is none.
    pub reject: Option<Reject>,
}

impl SegmentEntry for Outcome {
    fn key(&self) -> &str {
        &self.key
    }
}

impl Row for Outcome {
    fn fields() -> Vec<FieldRef> {
        vec![
            text("key"),
            optional("image", DataType::Struct(Image::fields().into())),
            optional("reject", DataType::Struct(Reject::fields().into())),
        ]
    }

    fn weight(&self) -> usize {
        let image = self.image.as_ref().map_or(0, Row::weight);
        image + self.reject.as_ref().map_or(0, Row::weight) + self.key.len() + 64
    }
}

pub(super) struct Download<'a> {
    pub(super) ctx: &'a Context,
    pub(super) table: Table<Image>,
    blocklist: ContentBlocklist,
    limits: Arc<crate::config::Fetch>,
    segment_bytes: usize,
    pub(super) partitions: u32,
}

/// An image to be had.
pub(super) struct Job {
    pub(super) target: FetchTarget,
    /// Where it redirected another slice, and by which URLs.
    pub(super) from: Option<(Url, Vec<Url>)>,
}

/// Jobs by the host that is asked first.
pub(super) type Jobs = BTreeMap<String, Vec<Job>>;

/// An answer with what was said about it, or where it is to be had and by which URLs.
type Requested = Result<(Fetched, Directives), (Url, Vec<Url>)>;

/// What became of a job that is another slice's to finish.
type HandedOn = Mutex<Vec<(FetchTarget, Url, Vec<Url>)>>;

impl Download<'_> {
    /// Makes a part; none where it waits for other slices.
    async fn part(&self, targets: &Manifest) -> Result<Option<Manifest>, StageError> {
        let part = targets.part;
        if let Some(manifest) = self.table.manifest(part).await? {
            self.table.discard_segments(part).await?;
            return Ok(Some(manifest));
        }
        self.ctx.go_on()?;
        let mut log = self.table.segments::<Outcome>(part).await?;
        let mut open = self.open_errands().of(part).await?;
        let jobs = self.open_targets(targets, &log, &open).await?;
        let handed_on = self.work(part, jobs, &mut log).await?;
        self.open_errands().put(&handed_on).await?;
        open.extend(handed_on.iter().map(|errand| errand.open(self.partitions)));
        self.ctx.go_on()?;
        if open.is_empty() { self.commit(log, targets).await.map(Some) } else { Ok(None) }
    }

    pub(super) fn open_errands(&self) -> Errands<'_> {
        Errands::new(self.table.store(), self.partitions)
    }

    /// Does jobs host by host, keeps what came of them, and gives those that are for other slices.
    pub(super) async fn work(
        &self,
        part: u32,
        jobs: Jobs,
        log: &mut SegmentLog<Outcome>,
    ) -> Result<Vec<Errand>, StageError> {
        let (sender, receiver) = mpsc::channel(4);
        let handed_on = HandedOn::default();
        let work = async {
            let host = |(host, jobs)| self.host(host, jobs, sender.clone(), &handed_on);
            let hosts: Vec<_> = jobs.into_iter().map(host).collect();
            drop(sender);
            futures::future::join_all(hosts).await;
        };
        let (_, kept) =
            tokio::join!(work, log.keep(receiver, self.segment_bytes, self.ctx.segment_age()));
        kept?;
        let handed_on = handed_on.into_inner().expect("no holder of this lock panics");
        let errand = |(target, to, seen)| Errand { part, target, to, seen };
        Ok(handed_on.into_iter().map(errand).collect())
    }

    /// What no segment holds yet and no other slice was asked for, by host.
    async fn open_targets(
        &self,
        targets: &Manifest,
        log: &SegmentLog<Outcome>,
        open: &[Open],
    ) -> Result<Jobs, StoreError> {
        let mut hosts = Jobs::new();
        let Some(file) = targets.files.get("rows") else { return Ok(hosts) };
        let done: HashSet<String> = log.keys().await?.into_iter().collect();
        let handed_on: HashSet<&str> = open.iter().map(|errand| errand.hash.as_str()).collect();
        let is_handed_on =
            |url: &str| !handed_on.is_empty() && handed_on.contains(short(url).as_str());
        let mut rows = read_rows::<FetchTarget>(self.table.store(), &file.path, 1024).await?;
        while let Some(batch) = rows.next().await? {
            let batch = batch.into_iter().filter(|target| !done.contains(&target.image_url));
            for target in batch.filter(|target| !is_handed_on(&target.image_url)) {
                self.ctx.progress.add_total(1);
                let host = target.host.clone();
                hosts.entry(host).or_default().push(Job { target, from: None });
            }
        }
        Ok(hosts)
    }

    async fn host(
        &self,
        key: String,
        jobs: Vec<Job>,
        out: mpsc::Sender<Outcome>,
        handed_on: &HandedOn,
    ) {
        let _turn = self.ctx.hosts.acquire().await.expect("the semaphore is never closed");
        // Held to the end: with it stays what it said in robots.txt.
        let _host = self.ctx.client.hosts().begin(&key);
        let stop = &self.ctx.stop;
        // Twice the host's own limit keeps it busy while images are decoded.
        let in_flight = self.ctx.config.http.host_concurrency * 2;
        let images = jobs
            .into_iter()
            .take_while(|_| !stop.is_cancelled())
            .map(|job| self.one(job, handed_on));
        let mut images = stream::iter(images).buffer_unordered(in_flight);
        while let Some(outcome) = images.next().await {
            let Some(outcome) = outcome else {
                self.ctx.progress.hand_on();
                continue;
            };
            self.ctx.progress.done(outcome.reject.as_ref().map(|reject| reject.reason));
            // Nobody takes images when they cannot be kept; the part then fails with the reason.
            if out.send(outcome).await.is_err() {
                break;
            }
        }
    }

    /// One image; none where it is another slice's. Never fails: what goes wrong is the outcome.
    async fn one(&self, job: Job, handed_on: &HandedOn) -> Option<Outcome> {
        let key = job.target.image_url.clone();
        let page_url = job.target.page_url.clone();
        match self.image(job, handed_on).await {
            Ok(image) => Some(Outcome { key, image: Some(image?), reject: None }),
            Err((reason, detail)) => {
                let reject = Reject { page_url, ..Reject::new(key.as_str(), reason, detail) };
                Some(Outcome { key, image: None, reject: Some(reject) })
            }
        }
    }

    async fn image(
        &self,
        job: Job,
        handed_on: &HandedOn,
    ) -> Result<Option<Image>, (Reason, String)> {
        let Job { target, from } = job;
        let url = Url::parse(&target.image_url).map_err(|e| (Reason::BadUrl, e.to_string()))?;
        if self.ctx.tombstones.covers_url(&target.image_url) {
            return Err((Reason::Forgotten, String::new()));
        }
        let archived = match &target.archived {
            Some(at) if from.is_none() => archived::answer(self.ctx, &url, at).await?,
            _ => None,
        };
        let (fetched, said) = match archived {
            Some(fetched) => {
                let said = Directives::from_headers(&fetched.headers, self.ctx.client.tokens());
                (fetched, said)
            }
            None => {
                let (url, seen) = from.unwrap_or((url, Vec::new()));
                match self.request(&url, seen).await? {
                    Ok(answer) => answer,
                    Err((to, seen)) => {
                        let mut handed_on =
                            handed_on.lock().expect("no holder of this lock panics");
                        handed_on.push((target, to, seen));
                        return Ok(None);
                    }
                }
            }
        };
        if let Some(reason) = said.reason(&self.ctx.config.crawl.opt_outs) {
            return Err((reason, String::new()));
        }
        self.prepare(target, fetched).await.map(Some)
    }

    /// The answer, or where it redirects among hosts of other slices.
    async fn request(&self, url: &Url, seen: Vec<Url>) -> Result<Requested, (Reason, String)> {
        let slice = self.ctx.slice;
        let ours = |to: &Url| slice.owns(partition(&host_key(to), self.partitions));
        let fetched = match self.ctx.client.get_within(url, seen, Kind::Image, ours).await {
            Ok(Answer::Fetched(fetched)) => *fetched,
            Ok(Answer::Elsewhere(to, seen)) => return Ok(Err((to, seen))),
            Err(FetchError { reason, detail, .. }) => return Err((reason, detail)),
        };
        let said = self.ctx.client.directives(&fetched.url, &fetched.headers).await;
        Ok(Ok((fetched, said)))
    }

    async fn prepare(
        &self,
        target: FetchTarget,
        fetched: Fetched,
    ) -> Result<Image, (Reason, String)> {
        let Fetched { url, headers, body, fetched_at, .. } = fetched;
        let waiting = self.ctx.client.backlog().enter();
        let prepared = prepare_guarded(body, Arc::clone(&self.limits))
            .await
            .map_err(|error| (error.reason(), error.to_string()));
        drop(waiting);
        let prepared = prepared?;
        if self.blocklist.matches(&prepared.image_id, prepared.features.phash) {
            return Err((Reason::Blocklist, prepared.image_id.to_string()));
        }
        let gone = &self.ctx.tombstones;
        if gone.covers_image(&target.image_url, &prepared.image_id) || gone.covers_url(url.as_str())
        {
            return Err((Reason::Forgotten, prepared.image_id.to_string()));
        }
        let licence = || headers.get("link").and_then(|link| licence_link(link.to_str().ok()?));
        Ok(Image {
            image_id: prepared.image_id,
            url: target.image_url,
            final_url: url.to_string(),
            host: target.host,
            page_url: target.page_url,
            page_count: target.page_count,
            format: prepared.format.as_str().to_owned(),
            original_bytes: prepared.original_bytes,
            width: prepared.width,
            height: prepared.height,
            stored_as: prepared.stored_as,
            stored_width: prepared.stored_width,
            stored_height: prepared.stored_height,
            stored_bytes: u32::try_from(prepared.bytes.len()).unwrap_or(u32::MAX),
            phash: prepared.features.phash,
            phash256: prepared.features.phash256,
            colour_layout: prepared.features.colour_layout,
            entropy: prepared.features.entropy,
            rights: prepared.rights.or_else(licence),
            fetched_at,
            bytes: prepared.bytes,
        })
    }

    pub(super) async fn commit(
        &self,
        mut log: SegmentLog<Outcome>,
        targets: &Manifest,
    ) -> Result<Manifest, StageError> {
        let _turn = self.ctx.commits.acquire().await.expect("the semaphore is never closed");
        let mut writer: PlainPart<Image> = self.table.part(targets.part)?;
        let mut outcomes = log.merge().await?;
        while let Some(outcome) = outcomes.next().await? {
            match (outcome.image, outcome.reject) {
                (Some(image), _) => writer.push(image).await?,
                (None, Some(reject)) => writer.reject(reject).await?,
                (None, None) => {
                    Err(StoreError::corrupt("images segments", "an image without an outcome"))?;
                }
            }
        }
        let manifest = writer.commit(targets.rows("rows")).await?;
        log.clear().await?;
        Ok(manifest)
    }
}

/// The target of `rel=license` in a Link header (RFC 8288).
fn licence_link(header: &str) -> Option<String> {
    header.split(',').find_map(|link| {
        let (target, parameters) = link.split_once('>')?;
        let is_licence = parameters.split(';').any(|parameter| {
            let value = parameter.trim().strip_prefix("rel=").unwrap_or_default();
            value.trim_matches('"').split(' ').any(|rel| rel.eq_ignore_ascii_case("license"))
        });
        is_licence.then(|| target.trim().trim_start_matches('<').to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_header_may_name_a_licence() {
        let header =
            r#"<http://a.example/>; rel=self, <http://b.example/cc>; rel="license nofollow""#;
        assert_eq!(licence_link(header).as_deref(), Some("http://b.example/cc"));
        assert_eq!(licence_link("<http://a.example/>; rel=self"), None);
        assert_eq!(licence_link("nonsense"), None);
    }
}
