//! `image_clusters`, `occurrences` and `groups`.

use arrow::datatypes::{DataType, FieldRef};
use magiclens_core::{GroupImage, ImageCluster, Look, Occurrence};

use super::columns::{optional, required, text, time};
use crate::Row;

fn look() -> FieldRef {
    let fields = vec![
        text("image_id"),
        text("cluster_id"),
        required("cluster_key", DataType::Int64),
        required("image_part", DataType::UInt32),
        required("image_row", DataType::UInt32),
        required("stored_bytes", DataType::UInt32),
        required("width", DataType::UInt32),
        required("height", DataType::UInt32),
        required("phash", DataType::UInt64),
        required("phash256", DataType::FixedSizeBinary(32)),
        required("colour_layout", DataType::FixedSizeBinary(192)),
        optional("rights", DataType::Utf8),
    ];
    required("look", DataType::Struct(fields.into()))
}

fn look_weight(look: &Look) -> usize {
    look.rights.as_ref().map_or(0, String::len) + 600
}

impl Row for ImageCluster {
    fn fields() -> Vec<FieldRef> {
        vec![text("url"), required("cluster_key", DataType::Int64), look()]
    }

    fn weight(&self) -> usize {
        self.url.len() + look_weight(&self.look)
    }
}

impl Row for Occurrence {
    fn fields() -> Vec<FieldRef> {
        vec![
            required("page_row", DataType::UInt32),
            required("position", DataType::UInt32),
            text("image_url"),
            look(),
        ]
    }

    fn weight(&self) -> usize {
        self.image_url.len() + look_weight(&self.look)
    }
}

impl Row for GroupImage {
    fn fields() -> Vec<FieldRef> {
        vec![
            text("group_id"),
            required("position", DataType::UInt32),
            text("page_url"),
            text("page_title"),
            text("domain"),
            optional("language", DataType::Utf8),
            text("image_url"),
            text("alt"),
            text("caption"),
            text("heading"),
            text("nearby_text"),
            optional("rights", DataType::Utf8),
            time("fetched_at"),
            look(),
        ]
    }

    fn weight(&self) -> usize {
        let texts = [&self.alt, &self.caption, &self.heading, &self.nearby_text];
        let texts: usize = texts.iter().map(|text| text.len()).sum();
        texts
            + self.page_url.len()
            + self.page_title.len()
            + self.image_url.len()
            + look_weight(&self.look)
    }
}
