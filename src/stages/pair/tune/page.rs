//! The page: both histograms, a table of bands, and examples of each band with their images inside. One
//! file, no script, no network.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::bands::{Band, Bands};
use super::histogram::{Histogram, Line};
use super::{Example, Shown, Survey};
use crate::config::Fetch;
use crate::imaging::{Format, prepare};
use crate::stages::context::StageError;
use crate::stages::html::{escape, figure, head};
use crate::store::{Gatherer, Manifest, Store};

/// Largest side of a thumbnail, in pixels.
const SIDE: u32 = 192;

const STYLE: &str = "\
table { border-collapse: collapse; margin: 1rem 0; }
td, th { padding: .15rem .6rem; text-align: right; font-variant-numeric: tabular-nums; }
td.bar { text-align: left; width: 24rem; }
td.bar span { display: block; height: .8rem; background: #4a7dbd; }
.bands td { border: 1px solid #8886; }
pre { overflow-x: auto; }";

/// Thumbnails by place.
type Thumbnails = BTreeMap<(u32, u32), Vec<u8>>;

impl Survey {
    /// The page for the run at `out`; images are read from `images`.
    pub async fn page(
        &self,
        out: &str,
        store: &Store,
        images: &[Manifest],
    ) -> Result<String, StageError> {
        let thumbnails = self.thumbnails(store, images).await?;
        let mut html = head("Candidates for pairs", STYLE);
        let _ = writeln!(html, "<p>{}</p>", escape(&self.summary()));
        let _ = writeln!(html, "<pre>{}</pre>", escape(&self.command(out)));
        for (name, histogram) in [("Visual", &self.visual), ("Text", &self.text)] {
            html.push_str(&bars(name, histogram));
        }
        html.push_str(&self.overview());
        for ((visual, text), band) in self.bands.iter() {
            html.push_str(&section(&self.bands, (visual, text), band, &thumbnails));
        }
        html.push_str("</html>\n");
        Ok(html)
    }

    /// A band with less than a file's worth of examples is read at a time.
    async fn thumbnails(
        &self,
        store: &Store,
        images: &[Manifest],
    ) -> Result<Thumbnails, StageError> {
        let mut gatherer = Gatherer::new(store, images);
        let mut thumbnails = Thumbnails::new();
        for (_, band) in self.bands.iter() {
            let shown = band.examples.values().flat_map(|one| [one.query.place, one.target.place]);
            let files = gatherer.gather(shown).await?;
            thumbnails.extend(files.into_iter().filter_map(|(place, file)| {
                let limits = Fetch { max_side: SIDE, ..Fetch::default() };
                Some((place, prepare(file.into(), &limits).ok()?.bytes))
            }));
        }
        Ok(thumbnails)
    }

    /// How many candidates each band has, visual similarity downwards and text across.
    fn overview(&self) -> String {
        let Bands { visual: down, text: across, .. } = &self.bands;
        let columns: String =
            (0..across.len()).map(|text| format!("<th>{}</th>", across.range(text))).collect();
        let mut html = format!(
            "<h2>Both</h2>\n<p>Candidates (pairs) by visual similarity, downwards, and text \
             similarity, across.</p>\n<table class=\"bands\">\n<tr><th></th>{columns}</tr>\n"
        );
        for visual in 0..down.len() {
            let cells: String = (0..across.len()).map(|text| self.cell(visual, text)).collect();
            let _ = writeln!(html, "<tr><th>{}</th>{cells}</tr>", down.range(visual));
        }
        html + "</table>\n"
    }

    fn cell(&self, visual: usize, text: usize) -> String {
        match self.bands.get(visual, text) {
            None => "<td></td>".to_owned(),
            Some(Band { count, .. }) => {
                format!("<td><a href=\"#v{visual}t{text}\">{} ({})</a></td>", count.all, count.kept)
            }
        }
    }
}

fn bars(name: &str, histogram: &Histogram) -> String {
    let lines = histogram.lines();
    let most = lines.iter().map(|line| line.count.all).max().unwrap_or(1);
    let mut html = format!(
        "<h2>{name}</h2>\n<table>\n<tr><th>similarity</th><th>candidates</th><th>pairs</th>\
         <th>at least</th><th></th></tr>\n"
    );
    for Line { range, count, at_least } in lines {
        let width = count.all * 100 / most;
        let _ = writeln!(
            html,
            "<tr><td>{range}</td><td>{}</td><td>{}</td><td>{at_least:.1}%</td>\
             <td class=\"bar\"><span style=\"width: {width}%\"></span></td></tr>",
            count.all, count.kept
        );
    }
    html + "</table>\n"
}

fn section(
    bands: &Bands,
    (visual, text): (usize, usize),
    band: &Band,
    thumbnails: &Thumbnails,
) -> String {
    let mut html = format!(
        "<section id=\"v{visual}t{text}\">\n<h2>visual {}, text {}: {} candidates, {} pairs</h2>\n",
        bands.visual.range(visual),
        bands.text.range(text),
        band.count.all,
        band.count.kept
    );
    for example in band.examples.values() {
        html.push_str(&article(example, thumbnails));
    }
    html + "</section>\n"
}

/// What a thumbnail is; small originals are kept as they were.
fn kind(bytes: &[u8]) -> &'static str {
    let format = Format::sniff(bytes).unwrap_or(Format::Jpeg);
    format.media_type().trim_start_matches("image/")
}

fn article(example: &Example, thumbnails: &Thumbnails) -> String {
    let image = |shown: &Shown| {
        let bytes = thumbnails.get(&shown.place).map(Vec::as_slice);
        figure(bytes.map(|bytes| (kind(bytes), bytes)), &shown.caption, &shown.url)
    };
    let verdict = example.objection.map_or("pair", |reason| reason.as_str());
    format!(
        "<article>\n{}\n<p>visual {:.3}, text {:.3}<br>{verdict}<br>\
         <small><a href=\"{page}\">{page}</a></small></p>\n{}\n</article>\n",
        image(&example.query),
        example.similarity.visual,
        example.similarity.text,
        image(&example.target),
        page = escape(&example.page_url),
    )
}
