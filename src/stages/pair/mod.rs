//! Stage 5, `pair`: which two images of a group belong together.
//!
//! Groups and descriptions lie in the same order, so both are read once, side by side. A first pass
//! over the descriptions counts how common each word is; [`select`] decides.

mod select;

use crate::record::{Description, GroupImage, Pair, Reject, content_id};
use crate::similarity::{self, DocumentFrequencies};
use crate::stages::context::{Context, StageError, open_table};
use crate::store::{Fingerprint, Manifest, Ordered, PlainPart, StoreError, Table, read_rows};
use crate::table::PAIRS;
use crate::text;
use select::{Candidate, Similarity, select};

/// The stage's name on the command line.
pub const STAGE: &str = "pair";

/// Maps every part of `groups` and `descriptions`.
pub async fn run(
    ctx: &Context,
    groups: &[Manifest],
    descriptions: &[Manifest],
) -> Result<Vec<Manifest>, StageError> {
    let fingerprint = Fingerprint::new()
        .with("similarity", "lexical")
        .with_section("pair", &ctx.config.pair, &[])
        .with_inputs(&[groups, descriptions].concat());
    let table: Table<Pair> = open_table(&ctx.run, PAIRS, STAGE, &fingerprint).await?;
    let committed = table.manifests().await?;
    if committed.len() == groups.len() {
        return Ok(committed);
    }
    ctx.go_on()?;
    let words = document_frequencies(ctx, descriptions).await?;
    ctx.progress.add_total(groups.iter().map(|part| part.rows("rows")).sum());
    let parts = groups.iter().zip(descriptions);
    let parts: Vec<_> = parts.map(|(g, d)| part(ctx, &table, g, d, &words)).collect();
    ctx.all(parts, ctx.threads()).await
}

async fn document_frequencies(
    ctx: &Context,
    descriptions: &[Manifest],
) -> Result<DocumentFrequencies, StoreError> {
    let mut frequencies = DocumentFrequencies::new();
    for part in descriptions {
        let Some(file) = part.files.get("rows") else { continue };
        let mut rows = read_rows::<Description>(ctx.run.store(), &file.path, 1024).await?;
        while let Some(batch) = rows.next().await? {
            batch.iter().for_each(|description| frequencies.add(&words_of(description)));
        }
    }
    Ok(frequencies)
}

fn words_of(description: &Description) -> Vec<String> {
    let mut words = text::content_words(&description.caption);
    let labels: Vec<_> = description.labels.iter().filter(|l| !words.contains(l)).collect();
    words.extend(labels.into_iter().cloned());
    words
}

async fn part(
    ctx: &Context,
    table: &Table<Pair>,
    groups: &Manifest,
    descriptions: &Manifest,
    words: &DocumentFrequencies,
) -> Result<Manifest, StageError> {
    if let Some(manifest) = table.manifest(groups.part).await? {
        ctx.progress.add_done(groups.rows("rows"));
        return Ok(manifest);
    }
    ctx.go_on()?;
    let mut writer: PlainPart<Pair> = table.part(groups.part)?;
    let (Some(group_file), Some(file)) = (groups.files.get("rows"), descriptions.files.get("rows"))
    else {
        return Ok(writer.commit(0).await?);
    };
    let store = table.store();
    let mut images = Ordered::new(read_rows::<GroupImage>(store, &group_file.path, 512).await?);
    let mut described = Ordered::new(read_rows::<Description>(store, &file.path, 512).await?);
    let mut input = 0;
    while let Some(group) = images.next_run(|image| image.group_id.clone()).await? {
        let id = &group[0].group_id;
        let said = described.take_run(|description| description.group_id == *id).await?;
        let judged = judge(ctx, &group, &said, words);
        input += judged.len() as u64;
        for outcome in judged {
            match outcome {
                Ok(pair) => writer.push(pair).await?,
                Err(reject) => writer.reject(reject).await?,
            }
        }
        ctx.progress.add_done(group.len() as u64);
    }
    Ok(writer.commit(input).await?)
}

/// Every candidate of a group, as a pair or a reject.
fn judge(
    ctx: &Context,
    group: &[GroupImage],
    said: &[Description],
    words: &DocumentFrequencies,
) -> Vec<Result<Pair, Reject>> {
    let of = |description: &Description| {
        let image = group.iter().find(|image| image.position == description.position)?;
        Some((image, words.vector(&words_of(description))))
    };
    let images: Vec<_> = said.iter().filter_map(of).collect();
    let similarity = |a: usize, b: usize| Similarity {
        visual: similarity::visual(&images[a].0.look, &images[b].0.look),
        text: similarity::cosine(&images[a].1, &images[b].1),
    };
    let candidates = select(images.len(), similarity, &ctx.config.pair);
    let outcome = |Candidate { query, target, similarity, objection }: Candidate| {
        let (query, target) = (images[query].0, images[target].0);
        match objection {
            None => Ok(pair(query, target, similarity)),
            Some(reason) => {
                let Similarity { visual, text } = similarity;
                let detail = format!("{} visual {visual:.3} text {text:.3}", target.image_url);
                let reject = Reject::new(query.image_url.as_str(), reason, detail);
                Err(Reject { page_url: query.page_url.clone(), ..reject })
            }
        }
    };
    candidates.into_iter().map(outcome).collect()
}

fn pair(query: &GroupImage, target: &GroupImage, similarity: Similarity) -> Pair {
    let (query_id, target_id) = (&query.look.image_id, &target.look.image_id);
    Pair {
        pair_id: content_id(&[&query.group_id, query_id.as_str(), target_id.as_str()]),
        group_id: query.group_id.clone(),
        query_position: query.position,
        target_position: target.position,
        query_image_id: query_id.clone(),
        target_image_id: target_id.clone(),
        visual_similarity: similarity.visual,
        text_similarity: similarity.text,
    }
}
