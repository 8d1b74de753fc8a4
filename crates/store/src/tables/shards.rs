//! `triplets` and `test_pool`: the public format. `schemas/triplet.json` describes every column.

use std::collections::HashMap;

use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use magiclens_core::{ImageBytes, ImageId, Side, Split, TripletText};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::columns::{list, optional, required, text, time};
use crate::Row;

/// One row of a shard: one instruction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(
    missing_docs,
    reason = "schemas/triplet.json has a line for each, and a test holds the two together"
)]
pub struct Triplet {
    pub triplet_id: String,
    pub pair_id: String,
    pub instruction_index: u32,
    pub query_image: Option<ImageBytes>,
    pub target_image: Option<ImageBytes>,
    pub instruction: String,
    pub relation: String,
    pub query_image_id: ImageId,
    pub target_image_id: ImageId,
    pub query_cluster_id: ImageId,
    pub target_cluster_id: ImageId,
    pub query_phash: u64,
    pub target_phash: u64,
    pub query_width: u32,
    pub query_height: u32,
    pub target_width: u32,
    pub target_height: u32,
    pub query_url: String,
    pub target_url: String,
    pub page_url: String,
    pub page_title: String,
    pub domain: String,
    pub language: Option<String>,
    pub group_id: String,
    pub split: Split,
    pub query_alt: String,
    pub query_caption: String,
    pub query_labels: Vec<String>,
    pub query_rights: Option<String>,
    pub target_alt: String,
    pub target_caption: String,
    pub target_labels: Vec<String>,
    pub target_rights: Option<String>,
    pub visual_similarity: f32,
    pub text_similarity: f32,
    pub generator: String,
    pub prompt_hash: String,
    pub fetched_at: i64,
    pub hard_negatives: Option<Vec<ImageBytes>>,
}

impl Triplet {
    /// Text and images put together.
    pub fn new(
        text: TripletText,
        query_image: Option<ImageBytes>,
        target_image: Option<ImageBytes>,
        hard_negatives: Option<Vec<ImageBytes>>,
    ) -> Self {
        let TripletText { query, target, .. } = text;
        let (q, t): (Side, Side) = (query, target);
        Self {
            triplet_id: text.triplet_id,
            pair_id: text.pair_id,
            instruction_index: text.instruction_index,
            query_image,
            target_image,
            instruction: text.instruction,
            relation: text.relation,
            query_image_id: q.image_id,
            target_image_id: t.image_id,
            query_cluster_id: q.cluster_id,
            target_cluster_id: t.cluster_id,
            query_phash: q.phash,
            target_phash: t.phash,
            query_width: q.width,
            query_height: q.height,
            target_width: t.width,
            target_height: t.height,
            query_url: q.url,
            target_url: t.url,
            page_url: text.page_url,
            page_title: text.page_title,
            domain: text.domain,
            language: text.language,
            group_id: text.group_id,
            split: text.split,
            query_alt: q.alt,
            query_caption: q.caption,
            query_labels: q.labels,
            query_rights: q.rights,
            target_alt: t.alt,
            target_caption: t.caption,
            target_labels: t.labels,
            target_rights: t.rights,
            visual_similarity: text.visual_similarity,
            text_similarity: text.text_similarity,
            generator: text.generator,
            prompt_hash: text.prompt_hash,
            fetched_at: text.fetched_at,
            hard_negatives,
        }
    }
}

fn image_type() -> DataType {
    // All of it nullable, as in the schema that `datasets` compares it with.
    let fields = vec![optional("bytes", DataType::Binary), optional("path", DataType::Utf8)];
    DataType::Struct(fields.into())
}

fn image_weight(image: &ImageBytes) -> usize {
    image.bytes.len() + image.path.len() + 64
}

/// `{"info": {"features": …}}` as the Hugging Face `datasets` library reads it, so that columns of
/// images are shown as images.
fn hugging_face(fields: &[FieldRef]) -> HashMap<String, String> {
    let features: serde_json::Map<String, Value> =
        fields.iter().map(|field| (field.name().clone(), feature(field))).collect();
    let info = json!({ "info": { "features": features } });
    HashMap::from([("huggingface".to_owned(), info.to_string())])
}

fn feature(field: &Field) -> Value {
    let value = |name: &str| json!({ "dtype": name, "_type": "Value" });
    match field.data_type() {
        data_type if *data_type == image_type() => json!({ "_type": "Image" }),
        DataType::List(item) => json!({ "feature": feature(item), "_type": "List" }),
        DataType::UInt32 => value("uint32"),
        DataType::UInt64 => value("uint64"),
        DataType::Float32 => value("float32"),
        DataType::Timestamp(TimeUnit::Microsecond, _) => value("timestamp[us, tz=UTC]"),
        _ => value("string"),
    }
}

impl Row for Triplet {
    fn fields() -> Vec<FieldRef> {
        vec![
            text("triplet_id"),
            text("pair_id"),
            required("instruction_index", DataType::UInt32),
            optional("query_image", image_type()),
            optional("target_image", image_type()),
            text("instruction"),
            text("relation"),
            text("query_image_id"),
            text("target_image_id"),
            text("query_cluster_id"),
            text("target_cluster_id"),
            required("query_phash", DataType::UInt64),
            required("target_phash", DataType::UInt64),
            required("query_width", DataType::UInt32),
            required("query_height", DataType::UInt32),
            required("target_width", DataType::UInt32),
            required("target_height", DataType::UInt32),
            text("query_url"),
            text("target_url"),
            text("page_url"),
            text("page_title"),
            text("domain"),
            optional("language", DataType::Utf8),
            text("group_id"),
            text("split"),
            text("query_alt"),
            text("query_caption"),
            list("query_labels", DataType::Utf8),
            optional("query_rights", DataType::Utf8),
            text("target_alt"),
            text("target_caption"),
            list("target_labels", DataType::Utf8),
            optional("target_rights", DataType::Utf8),
            required("visual_similarity", DataType::Float32),
            required("text_similarity", DataType::Float32),
            text("generator"),
            text("prompt_hash"),
            time("fetched_at"),
            optional("hard_negatives", DataType::List(optional("item", image_type()))),
        ]
    }

    fn weight(&self) -> usize {
        let images = self.query_image.iter().chain(&self.target_image);
        let images = images.chain(self.hard_negatives.iter().flatten());
        images.map(image_weight).sum::<usize>() + 2048
    }

    const BYTES_COLUMNS: &'static [&'static str] =
        &["query_image.bytes", "target_image.bytes", "hard_negatives.list.item.bytes"];

    fn metadata() -> HashMap<String, String> {
        hugging_face(&Self::fields())
    }
}

/// An image to retrieve from: a row of `test_pool`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PoolImage {
    /// The image; none in an export without images.
    pub image: Option<ImageBytes>,
    /// sha256 of the original bytes.
    pub image_id: ImageId,
    /// Near-duplicates share it; the pool has one image of each.
    pub cluster_id: ImageId,
    /// Where it was found.
    pub url: String,
    /// A page that shows it.
    pub page_url: String,
    /// That page's registrable domain.
    pub domain: String,
}

impl Row for PoolImage {
    fn fields() -> Vec<FieldRef> {
        vec![
            optional("image", image_type()),
            text("image_id"),
            text("cluster_id"),
            text("url"),
            text("page_url"),
            text("domain"),
        ]
    }

    fn weight(&self) -> usize {
        self.image.as_ref().map_or(0, image_weight) + 512
    }

    const BYTES_COLUMNS: &'static [&'static str] = &["image.bytes"];

    fn metadata() -> HashMap<String, String> {
        hugging_face(&Self::fields())
    }
}
