//! The columns that training reads, found and checked in a shard's schema.

use parquet::basic::{ConvertedType, Type};
use parquet::schema::types::SchemaDescriptor;

/// Text columns, in the order of [`Columns::texts`].
const TEXTS: [&str; 5] =
    ["triplet_id", "group_id", "instruction", "query_cluster_id", "target_cluster_id"];

/// Which leaves of the schema hold what. Other columns may be there, and nothing is known of them.
#[derive(Clone, Debug)]
pub struct Columns {
    /// `triplet_id`, `group_id`, `instruction`, `query_cluster_id`, `target_cluster_id`.
    pub texts: [usize; 5],
    /// `split`.
    pub split: usize,
    /// `query_image.bytes`.
    pub query: usize,
    /// `target_image.bytes`.
    pub target: usize,
    /// The bytes in `hard_negatives`, where there is such a column: whatever the writer called the
    /// levels between (`list.item`, `list.element`).
    pub hard: Option<usize>,
}

impl Columns {
    /// Finds all of them; gives the name of the first that is missing or of another type, and what
    /// is wrong with it.
    pub fn find(schema: &SchemaDescriptor) -> Result<Self, (String, String)> {
        let mut texts = [0; 5];
        for (leaf, name) in texts.iter_mut().zip(TEXTS) {
            *leaf = text(schema, name)?;
        }
        let is_hard = |path: &str| path.starts_with("hard_negatives.") && path.ends_with(".bytes");
        Ok(Self {
            texts,
            split: text(schema, "split")?,
            query: find(schema, "query_image.bytes")?,
            target: find(schema, "target_image.bytes")?,
            hard: (0..schema.num_columns())
                .find(|&leaf| is_hard(&schema.column(leaf).path().string())),
        })
    }

    /// The leaves with image bytes.
    pub fn images(&self, with_hard: bool) -> Vec<usize> {
        [self.query, self.target].into_iter().chain(self.hard.filter(|_| with_hard)).collect()
    }
}

fn find(schema: &SchemaDescriptor, name: &str) -> Result<usize, (String, String)> {
    let problem = |problem: String| (name.to_owned(), problem);
    let mut leaves = 0..schema.num_columns();
    let leaf = leaves.find(|&leaf| schema.column(leaf).path().string() == name);
    let leaf = leaf.ok_or_else(|| problem("is missing".into()))?;
    let column = schema.column(leaf);
    if column.physical_type() != Type::BYTE_ARRAY || column.max_rep_level() != 0 {
        let found = column.physical_type();
        return Err(problem(format!("is {found} where single byte strings are expected")));
    }
    Ok(leaf)
}

fn text(schema: &SchemaDescriptor, name: &str) -> Result<usize, (String, String)> {
    let leaf = find(schema, name)?;
    if schema.column(leaf).converted_type() != ConvertedType::UTF8 {
        return Err((name.to_owned(), "is not text (UTF-8)".into()));
    }
    Ok(leaf)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::{DataType, Field, Schema};
    use parquet::arrow::ArrowSchemaConverter;

    use super::*;
    use crate::store::Row;
    use crate::table::Triplet;

    fn find_in(schema: &Schema) -> Result<Columns, (String, String)> {
        Columns::find(&ArrowSchemaConverter::new().convert(schema).unwrap())
    }

    #[test]
    fn every_column_of_the_product_is_found() {
        let columns = find_in(&Schema::new(Triplet::fields())).unwrap();
        assert!(columns.hard.is_some());
        assert_eq!(columns.images(false), [columns.query, columns.target]);
        assert_eq!(columns.images(true).len(), 3);
    }

    #[test]
    fn what_is_missing_or_of_another_type_is_named() {
        let mut fields = Triplet::fields();
        fields.retain(|field| field.name() != "group_id");
        let error = find_in(&Schema::new(fields.clone())).unwrap_err();
        assert_eq!(error, ("group_id".into(), "is missing".into()));
        for (data_type, problem) in [
            (DataType::UInt32, "is INT32 where single byte strings are expected"),
            (DataType::Binary, "is not text (UTF-8)"),
        ] {
            fields.push(Arc::new(Field::new("group_id", data_type, false)));
            let error = find_in(&Schema::new(fields.clone())).unwrap_err();
            assert_eq!(error, ("group_id".into(), problem.into()));
            fields.pop();
        }
    }
}
