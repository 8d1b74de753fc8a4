//! One WARC file: its pages read side by side, kept in segments, and the commit.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use futures::{StreamExt, stream};
use tokio::sync::mpsc;

use super::super::resolve::{self, Brief};
use super::super::visit::{Memo, Visit};
use super::page::read_page;
use super::read::{FileReader, Found, url_of};
use super::rules::Rules;
use crate::record::{Page, Reason, Reject};
use crate::stages::archives;
use crate::stages::context::{Context, StageError};
use crate::store::{Manifest, PlainPart, SegmentLog, StoreError, Table};
use crate::table::ArchivedImage;

/// Answers that wait to be read, besides those that are.
const WAITING: usize = 4;

/// Work on the part of one file.
pub struct ArchivePart<'a> {
    /// What every stage is given.
    pub ctx: &'a Context,
    /// What decides over answers.
    pub rules: Arc<Rules>,
    /// The table `pages`.
    pub pages: &'a Table<Page>,
    /// The table `archived_images`.
    pub images: &'a Table<ArchivedImage>,
    /// The number of this part in both.
    pub part: u32,
    /// Path or URL of the file.
    pub archive: String,
    /// Bytes of pending outcomes before a segment is written.
    pub segment_bytes: usize,
}

type PassedOver = BTreeMap<String, u64>;

impl ArchivePart<'_> {
    /// Reads the file and commits, unless that was done.
    pub async fn run(&self) -> Result<Manifest, StageError> {
        if let Some(manifest) = self.pages.manifest(self.part).await? {
            self.pages.discard_segments(self.part).await?;
            return Ok(manifest);
        }
        self.ctx.go_on()?;
        let mut log = self.pages.segments::<Visit>(self.part).await?;
        let (mut known, mut briefs) = (HashSet::new(), Vec::new());
        log.for_each(|memo: Memo| {
            known.insert(memo.key.clone());
            briefs.extend(of_record(memo));
        })
        .await?;
        let (sender, receiver) = mpsc::channel(64);
        let (read, kept) = tokio::join!(
            self.read(known, &mut briefs, sender),
            log.keep(receiver, self.segment_bytes, self.ctx.segment_age())
        );
        kept?;
        let passed_over = read?;
        self.ctx.go_on()?;
        self.commit(log, briefs, passed_over).await
    }

    /// Reads the file on one thread and its pages on all of them; adds what finding duplicates needs of
    /// these to `briefs`.
    async fn read(
        &self,
        known: HashSet<String>,
        briefs: &mut Vec<Brief>,
        out: mpsc::Sender<Visit>,
    ) -> Result<PassedOver, StageError> {
        let (sender, mut found) = mpsc::channel(WAITING);
        let (name, rules) = (self.archive.clone(), Arc::clone(&self.rules));
        let stop = self.ctx.stop.clone();
        let reading = archives::read(self.ctx, &self.archive, None, move |input| {
            let (name, rules, known, stop) = (&name, &rules, &known, &stop);
            FileReader { name, rules, known, stop, out: sender }.read(input)
        });
        let visits = async {
            let found = stream::poll_fn(move |context| found.poll_recv(context));
            let mut visits = found.map(|f| self.visit(f)).buffer_unordered(self.ctx.threads());
            while let Some(visit) = visits.next().await {
                self.ctx.progress.add_total(1);
                self.ctx.progress.done(visit.reject.as_ref().map(|reject| reject.reason));
                briefs.extend(of_record(Memo::of(&visit)));
                // Nobody takes visits when they cannot be kept; the part then fails with the reason.
                if out.send(visit).await.is_err() {
                    return;
                }
            }
        };
        let (read, ()) = tokio::join!(reading, visits);
        drop(out);
        read?.map_err(|error| StageError::Input {
            name: self.archive.clone(),
            problem: error.to_string(),
        })
    }

    async fn visit(&self, found: Found) -> Visit {
        let (key, fetched) = match found {
            Found::Outcome(visit) => return *visit,
            Found::Answer(key, fetched) => (key, fetched),
        };
        let rules = Arc::clone(&self.rules);
        let read = self.ctx.on_cpu(move || read_page(&fetched, &rules)).await;
        match read {
            Ok(page) => Visit::of_page(key, page),
            Err((reason, detail)) => {
                let reject = Reject::new(url_of(&key), reason, detail);
                Visit { key, ..Visit::rejected(0, reject) }
            }
        }
    }

    /// Commits the images first: a part of `pages` that is there says that all of the file is.
    async fn commit(
        &self,
        mut log: SegmentLog<Visit>,
        briefs: Vec<Brief>,
        passed_over: PassedOver,
    ) -> Result<Manifest, StageError> {
        let _turn = self.ctx.commits.acquire().await.expect("the semaphore is never closed");
        let duplicates = resolve::duplicates(&briefs, &HashSet::new());
        drop(briefs);
        let mut pages: PlainPart<Page> = self.pages.part(self.part)?;
        let mut images: PlainPart<ArchivedImage> = self.images.part(self.part)?;
        let (mut records, mut image_records) = (0, 0);
        let mut last_image = String::new();
        let mut visits = log.merge().await?;
        while let Some(Visit { key, page, reject, image, .. }) = visits.next().await? {
            let is_image = image.is_some()
                || reject.as_ref().is_some_and(|reject| reject.reason == Reason::NotSeekable);
            *if is_image { &mut image_records } else { &mut records } += 1;
            let url = url_of(&key);
            let duplicate = |stays: &str| Reject::new(url, Reason::DuplicateUrl, stays);
            match (page, image, reject, duplicates.get(&key)) {
                (Some(_), _, _, Some(stays)) => pages.reject(duplicate(stays)).await?,
                (Some(page), ..) => pages.push(page).await?,
                (_, Some(image), ..) if image.url == last_image => {
                    images.reject(duplicate(&last_image)).await?;
                }
                (_, Some(image), ..) => {
                    last_image.clone_from(&image.url);
                    images.push(image).await?;
                }
                (_, _, Some(reject), _) => {
                    let reject = Reject { url: url.to_owned(), ..reject };
                    match is_image {
                        true => images.reject(reject).await?,
                        false => pages.reject(reject).await?,
                    }
                }
                (None, None, None, _) => {
                    let path = format!("{} segments", self.pages.name());
                    Err(StoreError::corrupt(path, "a record without an outcome"))?;
                }
            }
        }
        tracing::info!(
            archive = self.archive,
            records,
            images = image_records,
            ?passed_over,
            "archive read"
        );
        images.commit(image_records).await?;
        pages.pass_over(passed_over);
        let manifest = pages.commit(records).await?;
        log.clear().await?;
        Ok(manifest)
    }
}

/// What finding duplicates needs of a record: of several of one URL the first in the file stays.
fn of_record(memo: Memo) -> Option<Brief> {
    let key = memo.key.clone();
    memo.brief().map(|brief| Brief { requested_url: key, ..brief })
}
