//! `groups`: the images of a page that count, with what the page says about them.

use std::collections::HashMap;

use arrow::datatypes::{DataType, FieldRef};
use serde::{Deserialize, Serialize};

use super::STAGE;
use super::overlap::Groups;
use crate::record::{GroupImage, ImageRef, Occurrence, Reason, Reject, content_id};
use crate::stages::context::{Context, StageError, open_table};
use crate::store::{Fingerprint, Manifest, Ordered, PlainPart, Row, StoreError, Table, read_rows};
use crate::table::columns::required;
use crate::table::{GROUPS, PageImages};
use crate::text;

/// Pages are read this many at a time; they hold their text.
const PAGE_ROWS: usize = 64;

/// Maps every part of `occurrences` and `pages`, after finding the groups that overlap.
pub async fn run(
    ctx: &Context,
    pages: &[Manifest],
    occurrences: &[Manifest],
) -> Result<Vec<Manifest>, StageError> {
    let fingerprint = Fingerprint::new()
        .with("group.max_overlap", ctx.config.group.max_overlap)
        .with_inputs(&[pages, occurrences].concat());
    let table: Table<GroupImage> = open_table(&ctx.run, GROUPS, STAGE, &fingerprint).await?;
    let committed = table.manifests().await?;
    if committed.len() == occurrences.len() {
        return Ok(committed);
    }
    ctx.go_on()?;
    let dropped = overlapping(ctx, occurrences).await?;
    let rows: u64 = occurrences.iter().map(|part| part.rows("rows")).sum();
    ctx.progress.add_total(rows);
    let numbers: Vec<u32> = pages.iter().map(|part| part.part).collect();
    ctx.map_parts(&table, &numbers, async |at| {
        part(ctx, &table, &pages[at], &occurrences[at], &dropped).await
    })
    .await
}

/// A page by part and row.
type PageAt = (u32, u32);

/// The pages whose groups go, with the pages that stay for them.
async fn overlapping(
    ctx: &Context,
    occurrences: &[Manifest],
) -> Result<HashMap<PageAt, PageAt>, StageError> {
    let mut groups = Groups::default();
    let mut pages: Vec<PageAt> = Vec::new();
    for part in occurrences {
        let Some(file) = part.files.get("rows") else { continue };
        let rows = read_rows::<Member>(ctx.run.store(), &file.path, 4096).await?;
        let mut rows = Ordered::new(rows);
        while let Some(run) = rows.next_run(|row| row.page_row).await? {
            pages.push((part.part, run[0].page_row));
            groups.push(run.iter().map(|row| row.look.cluster_key));
        }
    }
    let threshold = ctx.config.group.max_overlap;
    let dropped = ctx.on_cpu(move || groups.overlapping(threshold)).await;
    let at = |group: u32| pages[group as usize];
    Ok(dropped.into_iter().map(|(group, kept)| (at(group), at(kept))).collect())
}

/// The columns of `occurrences` that tell groups from another.
#[derive(Debug, Serialize, Deserialize)]
struct Member {
    page_row: u32,
    look: MemberLook,
}

#[derive(Debug, Serialize, Deserialize)]
struct MemberLook {
    cluster_key: i64,
}

impl Row for Member {
    fn fields() -> Vec<FieldRef> {
        let look = DataType::Struct(vec![required("cluster_key", DataType::Int64)].into());
        vec![required("page_row", DataType::UInt32), required("look", look)]
    }

    fn weight(&self) -> usize {
        16
    }
}

async fn part(
    ctx: &Context,
    table: &Table<GroupImage>,
    pages: &Manifest,
    occurrences: &Manifest,
    dropped: &HashMap<PageAt, PageAt>,
) -> Result<Manifest, StageError> {
    if let Some(manifest) = table.manifest(pages.part).await? {
        return Ok(manifest);
    }
    ctx.go_on()?;
    let mut writer: PlainPart<GroupImage> = table.part(pages.part)?;
    let (Some(page_file), Some(file)) = (pages.files.get("rows"), occurrences.files.get("rows"))
    else {
        return Ok(writer.commit(0).await?);
    };
    let store = table.store();
    let mut rows = Ordered::new(read_rows::<Occurrence>(store, &file.path, 1024).await?);
    let mut batches = read_rows::<PageImages>(store, &page_file.path, PAGE_ROWS).await?;
    let mut page_row = 0;
    while let Some(batch) = batches.next().await? {
        for page in batch {
            let shown = rows.take_run(|row| row.page_row == page_row).await?;
            ctx.progress.add_done(shown.len() as u64);
            match dropped.get(&(pages.part, page_row)) {
                Some(&(part, row)) => {
                    let detail = format!("shows what row {row} of part {part} of pages shows");
                    for image in shown {
                        let reject =
                            Reject::new(image.image_url, Reason::OverlappingGroup, &*detail);
                        writer.reject(Reject { page_url: page.url.clone(), ..reject }).await?;
                    }
                }
                None => push(&mut writer, page, shown).await?,
            }
            page_row += 1;
        }
    }
    Ok(writer.commit(occurrences.rows("rows")).await?)
}

async fn push(
    writer: &mut PlainPart<GroupImage>,
    page: PageImages,
    shown: Vec<Occurrence>,
) -> Result<(), StoreError> {
    if shown.is_empty() {
        return Ok(());
    }
    let group = GroupImage {
        group_id: content_id(&[&page.url]),
        language: text::detect_language(&page.text).map(str::to_owned),
        page_title: text::mask(&page.title).into_owned(),
        page_url: page.url,
        domain: page.domain,
        rights: page.license,
        fetched_at: page.fetched_at,
        ..GroupImage::default()
    };
    for occurrence in shown {
        let said = page.images.iter().find(|image| image.position == occurrence.position);
        let said = said.ok_or_else(|| StoreError::corrupt(&*group.page_url, "an image is gone"))?;
        writer.push(image(&group, said, occurrence)).await?;
    }
    Ok(())
}

fn image(group: &GroupImage, said: &ImageRef, occurrence: Occurrence) -> GroupImage {
    let masked = |words: &str| text::mask(words).into_owned();
    let caption = if said.caption.is_empty() { &said.title } else { &said.caption };
    let rights = said.license.clone().or_else(|| occurrence.look.rights.clone());
    GroupImage {
        position: occurrence.position,
        image_url: occurrence.image_url,
        alt: masked(&said.alt),
        caption: masked(caption),
        heading: masked(&said.heading),
        nearby_text: masked(&said.nearby_text),
        rights: rights.or_else(|| group.rights.clone()),
        look: occurrence.look,
        ..group.clone()
    }
}
