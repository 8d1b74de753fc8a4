//! The formats of tables.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, LargeStringArray, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;

use super::rows::{TableRow, for_each};
use crate::config::Tables;

fn found(
    name: &str,
    bytes: &[u8],
    columns: &Tables,
) -> Result<Vec<Result<TableRow, String>>, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    let mut rows = Vec::new();
    let read = for_each(&path, columns, &mut |row| {
        rows.push(row);
        true
    });
    read.map(|()| rows).map_err(|error| error.to_string())
}

fn expected() -> Vec<Result<TableRow, String>> {
    vec![
        Ok(TableRow {
            page_url: "http://a.example/".into(),
            image_url: "http://a.example/1.jpg".into(),
            alt: "a boat, red".into(),
            width: Some(640),
            ..TableRow::default()
        }),
        Ok(TableRow {
            page_url: "http://a.example/".into(),
            image_url: "2.jpg".into(),
            ..TableRow::default()
        }),
    ]
}

#[test]
fn csv_and_tsv_have_their_columns_in_any_order() {
    let columns = Tables { image_url: "url".into(), alt: "caption".into(), ..Tables::default() };
    let csv = "\u{feff}caption,other,url,page_url,width\n\
               \"a boat, red\",x,http://a.example/1.jpg,http://a.example/,640\n\
               ,,2.jpg,http://a.example/\n";
    assert_eq!(found("t.csv", csv.as_bytes(), &columns).unwrap(), expected());
    let tsv = "page_url\turl\tcaption\twidth\nhttp://a.example/\thttp://a.example/1.jpg\ta boat, red\t640.0\n\
               http://a.example/\t2.jpg\t\t\n";
    assert_eq!(found("t.TSV", tsv.as_bytes(), &columns).unwrap(), expected());
    let error = found("t.csv", csv.as_bytes(), &Tables::default()).unwrap_err();
    assert!(error.contains("\"image_url\"") && error.contains("--table-columns"), "{error}");
}

#[test]
fn json_lines_may_be_broken_one_by_one() {
    let lines = "{\"page_url\": \"http://a.example/\", \"image_url\": \"http://a.example/1.jpg\", \
                 \"alt\": \"a boat, red\", \"width\": 640}\n\n\
                 {\"page_url\": \"http://a.example/\", \"image_url\": \"2.jpg\", \"alt\": null}\n\
                 {\"page_url\": 1\n{\"page_url\": \"x\"}\n";
    let rows = found("t.jsonl", lines.as_bytes(), &Tables::default()).unwrap();
    assert_eq!(rows[..2], expected());
    assert!(rows[2].as_ref().unwrap_err().starts_with("line 4: "), "{rows:?}");
    assert!(rows[3].as_ref().unwrap_err().contains("\"image_url\""), "{rows:?}");
}

#[test]
fn parquet_may_store_texts_and_numbers_in_any_way() {
    let pages: ArrayRef = Arc::new(LargeStringArray::from(vec!["http://a.example/"; 2]));
    let images: ArrayRef = Arc::new(StringArray::from(vec!["http://a.example/1.jpg", "2.jpg"]));
    let alts: ArrayRef = Arc::new(StringArray::from(vec![Some("a boat, red"), None]));
    let widths: ArrayRef = Arc::new(Int64Array::from(vec![Some(640), None]));
    let columns = [("alt", alts), ("page_url", pages), ("image_url", images), ("width", widths)];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    assert_eq!(found("t.parquet", &bytes, &Tables::default()).unwrap(), expected());
    assert!(found("t.parquet", &bytes[..200], &Tables::default()).is_err());
}

#[test]
fn other_names_are_refused() {
    let error = found("t.xlsx", b"", &Tables::default()).unwrap_err();
    assert!(error.contains("says no format"), "{error}");
}
