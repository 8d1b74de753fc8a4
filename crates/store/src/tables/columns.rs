//! Short names for Arrow fields.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};

/// A column that is never null.
pub fn required(name: &str, data_type: DataType) -> FieldRef {
    Arc::new(Field::new(name, data_type, false))
}

/// A column that may be null.
pub fn optional(name: &str, data_type: DataType) -> FieldRef {
    Arc::new(Field::new(name, data_type, true))
}

/// Text that is never null.
pub fn text(name: &str) -> FieldRef {
    required(name, DataType::Utf8)
}

/// Microseconds since the epoch, UTC.
pub fn time(name: &str) -> FieldRef {
    required(name, DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())))
}

/// A list without nulls.
pub fn list(name: &str, item: DataType) -> FieldRef {
    required(name, DataType::List(required("item", item)))
}
