//! `images`.

use arrow::datatypes::{DataType, FieldRef};
use magiclens_core::Image;

use super::columns::{optional, required, text, time};
use crate::Row;

impl Row for Image {
    fn fields() -> Vec<FieldRef> {
        vec![
            text("image_id"),
            text("url"),
            text("final_url"),
            text("host"),
            text("page_url"),
            required("page_count", DataType::UInt32),
            text("format"),
            required("original_bytes", DataType::UInt64),
            required("width", DataType::UInt32),
            required("height", DataType::UInt32),
            text("stored_as"),
            required("stored_width", DataType::UInt32),
            required("stored_height", DataType::UInt32),
            required("stored_bytes", DataType::UInt32),
            required("phash", DataType::UInt64),
            required("phash256", DataType::FixedSizeBinary(32)),
            required("colour_layout", DataType::FixedSizeBinary(192)),
            required("entropy", DataType::Float32),
            optional("rights", DataType::Utf8),
            time("fetched_at"),
            required("bytes", DataType::Binary),
        ]
    }

    fn weight(&self) -> usize {
        self.bytes.len() + 1024
    }

    const BYTES_COLUMNS: &'static [&'static str] = &["bytes"];
}
