//! `triplet_plan`: a row for each instruction, with everything but the images.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::LazyLock;

use arrow::datatypes::{DataType, FieldRef};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::decontaminate::shown::{Matches, matches, reject};
use super::decontaminate::{Match, Screen, with_benchmarks};
use super::{Inputs, STAGE};
use crate::config::Export;
use crate::record::{
    Description, Embedding, GroupImage, ImageId, Instruction, Pair, Side, Split, TripletText,
    content_id,
};
use crate::similarity;
use crate::stages::context::{Context, StageError, open_table};
use crate::store::{Fingerprint, Manifest, Ordered, PartWriter, Row, StoreError, Table, read_rows};
use crate::table::TRIPLET_PLAN;
use crate::table::columns::{list, required, text};

/// Where the bytes of an image lie.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Locator {
    /// The part of `images`.
    pub part: u32,
    /// The row in that part.
    pub row: u32,
    /// sha256 hex of the original bytes: the name in shards.
    pub image_id: ImageId,
}

/// A triplet without its images.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Planned {
    /// As in `text`.
    pub triplet_id: String,
    /// As in `text`.
    pub domain: String,
    /// As in `text`.
    pub split: Split,
    /// The first 63 bits of `triplet_id`: the shard, and the order within it.
    pub shuffle: i64,
    /// First 64 bits of the query's cluster.
    pub query_cluster: i64,
    /// First 64 bits of the target's cluster.
    pub target_cluster: i64,
    /// Bytes of all its images together.
    pub bytes: u64,
    /// What goes into the shard.
    pub text: TripletText,
    /// The query's image.
    pub query: Locator,
    /// The target's image.
    pub target: Locator,
    /// Hard negatives, the most similar first.
    pub negatives: Vec<Locator>,
    /// First 64 bits of their clusters, in the same order.
    pub negative_clusters: Vec<i64>,
}

/// An image of a test domain: a row of the second output.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Held {
    /// First 64 bits of the cluster.
    pub cluster_key: i64,
    /// The cluster.
    pub cluster_id: ImageId,
    /// Where it was found.
    pub url: String,
    /// The page that shows it.
    pub page_url: String,
    /// The page's registrable domain.
    pub domain: String,
    /// Length of the bytes kept.
    pub bytes: u64,
    /// The part of `images` that holds it.
    pub part: u32,
    /// The row in that part.
    pub row: u32,
    /// sha256 hex of the original bytes.
    pub image_id: ImageId,
}

impl Row for Held {
    fn fields() -> Vec<FieldRef> {
        vec![
            required("cluster_key", DataType::Int64),
            text("cluster_id"),
            text("url"),
            text("page_url"),
            text("domain"),
            required("bytes", DataType::UInt64),
            required("part", DataType::UInt32),
            required("row", DataType::UInt32),
            text("image_id"),
        ]
    }

    fn weight(&self) -> usize {
        self.url.len() + self.page_url.len() + self.domain.len() + 300
    }
}

fn held(image: &GroupImage) -> Held {
    Held {
        cluster_key: image.look.cluster_key,
        cluster_id: image.look.cluster_id.clone(),
        url: image.image_url.clone(),
        page_url: image.page_url.clone(),
        domain: image.domain.clone(),
        bytes: u64::from(image.look.stored_bytes),
        part: image.look.image_part,
        row: image.look.image_row,
        image_id: image.look.image_id.clone(),
    }
}

fn locator() -> DataType {
    let fields = vec![
        required("part", DataType::UInt32),
        required("row", DataType::UInt32),
        text("image_id"),
    ];
    DataType::Struct(fields.into())
}

impl Row for Planned {
    fn fields() -> Vec<FieldRef> {
        vec![
            text("triplet_id"),
            text("domain"),
            text("split"),
            required("shuffle", DataType::Int64),
            required("query_cluster", DataType::Int64),
            required("target_cluster", DataType::Int64),
            required("bytes", DataType::UInt64),
            required("text", DataType::Struct(TripletText::fields().into())),
            required("query", locator()),
            required("target", locator()),
            list("negatives", locator()),
            list("negative_clusters", DataType::Int64),
        ]
    }

    fn weight(&self) -> usize {
        self.text.weight() + self.negatives.len() * 110 + 400
    }
}

