//! The dataset card: `README.md` beside the shards, with the YAML head that the Hugging Face
//! libraries read, so that `datasets.load_dataset(DIR)` finds every split.

use std::fmt::Write;

use super::decontaminate::shown::shows;
use super::decontaminate::{Benchmark, Vectors};
use super::{Inputs, Shards};
use crate::config::{ExportImages, Similarity};
use crate::stages::context::{Context, StageError};
use crate::stages::vectors;
use crate::stages::wording::wording;
use crate::store::{Counts, Manifest};
use crate::table::{
    DESCRIPTIONS, EMBEDDINGS, FETCH_LIST, GROUPS, IMAGE_CLUSTERS, IMAGE_USES, IMAGES, INSTRUCTIONS,
    OCCURRENCES, PAGES, PAIRS, TEST_POOL, TRIPLET_PLAN, TRIPLETS,
};

/// The tables whose counts are the funnel, in order.
const FUNNEL: [&str; 13] = [
    PAGES,
    IMAGE_USES,
    FETCH_LIST,
    IMAGES,
    IMAGE_CLUSTERS,
    OCCURRENCES,
    GROUPS,
    DESCRIPTIONS,
    EMBEDDINGS,
    PAIRS,
    INSTRUCTIONS,
    TRIPLET_PLAN,
    TRIPLETS,
];

/// Writes the cards of `triplets` and `test_pool`.
pub async fn write(
    ctx: &Context,
    inputs: &Inputs,
    composed: &[Manifest],
    triplets: &Shards,
    pool: &[Manifest],
) -> Result<(), StageError> {
    let mut funnel = Vec::new();
    for table in FUNNEL {
        let is_shown = match table {
            // Only a run that compares by vectors has this one.
            EMBEDDINGS => ctx.config.pair.similarity != Similarity::Lexical,
            // All goes on to the shards, where nothing is kept out.
            TRIPLET_PLAN => !inputs.benchmarks.is_empty(),
            _ => true,
        };
        if is_shown {
            funnel.push((table, ctx.run.counts(table).await?));
        }
    }
    let splits: Vec<_> = triplets.iter().map(|(split, parts)| (split.as_str(), &**parts)).collect();
    let wording = wording(&ctx.run).await?;
    let compared = compared(ctx, &vectors::told(&ctx.config, ctx.run.store()).await?)
        + &kept_out(&inputs.benchmarks, composed);
    let text = format!("{}{}", head(&splits), body(ctx, &splits, &funnel, &compared, &wording));
    ctx.run.store().replace(&format!("{TRIPLETS}/README.md"), text.into_bytes()).await?;
    let pool_splits = [("test", pool)];
    let rows: u64 = pool.iter().map(|part| part.rows("rows")).sum();
    let text = format!(
        "{}# Test pool\n\n{rows} images to retrieve from, one of each cluster, none of them in \
         the training split. The triplets are in `../{TRIPLETS}`; their card says how all of it \
         was made.\n",
        head(&pool_splits),
    );
    Ok(ctx.run.store().replace(&format!("{TEST_POOL}/README.md"), text.into_bytes()).await?)
}

/// The YAML head. Files are named one by one: what is not committed must not be read.
fn head(splits: &[(&str, &[Manifest])]) -> String {
    let mut yaml = String::from("---\nconfigs:\n- config_name: default\n  data_files:");
    let mut any = false;
    for (split, parts) in splits {
        let files = parts.iter().filter_map(|part| part.files.get("rows"));
        let names: Vec<&str> = files.filter_map(|file| file.path.rsplit('/').next()).collect();
        if names.is_empty() {
            continue;
        }
        any = true;
        let _ = write!(yaml, "\n  - split: {split}\n    path:");
        names.iter().for_each(|name| {
            let _ = write!(yaml, "\n    - {name}");
        });
    }
    yaml.push_str(if any { "\n---\n\n" } else { " []\n---\n\n" });
    yaml
}

