//! `mine head`: the first rows of a table, to look at without another tool.

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray, StructArray};
use arrow::datatypes::{DataType, Field, Fields};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use itertools::Itertools;

use super::RunError;
use super::status::existing;
use crate::store::{RunDir, StoreError, first_rows};
use crate::telemetry::say;

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
            text += &format!("  {}: {}\n", field.name(), shortened(&value));
        }
        text.push('\n');
    }
    Ok(text)
}

/// The same column with the length of each binary value in place of its bytes.
fn without_bytes(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    Ok(match column.data_type() {
        DataType::Binary => {
            let lengths = column.as_any().downcast_ref::<arrow::array::BinaryArray>();
            let lengths = lengths.into_iter().flatten();
            let texts = lengths.map(|value| value.map(|bytes| format!("{} bytes", bytes.len())));
            std::sync::Arc::new(texts.collect::<StringArray>())
        }
        DataType::Struct(_) => {
            let Some(group) = column.as_any().downcast_ref::<StructArray>() else {
                return Ok(column.clone());
            };
            let children: Vec<ArrayRef> =
                group.columns().iter().map(without_bytes).try_collect()?;
            let fields = group.fields().iter().zip(&children).map(|(field, child)| {
                Field::new(field.name(), child.data_type().clone(), field.is_nullable())
            });
            let fields = fields.collect::<Fields>();
            std::sync::Arc::new(StructArray::try_new(fields, children, group.nulls().cloned())?)
        }
        _ => column.clone(),
    })
}

/// One line of at most [`WIDTH`] characters, control characters escaped.
fn shortened(value: &str) -> String {
    let cut: String = value.chars().take(WIDTH).flat_map(escaped).collect();
    let more = if value.chars().nth(WIDTH).is_some() { "…" } else { "" };
    format!("{cut}{more}")
}

/// Escapes what would move the cursor or turn the direction of writing: values come from web pages.
fn escaped(character: char) -> impl Iterator<Item = char> {
    let is_plain = character == ' ' || !(character.is_control() || is_invisible(character));
    let escape = (!is_plain).then(|| character.escape_unicode());
    escape.into_iter().flatten().chain(is_plain.then_some(character))
}

/// Marks of direction, joiners and other characters without a shape.
fn is_invisible(character: char) -> bool {
    matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{BinaryArray, Int64Array};

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
        let title: ArrayRef = Arc::new(StringArray::from(vec!["a\u{1b}[2J\u{202e}\nb"]));
        let size: ArrayRef = Arc::new(Int64Array::from(vec![None]));
        let columns = [("raw", bytes), ("image", image), ("title", title), ("size", size)];
        let batch = RecordBatch::try_from_iter_with_nullable(
            columns.map(|(name, column)| (name, column, true)),
        );
        let expected = "  raw: 3 bytes\n  image: {bytes: 3 bytes, path: a.jpg}\n  \
                        title: a\\u{1b}[2J\\u{202e}\\u{a}b\n  size: null\n\n";
        assert_eq!(text_of(&batch.unwrap()).unwrap(), expected);
        assert_eq!(shortened(&"é".repeat(200)), "é".repeat(WIDTH) + "…");
    }
}