/// Maps every part of `groups` and the tables made from it.
pub async fn run(ctx: &Context, inputs: &Inputs) -> Result<Vec<Manifest>, StageError> {
    let export = &ctx.config.export;
    let fingerprint = Fingerprint::new()
        .with("export.val_share", export.val_share)
        .with("export.test_share", export.test_share)
        .with("export.hard_negatives", export.hard_negatives)
        .with("export.hard_negative_max_visual", export.hard_negative_max_visual)
        .with_inputs(&[&*inputs.groups, &inputs.descriptions, &inputs.pairs].concat())
        .with("instructions", Fingerprint::new().with_inputs(&inputs.instructions).name());
    let fingerprint = with_benchmarks(fingerprint, &ctx.config.decontaminate, &inputs.benchmarks);
    let table = open_table(&ctx.run, TRIPLET_PLAN, STAGE, &fingerprint).await?;
    let numbers: Vec<u32> = inputs.instructions.iter().map(|part| part.part).collect();
    // Only a part that is not there yet needs it.
    let screen = LazyLock::new(|| Screen::new(&inputs.benchmarks, &ctx.config.decontaminate));
    ctx.map_parts(&table, &numbers, async |at| part(ctx, &table, inputs, &screen, at).await).await
}

async fn rows_of<R: Row>(ctx: &Context, part: &Manifest) -> Result<Ordered<R>, StoreError> {
    match part.files.get("rows") {
        Some(file) => Ok(Ordered::new(read_rows(ctx.run.store(), &file.path, 512).await?)),
        None => Ok(Ordered::empty()),
    }
}

async fn part(
    ctx: &Context,
    table: &Table<Planned>,
    inputs: &Inputs,
    screen: &impl Deref<Target = Screen>,
    at: usize,
) -> Result<Manifest, StageError> {
    let instructions = &inputs.instructions[at];
    if let Some(manifest) = table.manifest(instructions.part).await? {
        return Ok(manifest);
    }
    ctx.go_on()?;
    let screen: &Screen = screen;
    let mut writer: PartWriter<Planned, Held> = table.part(instructions.part)?;
    let mut images = rows_of::<GroupImage>(ctx, &inputs.groups[at]).await?;
    let mut descriptions = rows_of::<Description>(ctx, &inputs.descriptions[at]).await?;
    let mut pairs = rows_of::<Pair>(ctx, &inputs.pairs[at]).await?;
    let mut rows = rows_of::<Instruction>(ctx, instructions).await?;
    let mut vectors = match inputs.embeddings.get(at).filter(|_| !screen.is_empty()) {
        Some(part) => rows_of::<Embedding>(ctx, part).await?,
        None => Ordered::empty(),
    };
    let mut shown = BTreeMap::new();
    while let Some(group) = images.next_run(|image| image.group_id.clone()).await? {
        let id = group[0].group_id.clone();
        let descriptions = descriptions.take_run(|row| row.group_id == id).await?;
        let pairs = pairs.take_run(|row| row.group_id == id).await?;
        let vectors = vectors.take_run(|row| row.group_id == id).await?;
        let matches = matches(screen, &group, &vectors);
        if split(&group[0].domain, &ctx.config.export) == Split::Test {
            for image in group.iter().filter(|image| !matches.contains_key(&image.position)) {
                writer.send(held(image)).await?;
            }
        }
        let group = Group { images: group, descriptions, matches };
        for instruction in rows.take_run(|row| row.group_id == id).await? {
            let pair = pairs.iter().find(|pair| pair.pair_id == instruction.pair_id);
            let planned =
                pair.and_then(|pair| group.triplet(pair, instruction, &ctx.config.export));
            let problem = || StoreError::corrupt(id.as_str(), "an instruction without its images");
            let (planned, found) = planned.ok_or_else(problem)?;
            match found.is_empty() {
                true => writer.push(planned).await?,
                false => writer.reject(reject(planned, &found, &mut shown)).await?,
            }
        }
    }
    writer.pass_over(shown);
    Ok(writer.commit(instructions.rows("rows")).await?)
}

struct Group {
    images: Vec<GroupImage>,
    descriptions: Vec<Description>,
    matches: Matches,
}

impl Group {
    fn at(&self, position: u32) -> Option<(&GroupImage, &Description)> {
        let image = self.images.iter().find(|image| image.position == position)?;
        let description = self.descriptions.iter().find(|row| row.position == position)?;
        Some((image, description))
    }

