//! The contact sheet: one HTML file with the first triplets, for a look without any tool.

use std::fmt::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::Shards;
use crate::record::ImageBytes;
use crate::stages::context::{Context, StageError};
use crate::store::read_rows;
use crate::table::Triplet;

/// Where it lies in the run directory.
pub const PATH: &str = "triplets/contact_sheet.html";

/// Triplets on it, at most.
const TRIPLETS_SHOWN: usize = 60;

const STYLE: &str = "\
:root { color-scheme: light dark; font: 15px/1.4 system-ui, sans-serif; }
body { margin: 1.5rem auto; max-width: 68rem; padding: 0 1rem; }
article { display: grid; grid-template-columns: 1fr 1fr 1fr; gap: 1rem; align-items: center;
  border-top: 1px solid #8886; padding: 1rem 0; }
figure { margin: 0; } img { max-width: 100%; max-height: 15rem; display: block; }
figcaption, small { opacity: .75; font-size: .85rem; overflow-wrap: anywhere; }
.instruction { font-size: 1.15rem; }
@media (max-width: 40rem) { article { grid-template-columns: 1fr; } }";

/// Writes the sheet; a run without triplets has an empty one.
pub async fn write(ctx: &Context, shards: &Shards) -> Result<(), StageError> {
    let total: u64 = shards.iter().flat_map(|(_, parts)| parts).map(|part| part.rows("rows")).sum();
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>Triplets</title>\n\
         <style>{STYLE}</style>\n<h1>Triplets</h1>\n<p>The first {} of {total}: query image, \
         instruction, target image.</p>\n",
        total.min(TRIPLETS_SHOWN as u64),
    );
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
    let shown = match image {
        Some(image) => {
            let kind = match image.path.rsplit('.').next() {
                Some("jpg") | None => "jpeg",
                Some(kind) => kind,
            };
            let data = BASE64_STANDARD.encode(&image.bytes);
            format!("<img alt=\"{}\" src=\"data:image/{kind};base64,{data}\">", escape(caption))
        }
        None => format!("<a href=\"{0}\">{0}</a>", escape(url)),
    };
    format!("<figure>{shown}<figcaption>{}</figcaption></figure>", escape(caption))
}

/// Text for HTML, in elements and in quoted attributes.
fn escape(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            c if c.is_control() => html.push(' '),
            c => {
                let _ = html.write_char(c);
            }
        }
    }
    html
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
            query_image: Some(ImageBytes { bytes: vec![1], path: "a.png".into() }),
            ..Triplet::default()
        };
        let html = article(&triplet);
        assert!(!html.contains("<script"), "{html}");
        assert!(html.contains("data:image/png;base64,AQ=="));
    }
}
