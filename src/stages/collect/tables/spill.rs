//! Rows by page: spread over parts in sorted segments on disk, then merged part by part.
//!
//! A process that is killed before all files were read begins with them again: which rows a part has
//! yet to get is known only at their end.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tokio::sync::mpsc;

use super::super::visit::Visit;
use super::page::{Together, page_of};
use super::rows::{self, TableError, TableRow};
use crate::record::{Page, Reason, Reject, partition};
use crate::stages::context::{Context, StageError};
use crate::store::{Manifest, PlainPart, SegmentLog, StoreError, Table, is_remote};

/// Rows on their way from the files.
const WAITING: usize = 256;

/// A row with its place among all rows.
type Placed = (String, Result<TableRow, Reject>);

/// Makes the parts from `first` on of `pages`, so many as `parts`, as far as they are this slice's.
pub async fn run(
    ctx: &Context,
    files: &[String],
    pages: &Table<Page>,
    first: u32,
    parts: u32,
) -> Result<Vec<Manifest>, StageError> {
    let mut logs = BTreeMap::new();
    let own = || (0..parts).filter(|part| ctx.slice.owns(first + part));
    for part in own() {
        pages.discard_segments(first + part).await?;
        if pages.manifest(first + part).await?.is_none() {
            logs.insert(part, pages.segments::<Visit>(first + part).await?);
        }
    }
    if !logs.is_empty() {
        spread(ctx, files, &mut logs, parts).await?;
        ctx.go_on()?;
    }
    let mut manifests = Vec::new();
    for part in own() {
        manifests.push(match logs.remove(&part) {
            Some(log) => commit(ctx, pages, first + part, log).await?,
            None => {
                let manifest = pages.manifest(first + part).await?;
                manifest.ok_or_else(|| StoreError::corrupt(pages.name(), "a part is gone"))?
            }
        });
    }
    Ok(manifests)
}

async fn spread(
    ctx: &Context,
    files: &[String],
    logs: &mut BTreeMap<u32, SegmentLog<Visit>>,
    parts: u32,
) -> Result<(), StageError> {
    let bytes = (ctx.config.store.segment_bytes / logs.len()).max(256 << 10);
    for (number, file) in files.iter().enumerate() {
        let (sender, mut rows) = mpsc::channel::<Placed>(WAITING);
        let copy = Copied::of(ctx, file).await?;
        let (path, name, columns) = (copy.path.clone(), file.clone(), ctx.config.tables.clone());
        let reading =
            tokio::task::spawn_blocking(move || read(number, &path, &name, &columns, sender));
        while let Some(row) = rows.recv().await {
            ctx.go_on()?;
            let visit = visit(ctx, row);
            ctx.progress.add_total(1);
            ctx.progress.done(visit.reject.as_ref().map(|reject| reject.reason));
            let name = visit.page.as_ref().map_or(visit.key.as_str(), |page| page.url.as_str());
            if let Some(log) = logs.get_mut(&partition(name, parts)) {
                log.push(visit, bytes, std::time::Duration::MAX).await?;
            }
        }
        let read = reading.await.unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()));
        let failed = |error: TableError| StageError::Input {
            name: file.clone(),
            problem: error.to_string(),
        };
        read.map_err(failed)?;
    }
    Ok(())
}

/// A file on local disk: what lies in an object store is copied, for the time it is read.
struct Copied {
    path: PathBuf,
    _folder: Option<tempfile::TempDir>,
}

impl Copied {
    async fn of(ctx: &Context, file: &str) -> Result<Self, StageError> {
        if !is_remote(file) {
            return Ok(Self { path: PathBuf::from(file), _folder: None });
        }
        let folder =
            tempfile::tempdir().map_err(|error| StoreError::corrupt("temporary folder", error))?;
        // Its name says its format.
        let path = folder.path().join(file.rsplit('/').next().unwrap_or_default());
        ctx.objects.copy(file, &path).await?;
        Ok(Self { path, _folder: Some(folder) })
    }
}

/// Reads a file to its end, or to its damage, which is a row of its own.
fn read(
    number: usize,
    path: &Path,
    name: &str,
    columns: &crate::config::Tables,
    out: mpsc::Sender<Placed>,
) -> Result<(), TableError> {
    let broken = |problem| Reject::new(name, Reason::InputBroken, problem);
    let mut row_number = 0u64;
    let mut place = || {
        row_number += 1;
        format!("{number:06}{row_number:012}")
    };
    let read = rows::for_each(path, columns, &mut |row| {
        out.blocking_send((place(), row.map_err(broken))).is_ok()
    });
    match read {
        Err(TableError::Io(error)) => Err(error.into()),
        Err(error) => {
            // Nobody takes it when the run has failed already.
            let _ = out.blocking_send((place(), Err(broken(error.to_string()))));
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

fn visit(ctx: &Context, (place, row): Placed) -> Visit {
    let page = row.and_then(|row| page_of(row, &ctx.config.crawl));
    let page = page.and_then(|page| match ctx.tombstones.covers_url(&page.url) {
        true => Err(Reject::new(page.url, Reason::Forgotten, "")),
        false => Ok(page),
    });
    match page {
        Ok(page) => Visit::of_page(format!("{} {place}", page.url), page),
        Err(reject) => {
            Visit { key: format!("{} {place}", reject.url), ..Visit::rejected(0, reject) }
        }
    }
}

async fn commit(
    ctx: &Context,
    pages: &Table<Page>,
    part: u32,
    mut log: SegmentLog<Visit>,
) -> Result<Manifest, StageError> {
    let _turn = ctx.commits.acquire().await.expect("the semaphore is never closed");
    let mut writer: PlainPart<Page> = pages.part(part)?;
    let (mut rows, mut records) = (0u64, 0u64);
    let mut open: Option<(String, Together)> = None;
    let mut visits = log.merge().await?;
    while let Some(Visit { page, reject, .. }) = visits.next().await? {
        rows += 1;
        if let Some(reject) = reject {
            records += 1;
            writer.reject(reject).await?;
        }
        let Some(row) = page else { continue };
        match &mut open {
            Some((url, together)) if *url == row.url => together.add(row),
            _ => {
                let max_images = ctx.config.crawl.max_images_per_page;
                let next = (row.url.clone(), Together::new(row, max_images));
                if let Some((_, done)) = open.replace(next) {
                    records += 1;
                    writer.push(done.finish()).await?;
                }
            }
        }
    }
    if let Some((_, done)) = open {
        records += 1;
        writer.push(done.finish()).await?;
    }
    writer.pass_over(BTreeMap::from([("further rows of pages".to_owned(), rows - records)]));
    let manifest = writer.commit(records).await?;
    log.clear().await?;
    Ok(manifest)
}
