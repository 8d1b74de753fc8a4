//! Stage 4, `describe`: what each image of a group shows, in words.
//!
//! [`page_text`] takes the page's own words; [`ask`] shows the image to a model, whose answers pass
//! through [`gate`]; [`batch`] does the same by files that are answered elsewhere.

mod ask;
mod batch;
mod gate;
mod page_text;

use crate::config::{Config, DescribeProvider};
use crate::endpoint::{Forecast, Wire};
use crate::record::{Description, GroupImage, Reject};
use crate::stages::context::{Context, StageError, open_table};
use crate::store::{Fingerprint, Manifest, PlainPart, RunDir, Table, read_rows};
use crate::table::DESCRIPTIONS;
use ask::Describer;
use page_text::PAGE_TEXT;

/// The stage's name on the command line.
pub const STAGE: &str = "describe";

/// Keys that change no answer, or whose part in it the prompt's hash has.
const HOW_KEYS: [&str; 7] = [
    "provider",
    "prompt",
    "batch_requests",
    "batch_bytes",
    "batch_image_base_url",
    "batch_image_query_env",
    "endpoint",
];

/// What the model steps need of `images`.
type Images<'a> = &'a [Manifest];

/// Maps every part of `groups`.
pub async fn run(
    ctx: &Context,
    groups: &[Manifest],
    images: Images<'_>,
) -> Result<Vec<Manifest>, StageError> {
    let mut describer = match wire(&ctx.config) {
        None => None,
        Some(wire) => Some(Describer::new(ctx, wire, images)?),
    };
    let fingerprint = fingerprint(ctx, describer.as_ref()).with_inputs(groups);
    let table = open_table(&ctx.run, DESCRIPTIONS, STAGE, &fingerprint).await?;
    ctx.progress.add_total(groups.iter().map(|part| part.rows("rows")).sum());
    // What is finished needs no key.
    if let Some(describer) = &mut describer
        && table.manifests().await?.len() < groups.len()
    {
        connect(ctx, describer)?;
        describer.index()?;
        if is_batch(&ctx.config) {
            batch::exchange(ctx, describer, &table, groups).await?;
        }
    }
    let describer = describer.as_ref();
    let numbers: Vec<u32> = groups.iter().map(|part| part.part).collect();
    ctx.map_parts(&table, &numbers, async |at| part(ctx, &table, &groups[at], describer).await)
        .await
}

/// Checks prompt, schema, address and key before hours of work that need them.
pub fn check(ctx: &Context) -> Result<(), StageError> {
    wire(&ctx.config).map_or(Ok(()), |wire| connect(ctx, &mut Describer::new(ctx, wire, &[])?))
}

/// Reads the key, or where images will be; sends nothing.
fn connect(ctx: &Context, describer: &mut Describer) -> Result<(), StageError> {
    if is_batch(&ctx.config) { batch::links(ctx).map(drop) } else { describer.connect() }
}

fn is_batch(config: &Config) -> bool {
    config.describe.provider == DescribeProvider::Batch
}

/// What the stage would ask of a model; none where it asks none.
pub async fn forecast(
    config: &Config,
    run: &RunDir,
    groups: &[Manifest],
) -> Result<Option<Forecast>, StageError> {
    match wire(config) {
        None => Ok(None),
        Some(wire) => Ok(Some(ask::forecast(config, run, wire, groups).await?)),
    }
}

fn wire(config: &Config) -> Option<Wire> {
    match config.describe.provider {
        DescribeProvider::PageText => None,
        DescribeProvider::Openai | DescribeProvider::Batch => Some(Wire::OpenAi),
        DescribeProvider::Gemini => Some(Wire::Gemini),
    }
}

fn fingerprint(ctx: &Context, describer: Option<&Describer>) -> Fingerprint {
    let fingerprint = Fingerprint::new();
    match describer {
        None => fingerprint.with("describe.provider", PAGE_TEXT),
        Some(describer) => fingerprint
            .with("describe.endpoint.model", describer.generator())
            .with("describe.prompt, schema and parameters", describer.prompt_hash())
            .with_section("describe", &ctx.config.describe, &HOW_KEYS),
    }
}

async fn part(
    ctx: &Context,
    table: &Table<Description>,
    groups: &Manifest,
    describer: Option<&Describer>,
) -> Result<Manifest, StageError> {
    if let Some(manifest) = table.manifest(groups.part).await? {
        ctx.progress.add_done(groups.rows("rows"));
        return Ok(manifest);
    }
    ctx.go_on()?;
    let mut writer: PlainPart<Description> = table.part(groups.part)?;
    let Some(file) = groups.files.get("rows") else { return Ok(writer.commit(0).await?) };
    let answers = match describer {
        None => None,
        Some(describer) => Some(describer.ask(ctx, groups.part, &file.path).await?),
    };
    let mut rows = read_rows::<GroupImage>(table.store(), &file.path, 512).await?;
    while let Some(batch) = rows.next().await? {
        for image in batch {
            let said = match &answers {
                None => page_text::describe(&image)
                    .ok_or((crate::record::Reason::NoText, String::new())),
                Some(answers) => answers.of(&image)?,
            };
            match said {
                Ok(description) => writer.push(description).await?,
                Err((reason, detail)) => {
                    let reject = Reject::new(image.image_url, reason, detail);
                    writer.reject(Reject { page_url: image.page_url, ..reject }).await?;
                    ctx.progress.reject(reason);
                }
            }
            if answers.is_none() {
                ctx.progress.done(None);
            }
        }
    }
    Ok(writer.commit(groups.rows("rows")).await?)
}
