//! `mine head`: the first rows of a table, to look at without another tool.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, ListArray, RecordBatch, StringArray, StructArray,
};
use arrow::datatypes::{DataType, FieldRef};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use itertools::Itertools;

use super::RunError;
use super::status::existing;
use crate::store::{RunDir, StoreError, first_rows};
use crate::telemetry::{excerpt, say};

/// Longest value shown, in characters.
const WIDTH: usize = 110;

/// The folder of rejected records in a run directory.
const REJECTS: &str = "rejects";

/// Prints the first `limit` rows of a table, such as `runs/demo/images` or `runs/demo/rejects/images`;
/// all columns where `columns` is empty.
pub async fn head(table: &str, columns: &[String], limit: usize) -> Result<(), RunError> {
    let Place { run, table: name, output } = Place::parse(table)?;
    let dir = existing(run).await?;
    let files = files(&dir, name, output).await?;
    if files.is_empty() {
        return Err(RunError::NoTable(table.into()));
    }
    let mut left = limit;
    for file in files {
        if left == 0 {
            break;
        }
        for batch in first_rows(dir.store(), &file, columns, left).await? {
            left -= batch.num_rows();
            say(text_of(&batch).map_err(|error| StoreError::corrupt(&file, error))?);
        }
    }
    Ok(())
}

/// The parts of a table's path.
struct Place<'a> {
    run: &'a str,
    table: &'a str,
    output: &'static str,
}

impl<'a> Place<'a> {
    /// Splits `RUN/TABLE` and `RUN/rejects/TABLE`.
    fn parse(path: &'a str) -> Result<Self, RunError> {
        let no_table = || RunError::NoTable(path.into());
        let (above, table) = path.trim_end_matches('/').rsplit_once('/').ok_or_else(no_table)?;
        Ok(match above.rsplit_once('/') {
            Some((run, REJECTS)) => Self { run, table, output: REJECTS },
            _ if above == REJECTS => Self { run: ".", table, output: REJECTS },
            _ => Self { run: above, table, output: "rows" },
        })
    }
}

/// The files that the manifests of a table name, in the order of parts. Files that no manifest names
/// were left by a run that was killed.
async fn files(dir: &RunDir, table: &str, output: &str) -> Result<Vec<String>, StoreError> {
    let mut manifests = dir.manifests(table).await?;
    let files = manifests.iter_mut().filter_map(|manifest| manifest.files.remove(output));
    Ok(files.map(|file| file.path).collect())
}

/// A line for each value and an empty line after each row.
fn text_of(batch: &RecordBatch) -> Result<String, ArrowError> {
    let schema = batch.schema();
    let columns: Vec<ArrayRef> = batch.columns().iter().map(without_bytes).try_collect()?;
    let options = FormatOptions::default().with_null("null");
    let formatters: Vec<ArrayFormatter<'_>> =
        columns.iter().map(|column| ArrayFormatter::try_new(column, &options)).try_collect()?;
    let mut text = String::new();
    for row in 0..batch.num_rows() {
        for (field, formatter) in schema.fields().iter().zip(&formatters) {
            let value = formatter.value(row).try_to_string()?;
            text += &format!("  {}: {}\n", field.name(), excerpt(&value, WIDTH));
        }
        text.push('\n');
    }
    Ok(text)
}

/// Replaces each binary value of a column by its length, in structs and lists too.
fn without_bytes(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    Ok(match column.data_type() {
        DataType::Binary => Arc::new(lengths(column.as_binary())),
        DataType::Struct(fields) => {
            let group = column.as_struct();
            let children: Vec<_> = group.columns().iter().map(without_bytes).try_collect()?;
            let fields = fields.iter().zip(&children).map(|(field, child)| typed(field, child));
            let fields = fields.collect();
            Arc::new(StructArray::try_new(fields, children, group.nulls().cloned())?)
        }
        DataType::List(field) => {
            let list = column.as_list::<i32>();
            let items = without_bytes(list.values())?;
            let (field, offsets) = (typed(field, &items), list.offsets().clone());
            Arc::new(ListArray::try_new(field, offsets, items, list.nulls().cloned())?)
        }
        _ => Arc::clone(column),
    })
}

fn lengths(column: &BinaryArray) -> StringArray {
    column.iter().map(|value| value.map(|bytes| format!("{} bytes", bytes.len()))).collect()
}

/// The same field with the type of an array.
fn typed(field: &FieldRef, array: &ArrayRef) -> FieldRef {
    Arc::new(field.as_ref().clone().with_data_type(array.data_type().clone()))
}

#[cfg(test)]
mod tests {
    use arrow::array::Int64Array;
    use arrow::buffer::OffsetBuffer;
    use arrow::datatypes::Field;

    use super::*;

    #[test]
    fn a_path_names_the_run_and_the_table() {
        let parts = |path| {
            let place = Place::parse(path).unwrap();
            (place.run.to_owned(), place.table.to_owned(), place.output)
        };
        assert_eq!(parts("runs/demo/pages"), ("runs/demo".into(), "pages".into(), "rows"));
        assert_eq!(parts("runs/demo/pages/"), ("runs/demo".into(), "pages".into(), "rows"));
        let rejects = ("s3://b/run".into(), "images".into(), REJECTS);
        assert_eq!(parts("s3://b/run/rejects/images"), rejects);
        assert_eq!(parts("rejects/images"), (".".into(), "images".into(), REJECTS));
        assert!(Place::parse("pages").is_err());
    }

    #[test]
    fn rows_are_lines_without_bytes_and_without_control_characters() {
        let bytes: ArrayRef = Arc::new(BinaryArray::from(vec![&b"abc"[..]]));
        let path: ArrayRef = Arc::new(StringArray::from(vec!["a.jpg"]));
        let image: ArrayRef = Arc::new(StructArray::from(vec![
            (Arc::new(Field::new("bytes", DataType::Binary, true)), Arc::clone(&bytes)),
            (Arc::new(Field::new("path", DataType::Utf8, true)), path),
        ]));
        let item = Arc::new(Field::new("item", image.data_type().clone(), true));
        let offsets = OffsetBuffer::from_lengths([1]);
        let images: ArrayRef = Arc::new(ListArray::new(item, offsets, Arc::clone(&image), None));
        let title: ArrayRef = Arc::new(StringArray::from(vec!["a\u{1b}[2J\u{202e}\nb"]));
        let size: ArrayRef = Arc::new(Int64Array::from(vec![None]));
        let columns = [
            ("raw", bytes),
            ("image", image),
            ("images", images),
            ("title", title),
            ("size", size),
        ];
        let batch = RecordBatch::try_from_iter_with_nullable(
            columns.map(|(name, column)| (name, column, true)),
        );
        let expected = "  raw: 3 bytes\n  image: {bytes: 3 bytes, path: a.jpg}\n  \
                        images: [{bytes: 3 bytes, path: a.jpg}]\n  \
                        title: a\\u{1b}[2J\\u{202e} b\n  size: null\n\n";
        assert_eq!(text_of(&batch.unwrap()).unwrap(), expected);
    }
}
