//! What there is to decide over: how alike all candidates of a run are, what the bounds keep of them, and
//! examples, as a text table and as a page. The paper publishes no bounds; this is to find some by eye.
//!
//! Examples are those of the least `pair_id`, a hash of content: a sample that is the same every time.

mod bands;
mod histogram;
mod page;
mod scale;

use std::collections::BTreeMap;
use std::fmt::Write;

use super::group::{Groups, Member};
use super::likeness::Likeness;
use super::{Inputs, STAGE, judge, pair};
use crate::config::{Bounds, Config};
use crate::record::{GroupImage, Reason};
use crate::stages::context::StageError;
use crate::stages::pair::select::{Candidate, Similarity};
use crate::store::Store;
use bands::Bands;
use histogram::Histogram;

/// How alike the candidates of a run are, and what becomes of them.
#[derive(Debug)]
pub struct Survey {
    by: &'static str,
    bounds: Bounds,
    candidates: u64,
    kept: u64,
    reasons: BTreeMap<Reason, u64>,
    visual: Histogram,
    text: Histogram,
    bands: Bands,
}

/// A candidate to look at.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    similarity: Similarity,
    objection: Option<Reason>,
    page_url: String,
    query: Shown,
    target: Shown,
}

/// One of its images.
#[derive(Clone, Debug, PartialEq)]
struct Shown {
    place: (u32, u32),
    url: String,
    caption: String,
}

/// Goes through all candidates of a run as `pair` would.
pub async fn survey(config: &Config, store: &Store, inputs: &Inputs) -> Result<Survey, StageError> {
    let is_described =
        !inputs.groups.is_empty() && inputs.descriptions.len() == inputs.groups.len();
    if !is_described {
        let missing = String::new();
        return Err(StageError::NoInput { stage: "tune-pairs", before: "describe", missing });
    }
    let inputs = &inputs.of(config, store).await?;
    let likeness = Likeness::new(config, store, inputs).await?;
    let (visual, text) = (Histogram::default(), Histogram::default());
    let mut survey = Survey {
        by: config.pair.similarity.as_str(),
        bounds: config.pair.bounds(config.embed.images),
        candidates: 0,
        kept: 0,
        reasons: BTreeMap::new(),
        bands: Bands::over(&visual, &text),
        visual,
        text,
    };
    walk(config, store, inputs, &likeness, |_, candidate| survey.count(&candidate)).await?;
    // How fine bands are follows from all values, so they are filled in a second pass.
    survey.bands = Bands::over(&survey.visual, &survey.text);
    walk(config, store, inputs, &likeness, |members, candidate| survey.show(members, candidate))
        .await?;
    Ok(survey)
}

/// Takes every candidate of a run to `each`, in order.
async fn walk(
    config: &Config,
    store: &Store,
    inputs: &Inputs,
    likeness: &Likeness,
    mut each: impl FnMut(&[Member<'_>], Candidate),
) -> Result<(), StageError> {
    for at in 0..inputs.groups.len() {
        let Some(mut groups) = Groups::open(store, inputs, at).await? else { continue };
        while let Some(group) = groups.next().await? {
            let members = likeness.members(&group);
            for candidate in judge(config, &members, likeness) {
                each(&members, candidate);
            }
        }
    }
    Ok(())
}

impl Survey {
    fn count(&mut self, Candidate { similarity, objection, .. }: &Candidate) {
        self.candidates += 1;
        match objection {
            None => self.kept += 1,
            Some(reason) => *self.reasons.entry(*reason).or_default() += 1,
        }
        self.visual.add(similarity.visual, objection.is_none());
        self.text.add(similarity.text, objection.is_none());
    }

    fn show(&mut self, members: &[Member<'_>], candidate: Candidate) {
        let Candidate { query, target, similarity, objection } = candidate;
        let (query, target) = (&members[query], &members[target]);
        let id = pair(query.image, target.image, similarity).pair_id;
        self.bands.add(id, similarity, objection.is_none(), || Example {
            similarity,
            objection,
            page_url: query.image.page_url.clone(),
            query: shown(query),
            target: shown(target),
        });
    }

    /// Both histograms and what the bounds keep, for a terminal.
    pub fn table(&self) -> String {
        let mut text = format!("{}\n\n", self.summary());
        for (name, histogram) in [("visual", &self.visual), ("text", &self.text)] {
            let _ = writeln!(text, "{}", histogram.table(name));
        }
        text
    }

    /// What the bounds in force keep, in words.
    fn summary(&self) -> String {
        let bounds: Vec<_> =
            self.bounds.named().iter().map(|(key, bound)| format!("{key} = {bound}")).collect();
        let mut lost: Vec<_> = self
            .reasons
            .iter()
            .map(|(reason, count)| format!("{} {count}", reason.as_str()))
            .collect();
        lost.insert(0, format!("pairs {}", self.kept));
        format!(
            "{} candidates, compared by {}; with {}: {}",
            self.candidates,
            self.by,
            bounds.join(", "),
            lost.join(", ")
        )
    }

    /// The command that makes pairs anew with the bounds in force; its numbers are there to be changed.
    pub fn command(&self, out: &str) -> String {
        let set = self.bounds.named().map(|(key, bound)| format!(" --set {key}={bound}"));
        // A name that no shell could be given stays readable.
        let out = shlex::try_quote(out).unwrap_or(out.into());
        format!("mine --out {out} --redo {STAGE}{}", set.concat())
    }
}

fn shown(Member { image, said, .. }: &Member<'_>) -> Shown {
    let GroupImage { look, image_url, .. } = image;
    Shown {
        place: (look.image_part, look.image_row),
        url: image_url.clone(),
        caption: said.caption.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_survives_a_shell() {
        let histogram = Histogram::default();
        let survey = Survey {
            by: "clip",
            bounds: Bounds::EMBEDDED,
            candidates: 0,
            kept: 0,
            reasons: BTreeMap::new(),
            bands: Bands::over(&histogram, &histogram),
            visual: histogram.clone(),
            text: histogram,
        };
        let command = survey.command("my runs/a'b");
        let words = shlex::split(&command).unwrap();
        assert_eq!(words[..5], ["mine", "--out", "my runs/a'b", "--redo", "pair"], "{command}");
        assert!(survey.command("runs/a").starts_with("mine --out runs/a --redo pair"));
    }
}
