//! `image_uses`: the image references of each page that pass the rules on their own.

use std::sync::Arc;

use url::Url;

use super::STAGE;
use super::rules::UrlRules;
use crate::config::Config;
use crate::record::{ImageRef, Reason, Reject, Tombstones, host_key, partition};
use crate::stages::blocklist;
use crate::stages::context::{Context, StageError, open_table};
use crate::store::{Fingerprint, Manifest, PlainPart, Table, read_rows};
use crate::table::{IMAGE_USES, ImageUse, PageImages};

/// Maps every part of `pages`.
pub async fn run(ctx: &Context, pages: &[Manifest]) -> Result<Vec<Manifest>, StageError> {
    let fingerprint = fingerprint(&ctx.config)?.with_inputs(pages);
    let table: Table<ImageUse> = open_table(&ctx.run, IMAGE_USES, STAGE, &fingerprint).await?;
    let rules = Arc::new(UrlRules::load(&ctx.config)?);
    let own = pages.iter().filter(|page| ctx.slice.owns(page.part));
    let parts: Vec<_> = own.map(|page| part(ctx, &table, &rules, page)).collect();
    let done = ctx.all(parts, ctx.threads()).await?;
    if done.len() == pages.len() {
        return Ok(done);
    }
    let numbers: Vec<u32> = pages.iter().map(|page| page.part).collect();
    ctx.whole(&table, &numbers, |part| ctx.slice.owner_of(part)).await
}

/// What the filters depend on, the content of their lists included.
pub fn fingerprint(config: &Config) -> Result<Fingerprint, StageError> {
    let filter = &config.filter;
    let lists = blocklist::digest("filter.ad_lists", &filter.ad_lists)?;
    let urls = blocklist::digest("filter.block_urls", &filter.block_urls)?;
    let hosts = blocklist::digest("crawl.block_hosts", &config.crawl.block_hosts)?;
    Ok(Fingerprint::new()
        .with_section("filter", filter, &["ad_lists", "block_urls"])
        .with("filter.ad_lists", lists)
        .with("filter.block_urls", urls)
        .with("crawl.block_hosts", hosts))
}

async fn part(
    ctx: &Context,
    table: &Table<ImageUse>,
    rules: &Arc<UrlRules>,
    pages: &Manifest,
) -> Result<Manifest, StageError> {
    if let Some(manifest) = table.manifest(pages.part).await? {
        return Ok(manifest);
    }
    ctx.go_on()?;
    let mut writer: PlainPart<ImageUse> = table.part(pages.part)?;
    let mut input = 0;
    let mut page_row = 0;
    if let Some(file) = pages.files.get("rows") {
        let mut rows = read_rows::<PageImages>(table.store(), &file.path, 64).await?;
        while let Some(batch) = rows.next().await? {
            let (rules, parts) = (Arc::clone(rules), ctx.config.filter.partitions);
            let gone = Arc::clone(&ctx.tombstones);
            let place = Place { page_part: pages.part, page_row };
            page_row += u32::try_from(batch.len()).expect("a batch is small");
            let judged = ctx.on_cpu(move || judge(&rules, &gone, batch, place, parts)).await;
            input += judged.len() as u64;
            for outcome in judged {
                match outcome {
                    Ok(image_use) => writer.push(image_use).await?,
                    Err(reject) => writer.reject(reject).await?,
                }
            }
        }
    }
    Ok(writer.commit(input).await?)
}

/// A row of `pages`.
#[derive(Clone, Copy)]
struct Place {
    page_part: u32,
    page_row: u32,
}

/// Judges all images of pages that lie one after the other from `place` on.
fn judge(
    rules: &UrlRules,
    gone: &Tombstones,
    pages: Vec<PageImages>,
    place: Place,
    parts: u32,
) -> Vec<Result<ImageUse, Reject>> {
    let mut judged = Vec::new();
    for (page, page_row) in pages.into_iter().zip(place.page_row..) {
        let forgotten =
            |url: &str| gone.covers_url(url).then(|| (Reason::Forgotten, String::new()));
        let unwanted = forgotten(&page.url).or_else(|| rules.objection_to_page(&page));
        for image in &page.images {
            let objection = match unwanted.clone().or_else(|| forgotten(&image.url)) {
                Some(objection) => Err(objection),
                None => rules.objection(image, &page.url),
            };
            judged.push(match objection {
                Ok(url) => Ok(image_use(&url, &page, Place { page_row, ..place }, image, parts)),
                Err((reason, detail)) => Err(Reject {
                    page_url: page.url.clone(),
                    ..Reject::new(image.url.as_str(), reason, detail)
                }),
            });
        }
    }
    judged
}

fn image_use(url: &Url, page: &PageImages, at: Place, image: &ImageRef, parts: u32) -> ImageUse {
    let host = host_key(url);
    ImageUse {
        image_url: url.to_string(),
        page_url: page.url.clone(),
        domain: page.domain.clone(),
        part: partition(&host, parts),
        host,
        page_part: at.page_part,
        page_row: at.page_row,
        position: image.position,
    }
}
