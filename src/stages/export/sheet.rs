//! The contact sheet: one HTML file with the first triplets, for a look without any tool.

use super::Shards;
use crate::record::ImageBytes;
use crate::stages::context::{Context, StageError};
use crate::stages::html::{self, escape, head};
use crate::store::read_rows;
use crate::table::Triplet;

/// Where it lies in the run directory.
pub const PATH: &str = "triplets/contact_sheet.html";

/// Triplets on it, at most.
const TRIPLETS_SHOWN: usize = 60;

const STYLE: &str = ".instruction { font-size: 1.15rem; }";

/// Writes the sheet; a run without triplets has an empty one.
pub async fn write(ctx: &Context, shards: &Shards) -> Result<(), StageError> {
    let total: u64 = shards.iter().flat_map(|(_, parts)| parts).map(|part| part.rows("rows")).sum();
    let mut html = head("Triplets", STYLE);
    html.push_str(&format!(
        "<p>The first {} of {total}: query image, instruction, target image.</p>\n",
        total.min(TRIPLETS_SHOWN as u64),
    ));
    let mut left = TRIPLETS_SHOWN;
    for part in shards.iter().flat_map(|(_, parts)| parts) {
        let Some(file) = part.files.get("rows").filter(|_| left > 0) else { continue };
        let mut rows = read_rows::<Triplet>(ctx.run.store(), &file.path, 16).await?;
        while let Some(batch) = rows.next().await?.filter(|_| left > 0) {
            for triplet in batch.iter().take(left) {
                html.push_str(&article(triplet));
            }
            left -= batch.len().min(left);
        }
    }
    html.push_str("</html>\n");
    Ok(ctx.run.store().replace(PATH, html.into_bytes()).await?)
}

fn article(triplet: &Triplet) -> String {
    format!(
        "<article id=\"{id}\">\n{}\n<div><p class=\"instruction\">{}</p><p><small>{}<br>\
         visual {:.2}, text {:.2}, by {}<br><a href=\"{page}\">{page}</a></small></p></div>\n{}\n\
         </article>\n",
        figure(&triplet.query_image, &triplet.query_caption, &triplet.query_url),
        escape(&triplet.instruction),
        escape(&triplet.relation),
        triplet.visual_similarity,
        triplet.text_similarity,
        escape(&triplet.generator),
        figure(&triplet.target_image, &triplet.target_caption, &triplet.target_url),
        id = escape(&triplet.triplet_id),
        page = escape(&triplet.page_url),
    )
}

fn figure(image: &Option<ImageBytes>, caption: &str, url: &str) -> String {
    let kind = |image: &ImageBytes| match image.path.rsplit('.').next() {
        Some("jpg") | None => "jpeg".to_owned(),
        Some(kind) => kind.to_owned(),
    };
    let shown = image.as_ref().map(|image| (kind(image), image.bytes.as_ref()));
    html::figure(shown.as_ref().map(|(kind, bytes)| (kind.as_str(), *bytes)), caption, url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_text_cannot_become_markup() {
        let hostile = "\"><script>alert(1)</script>".to_owned();
        let triplet = Triplet {
            instruction: hostile.clone(),
            query_caption: hostile.clone(),
            page_url: hostile.clone(),
            query_image: Some(ImageBytes { bytes: vec![1].into(), path: "a.png".into() }),
            ..Triplet::default()
        };
        let html = article(&triplet);
        assert!(!html.contains("<script"), "{html}");
        assert!(html.contains("data:image/png;base64,AQ=="));
    }
}