    /// A triplet, and the images of benchmarks that it shows.
    fn triplet(
        &self,
        pair: &Pair,
        said: Instruction,
        export: &Export,
    ) -> Option<(Planned, Vec<&Match>)> {
        let (query, target) = (self.at(pair.query_position)?, self.at(pair.target_position)?);
        let negatives = self.negatives(query.0, target.0, export);
        let ids = [&query.0.look.image_id, &target.0.look.image_id].map(|id| id.as_str());
        let triplet_id = content_id(&[&pair.group_id, ids[0], ids[1], &said.instruction]);
        let split = split(&query.0.domain, export);
        let bytes = |image: &GroupImage| u64::from(image.look.stored_bytes);
        let images = [query.0, target.0].into_iter().chain(negatives.iter().copied());
        let found =
            images.filter_map(|image| self.matches.get(&image.position)).flatten().collect();
        let planned = Planned {
            domain: query.0.domain.clone(),
            split,
            shuffle: shuffle(&triplet_id),
            query_cluster: query.0.look.cluster_key,
            target_cluster: target.0.look.cluster_key,
            bytes: bytes(query.0)
                + bytes(target.0)
                + negatives.iter().map(|i| bytes(i)).sum::<u64>(),
            query: locate(query.0),
            target: locate(target.0),
            negative_clusters: negatives.iter().map(|image| image.look.cluster_key).collect(),
            negatives: negatives.into_iter().map(locate).collect(),
            text: TripletText {
                triplet_id: triplet_id.clone(),
                pair_id: said.pair_id,
                instruction_index: said.instruction_index,
                instruction: said.instruction,
                relation: said.relation,
                group_id: pair.group_id.clone(),
                page_url: query.0.page_url.clone(),
                page_title: query.0.page_title.clone(),
                domain: query.0.domain.clone(),
                language: query.0.language.clone(),
                split,
                visual_similarity: pair.visual_similarity,
                text_similarity: pair.text_similarity,
                generator: said.generator,
                prompt_hash: said.prompt_hash,
                fetched_at: query.0.fetched_at,
                query: side(query),
                target: side(target),
            },
            triplet_id,
        };
        Some((planned, found))
    }

    /// Other images of the group that are less like the target than a positive could be.
    fn negatives(
        &self,
        query: &GroupImage,
        target: &GroupImage,
        export: &Export,
    ) -> Vec<&GroupImage> {
        let taken = [query.look.cluster_key, target.look.cluster_key];
        let others = self.images.iter().filter(|image| !taken.contains(&image.look.cluster_key));
        let mut scored: Vec<(f32, &GroupImage)> = others
            .map(|image| (similarity::visual(&image.look, &target.look), image))
            .filter(|(visual, _)| f64::from(*visual) < export.hard_negative_max_visual)
            .collect();
        scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.position.cmp(&b.1.position)));
        scored.into_iter().take(export.hard_negatives).map(|(_, image)| image).collect()
    }
}

fn locate(image: &GroupImage) -> Locator {
    Locator {
        part: image.look.image_part,
        row: image.look.image_row,
        image_id: image.look.image_id.clone(),
    }
}

fn side((image, description): (&GroupImage, &Description)) -> Side {
    Side {
        image_id: image.look.image_id.clone(),
        cluster_id: image.look.cluster_id.clone(),
        phash: image.look.phash,
        width: image.look.width,
        height: image.look.height,
        url: image.image_url.clone(),
        alt: image.alt.clone(),
        caption: description.caption.clone(),
        labels: description.labels.clone(),
        rights: image.rights.clone(),
    }
}

/// The split of a domain, by its hash: the same in every run, whatever else is mined.
pub fn split(domain: &str, export: &Export) -> Split {
    let digest = Sha256::digest(format!("split:{domain}"));
    let head = u64::from_be_bytes(digest[..8].try_into().expect("eight bytes of 32"));
    let at = head as f64 / u64::MAX as f64;
    if at < export.test_share {
        Split::Test
    } else if at < export.test_share + export.val_share {
        Split::Val
    } else {
        Split::Train
    }
}

fn shuffle(triplet_id: &str) -> i64 {
    let head = u64::from_str_radix(&triplet_id[..16], 16).expect("an id is 64 hex digits");
    i64::try_from(head >> 1).expect("63 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_have_their_shares_and_a_domain_has_one() {
        let export = Export { val_share: 0.1, test_share: 0.2, ..Export::default() };
        let splits: Vec<Split> =
            (0..5000).map(|n| split(&format!("site-{n}.example"), &export)).collect();
        let share =
            |wanted| splits.iter().filter(|split| **split == wanted).count() as f64 / 5000.0;
        assert!((share(Split::Val) - 0.1).abs() < 0.02, "{}", share(Split::Val));
        assert!((share(Split::Test) - 0.2).abs() < 0.02, "{}", share(Split::Test));
        let fewer = Export { val_share: 0.0, ..export.clone() };
        let is_kept = |n: usize| {
            splits[n] != Split::Test || {
                split(&format!("site-{n}.example"), &fewer) == Split::Test
            }
        };
        assert!((0..5000).all(is_kept), "the test split does not move with the share of val");
    }

    #[test]
    fn shuffle_is_never_negative() {
        assert_eq!(shuffle(&"f".repeat(64)), i64::MAX);
        assert_eq!(shuffle(&format!("0000000000000010{}", "0".repeat(48))), 8);
    }
}
