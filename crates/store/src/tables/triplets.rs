//! `descriptions`, `embeddings`, `pairs`, `instructions`, and the parts of a triplet that its tables share.

use arrow::datatypes::{DataType, FieldRef};
use magiclens_core::{Description, Embedding, Instruction, Pair, Side, TripletText};

use super::columns::{list, optional, required, text, time};
use crate::Row;

impl Row for Description {
    fn fields() -> Vec<FieldRef> {
        vec![
            text("group_id"),
            required("position", DataType::UInt32),
            text("image_id"),
            text("caption"),
            list("labels", DataType::Utf8),
            optional("safety", DataType::Utf8),
            list("flags", DataType::Utf8),
            optional("alt_text", DataType::Utf8),
            text("generator"),
            text("prompt_hash"),
        ]
    }

    fn weight(&self) -> usize {
        let labels: usize = self.labels.iter().map(|label| label.len() + 24).sum();
        self.caption.len() + labels + 300
    }
}

impl Row for Embedding {
    fn fields() -> Vec<FieldRef> {
        vec![
            text("group_id"),
            required("position", DataType::UInt32),
            text("image_id"),
            list("image", DataType::Float32),
            list("text", DataType::Float32),
        ]
    }

    fn weight(&self) -> usize {
        4 * (self.image.len() + self.text.len()) + 200
    }
}

impl Row for Pair {
    fn fields() -> Vec<FieldRef> {
        vec![
            text("pair_id"),
            text("group_id"),
            required("query_position", DataType::UInt32),
            required("target_position", DataType::UInt32),
            text("query_image_id"),
            text("target_image_id"),
            required("visual_similarity", DataType::Float32),
            required("text_similarity", DataType::Float32),
        ]
    }

    fn weight(&self) -> usize {
        400
    }
}

impl Row for Instruction {
    fn fields() -> Vec<FieldRef> {
        vec![
            text("pair_id"),
            text("group_id"),
            required("instruction_index", DataType::UInt32),
            text("relation"),
            text("instruction"),
            text("generator"),
            text("prompt_hash"),
            optional("baseline", DataType::Utf8),
        ]
    }

    fn weight(&self) -> usize {
        self.relation.len() + self.instruction.len() + 400
    }
}

fn side(name: &str) -> FieldRef {
    let fields = vec![
        text("image_id"),
        text("cluster_id"),
        required("phash", DataType::UInt64),
        required("width", DataType::UInt32),
        required("height", DataType::UInt32),
        text("url"),
        text("alt"),
        text("caption"),
        list("labels", DataType::Utf8),
        optional("rights", DataType::Utf8),
    ];
    required(name, DataType::Struct(fields.into()))
}

fn side_weight(side: &Side) -> usize {
    let labels: usize = side.labels.iter().map(|label| label.len() + 24).sum();
    side.url.len() + side.alt.len() + side.caption.len() + labels + 300
}

impl Row for TripletText {
    fn fields() -> Vec<FieldRef> {
        vec![
            text("triplet_id"),
            text("pair_id"),
            required("instruction_index", DataType::UInt32),
            text("instruction"),
            text("relation"),
            text("group_id"),
            text("page_url"),
            text("page_title"),
            text("domain"),
            optional("language", DataType::Utf8),
            text("split"),
            required("visual_similarity", DataType::Float32),
            required("text_similarity", DataType::Float32),
            text("generator"),
            text("prompt_hash"),
            time("fetched_at"),
            side("query"),
            side("target"),
        ]
    }

    fn weight(&self) -> usize {
        let texts = [&self.instruction, &self.relation, &self.page_url, &self.page_title];
        let texts: usize = texts.iter().map(|text| text.len()).sum();
        texts + side_weight(&self.query) + side_weight(&self.target) + 600
    }
}