fn body(
    ctx: &Context,
    splits: &[(&str, &[Manifest])],
    funnel: &[(&str, Counts)],
    compared: &str,
    wording: &Option<String>,
) -> String {
    let mut text = String::from(
        "# Image triplets\n\n\
         (query image, instruction, target image) triplets mined from web pages by magiclens, an \
         implementation of MagicLens (ICML 2024). One row is one instruction.\n\n\
         ## Counts\n\n| split | triplets | shards |\n|---|---:|---:|\n",
    );
    for (split, parts) in splits {
        let rows: u64 = parts.iter().map(|part| part.rows("rows")).sum();
        let _ = writeln!(text, "| {split} | {rows} | {} |", parts.len());
    }
    text.push_str("\n## How many were lost, and why\n\n| table | in | out | not passed on |\n|---|---:|---:|---|\n");
    for (table, counts) in funnel {
        let reasons = counts.rejected.iter().chain(&counts.failed);
        let reasons: Vec<_> =
            reasons.map(|(reason, n)| format!("{} {n}", reason.as_str())).collect();
        let _ = writeln!(
            text,
            "| {table} | {} | {} | {} |",
            counts.input,
            counts.output,
            reasons.join(", ")
        );
    }
    text.push_str(compared);
    if let Some(wording) = wording {
        let _ = write!(text, "\n## How instructions are worded\n\n{wording}");
    }
    text.push_str(&sources(ctx));
    text
}

/// By what, and between which bounds, pairs were made.
fn compared(ctx: &Context, by: &str) -> String {
    let bounds = ctx.config.pair.bounds(ctx.config.embed.images).named();
    let bounds = bounds.map(|(key, bound)| format!("`{key}` = {bound}"));
    format!(
        "\n## How pairs were made\n\nBy {by}: `visual_similarity` and `text_similarity`. Bounds: {}.\n",
        bounds.join(", ")
    )
}

/// Which benchmarks were kept out, by what, and how many triplets that took.
fn kept_out(benchmarks: &[Benchmark], composed: &[Manifest]) -> String {
    let mut text = String::from("\n## Benchmarks\n\n");
    if benchmarks.is_empty() {
        text.push_str("Images of benchmarks were not looked for: triplets may show some.\n");
        return text;
    }
    text.push_str(
        "A triplet is left out when its query, its target or a hard negative is a near-duplicate of an image \
         of one of these.\n\n| benchmark | images | not readable | looked for by | triplets left out |\n\
         |---|---:|---:|---|---:|\n",
    );
    for Benchmark { name, images, undecodable, vectors } in benchmarks {
        let by = match vectors {
            Vectors::By(_) => "hashes and cosines of embeddings".to_owned(),
            Vectors::None(why) if why.is_empty() => "hashes".to_owned(),
            Vectors::None(why) => format!("hashes only: {why}"),
        };
        let key = shows(name);
        let lost: u64 = composed.iter().filter_map(|part| part.passed_over.get(&key)).sum();
        let _ =
            writeln!(text, "| {name} | {} | {} | {by} | {lost} |", images.len(), undecodable.len());
    }
    text
}

fn sources(ctx: &Context) -> String {
    let opt_outs: Vec<String> =
        ctx.config.crawl.opt_outs.iter().map(|rule| format!("{rule:?}").to_lowercase()).collect();
    let images = match ctx.config.export.images {
        ExportImages::Bytes => "The shards hold the images.",
        ExportImages::None => {
            "The shards hold URLs and hashes and no images; `mine rehydrate` fetches them again."
        }
    };
    format!(
        "\n## Sources and rights\n\n\
         Each row names its page (`page_url`) and where each image was found (`query_url`, \
         `target_url`). {images} Images and texts belong to their owners. `query_rights` and \
         `target_rights` repeat what the page or the file says about them, which is often nothing: \
         that is no licence. Whoever uses or passes on this data has to see to the rights.\n\n\
         robots.txt was honoured for our own crawler and for {}; opt-outs honoured: {}. To take a \
         page, a domain or an image out, run `mine forget` and export again.\n\n\
         ## What was not checked\n\n\
         No classifier looked for nudity, violence, faces or other personal data in images. E-mail \
         addresses and telephone numbers in texts were masked by pattern, which misses some. \
         Descriptions and instructions of the embedded providers (`page-text`, `template`, see \
         `generator`) repeat what pages say and were not checked against the images.\n",
        ctx.config.crawl.robots_tokens.join(", "),
        opt_outs.join(", "),
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::store::FileInfo;

    #[test]
    fn the_head_names_each_committed_file() {
        let file = FileInfo { path: "triplets/part-00000-ab.parquet".into(), rows: 3, bytes: 9 };
        let part = Manifest {
            table: TRIPLETS.into(),
            part: 0,
            files: BTreeMap::from([("rows".into(), file)]),
            counts: Counts::default(),
            passed_over: Default::default(),
            fingerprint: String::new(),
            software: String::new(),
        };
        let parts = [part];
        insta::assert_snapshot!(head(&[("train", &parts), ("val", &[])]), @r"
        ---
        configs:
        - config_name: default
          data_files:
          - split: train
            path:
            - part-00000-ab.parquet
        ---
        ");
    }
}
