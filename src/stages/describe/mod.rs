//! Stage 4, `describe`: what each image of a group shows, in words.
//!
//! `page-text`, the embedded provider, takes the words from the page: alt text first, then the
//! caption, then the heading. It never looks at pixels.

use crate::record::{Description, GroupImage, Reason, Reject};
use crate::stages::context::{Context, StageError, open_table};
use crate::store::{Fingerprint, Manifest, PlainPart, Table, read_rows};
use crate::table::DESCRIPTIONS;
use crate::text;

/// The stage's name on the command line.
pub const STAGE: &str = "describe";

/// The name of the embedded provider.
const PAGE_TEXT: &str = "page-text";

/// Longest caption, in characters.
const MAX_CAPTION: usize = 300;

/// Labels of one image, at most.
const MAX_LABELS: usize = 8;

/// Maps every part of `groups`.
pub async fn run(ctx: &Context, groups: &[Manifest]) -> Result<Vec<Manifest>, StageError> {
    let fingerprint = Fingerprint::new().with("describe", PAGE_TEXT).with_inputs(groups);
    let table = open_table(&ctx.run, DESCRIPTIONS, STAGE, &fingerprint).await?;
    ctx.progress.add_total(groups.iter().map(|part| part.rows("rows")).sum());
    let parts: Vec<_> = groups.iter().map(|group| part(ctx, &table, group)).collect();
    ctx.all(parts, ctx.threads()).await
}

async fn part(
    ctx: &Context,
    table: &Table<Description>,
    groups: &Manifest,
) -> Result<Manifest, StageError> {
    if let Some(manifest) = table.manifest(groups.part).await? {
        ctx.progress.add_done(groups.rows("rows"));
        return Ok(manifest);
    }
    ctx.go_on()?;
    let mut writer: PlainPart<Description> = table.part(groups.part)?;
    if let Some(file) = groups.files.get("rows") {
        let mut rows = read_rows::<GroupImage>(table.store(), &file.path, 512).await?;
        while let Some(batch) = rows.next().await? {
            for image in batch {
                match describe(&image) {
                    Some(description) => {
                        writer.push(description).await?;
                        ctx.progress.done(None);
                    }
                    None => {
                        let reject = Reject::new(image.image_url, Reason::NoText, "");
                        writer.reject(Reject { page_url: image.page_url, ..reject }).await?;
                        ctx.progress.done(Some(Reason::NoText));
                    }
                }
            }
        }
    }
    Ok(writer.commit(groups.rows("rows")).await?)
}

/// The words of the page about an image; none where there are none.
fn describe(image: &GroupImage) -> Option<Description> {
    let sources = [&image.alt, &image.caption, &image.heading];
    let caption = sources.into_iter().find(|words| !text::content_words(words).is_empty())?;
    let mut labels: Vec<String> = Vec::new();
    for source in sources {
        labels.extend(text::content_words(source).into_iter().filter(|w| w.chars().count() > 2));
    }
    let mut seen = std::collections::HashSet::new();
    labels.retain(|label| seen.insert(label.clone()));
    labels.truncate(MAX_LABELS);
    Some(Description {
        group_id: image.group_id.clone(),
        position: image.position,
        image_id: image.look.image_id.clone(),
        caption: caption.trim().chars().take(MAX_CAPTION).collect(),
        labels,
        generator: PAGE_TEXT.into(),
        prompt_hash: String::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(alt: &str, caption: &str, heading: &str) -> GroupImage {
        let [alt, caption, heading] = [alt, caption, heading].map(str::to_owned);
        GroupImage { alt, caption, heading, ..GroupImage::default() }
    }

    #[test]
    fn alt_text_comes_first_and_labels_come_from_everywhere() {
        let found = describe(&image("A red boat", "The harbour.", "Boats")).unwrap();
        assert_eq!(found.caption, "A red boat");
        assert_eq!(found.labels, ["red", "boat", "harbour", "boats"]);
        assert_eq!(describe(&image("", "The harbour.", "")).unwrap().caption, "The harbour.");
        assert_eq!(describe(&image("the", " - ", "Boats")).unwrap().caption, "Boats");
    }

    #[test]
    fn without_words_there_is_no_description() {
        assert_eq!(describe(&image("", "…", "")), None);
    }
}
