//! Rows of one file, whatever its format.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use flate2::read::MultiGzDecoder;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;
use serde_json::{Map, Value};

use crate::config::Tables;

/// Rows of a Parquet file that are held at once.
const BATCH_ROWS: usize = 1024;

/// A line of JSON is at most this long, in bytes.
const MAX_LINE: u64 = 16 << 20;

/// Why a table cannot be read, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// A name that tells no format.
    #[error("its name says no format: give .parquet, .csv, .tsv, .jsonl or .ndjson, perhaps .gz")]
    Format,
    /// A column that must be there.
    #[error("it has no column {0:?}: name it by --table-columns")]
    Column(String),
    /// The file is damaged.
    #[error("{0}")]
    Damaged(String),
    /// The bytes could not be had: says nothing about the file.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// One row, as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TableRow {
    pub(super) page_url: String,
    pub(super) image_url: String,
    pub(super) alt: String,
    pub(super) title: String,
    pub(super) width: Option<u32>,
    pub(super) height: Option<u32>,
}

/// A row, or the line that is none with what is wrong with it. `false` asks for no more.
pub(super) type Visit<'a> = &'a mut dyn FnMut(Result<TableRow, String>) -> bool;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Parquet,
    Separated(u8),
    JsonLines,
}

impl Format {
    fn of(path: &Path) -> Result<Self, TableError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        let name = name.strip_suffix(".gz").unwrap_or(&name);
        match name.rsplit_once('.').map(|(_, extension)| extension) {
            Some("parquet") => Ok(Self::Parquet),
            Some("csv") => Ok(Self::Separated(b',')),
            Some("tsv") => Ok(Self::Separated(b'\t')),
            Some("jsonl" | "ndjson") => Ok(Self::JsonLines),
            _ => Err(TableError::Format),
        }
    }
}

/// Whether a name says what format a file has.
pub fn check_name(name: &str) -> Result<(), TableError> {
    Format::of(Path::new(name)).map(drop)
}

/// Whether a file has the columns that must be there, as far as its beginning tells.
pub fn check(path: &Path, columns: &Tables) -> Result<(), TableError> {
    let mut first = Ok(());
    for_each(path, columns, &mut |row| {
        first = row.map(drop).map_err(TableError::Damaged);
        false
    })?;
    first
}

/// Gives every row of a file to `visit`, in order.
pub(super) fn for_each(path: &Path, columns: &Tables, visit: Visit<'_>) -> Result<(), TableError> {
    match Format::of(path)? {
        Format::Parquet => parquet(File::open(path)?, columns, visit),
        Format::Separated(by) => separated(open(path)?, by, columns, visit),
        Format::JsonLines => json_lines(open(path)?, columns, visit),
    }
}

fn open(path: &Path) -> io::Result<Box<dyn BufRead>> {
    let mut file = BufReader::new(File::open(path)?);
    Ok(if file.fill_buf()?.starts_with(b"\x1f\x8b") {
        Box::new(BufReader::new(MultiGzDecoder::new(file)))
    } else {
        Box::new(file)
    })
}

/// The columns by what they are for: what must be there first.
fn names(columns: &Tables) -> [&str; 6] {
    let Tables { page_url, image_url, alt, title, width, height } = columns;
    [page_url, image_url, alt, title, width, height]
}

/// Where each column is; the first two must be.
fn places(
    columns: &Tables,
    find: impl Fn(&str) -> Option<usize>,
) -> Result<[Option<usize>; 6], TableError> {
    let names = names(columns);
    let places = names.map(find);
    match places.iter().take(2).position(Option::is_none) {
        Some(missing) => Err(TableError::Column(names[missing].to_owned())),
        None => Ok(places),
    }
}

/// A row of six texts, of which each may be missing.
fn row(value: impl Fn(usize) -> String) -> TableRow {
    let size = |text: String| {
        let pixels = text.trim().parse::<f64>().ok().filter(|pixels| *pixels >= 1.0);
        pixels.map(|pixels| pixels.min(f64::from(u32::MAX)) as u32)
    };
    TableRow {
        page_url: value(0),
        image_url: value(1),
        alt: value(2),
        title: value(3),
        width: size(value(4)),
        height: size(value(5)),
    }
}

fn parquet(file: File, columns: &Tables, visit: Visit<'_>) -> Result<(), TableError> {
    let damaged = |error: ParquetError| TableError::Damaged(error.to_string());
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(damaged)?;
    let schema = builder.schema().clone();
    places(columns, |name| schema.column_with_name(name).map(|(at, _)| at))?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), names(columns));
    let batches = builder.with_projection(mask).with_batch_size(BATCH_ROWS).build();
    for batch in batches.map_err(damaged)? {
        let batch = batch.map_err(|error| TableError::Damaged(error.to_string()))?;
        let texts = names(columns).map(|name| texts(&batch, name));
        for at in 0..batch.num_rows() {
            let value = |column: usize| match &texts[column] {
                Some(texts) if texts.is_valid(at) => texts.as_string::<i32>().value(at).to_owned(),
                _ => String::new(),
            };
            if !visit(Ok(row(value))) {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// A column as texts, whatever it is stored as.
fn texts(batch: &RecordBatch, name: &str) -> Option<ArrayRef> {
    batch.column_by_name(name).and_then(|column| cast(column, &DataType::Utf8).ok())
}

fn separated(
    input: impl Read,
    by: u8,
    columns: &Tables,
    visit: Visit<'_>,
) -> Result<(), TableError> {
    let mut reader = csv::ReaderBuilder::new().delimiter(by).flexible(true).from_reader(input);
    let header = reader.byte_headers().map_err(of_csv)?.clone();
    let place = |name: &str| header.iter().position(|field| without_bom(field) == name.as_bytes());
    let places = places(columns, place)?;
    let mut record = csv::ByteRecord::new();
    while reader.read_byte_record(&mut record).map_err(of_csv)? {
        let value = |column: usize| {
            let field = places[column].and_then(|at| record.get(at)).unwrap_or_default();
            String::from_utf8_lossy(field).into_owned()
        };
        if !visit(Ok(row(value))) {
            return Ok(());
        }
    }
    Ok(())
}

fn without_bom(field: &[u8]) -> &[u8] {
    field.strip_prefix(b"\xef\xbb\xbf").unwrap_or(field)
}

fn of_csv(error: csv::Error) -> TableError {
    let text = error.to_string();
    match error.into_kind() {
        csv::ErrorKind::Io(error) => of_io(error),
        _ => TableError::Damaged(text),
    }
}

/// What gzip says of a damaged file is no trouble of the disk.
fn of_io(error: io::Error) -> TableError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
            TableError::Damaged(error.to_string())
        }
        _ => TableError::Io(error),
    }
}

fn json_lines(
    mut input: impl BufRead,
    columns: &Tables,
    visit: Visit<'_>,
) -> Result<(), TableError> {
    let (mut line, mut number) = (Vec::new(), 0u64);
    loop {
        line.clear();
        number += 1;
        if input.by_ref().take(MAX_LINE).read_until(b'\n', &mut line).map_err(of_io)? == 0 {
            return Ok(());
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        let found = match serde_json::from_slice::<Map<String, Value>>(&line) {
            Ok(object) => places(columns, |name| object.contains_key(name).then_some(0))
                .map(|_| row(|column| text(object.get(names(columns)[column])))),
            Err(error) => Err(TableError::Damaged(error.to_string())),
        };
        if !visit(found.map_err(|error| format!("line {number}: {error}"))) {
            return Ok(());
        }
    }
}

fn text(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}
