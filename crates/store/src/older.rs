//! Files of older versions, read as rows of the present version: missing columns are null, and the others
//! have kept their types.

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use std::sync::Arc;

/// Returns true if a file has a column of a row, and false if the column is missing but nullable. Any other
/// difference is an error.
pub(super) fn has(schema: &Schema, wanted: &Field) -> Result<bool, String> {
    let name = wanted.name();
    match schema.column_with_name(name) {
        Some((_, found)) if fits(found.data_type(), wanted.data_type()) => Ok(true),
        Some((_, found)) => {
            let (found, wanted) = (found.data_type(), wanted.data_type());
            Err(format!("column {name} is of type {found}, not {wanted}"))
        }
        None if wanted.is_nullable() => Ok(false),
        None => Err(format!("column {name} is missing")),
    }
}

/// Returns the schema of a table's files with the further columns of a row appended, which are null in all
/// files.
pub(super) fn complete(found: &Schema, wanted: &[FieldRef]) -> Result<SchemaRef, String> {
    let mut fields = found.fields().to_vec();
    for field in wanted {
        if !has(found, field)? {
            fields.push(Arc::clone(field));
        }
    }
    Ok(Arc::new(Schema::new(fields)))
}

/// Returns true if values of one type can be read as another without a change of meaning. Widths may differ:
/// a value that does not fit a narrower type is an error when it is read. Fields of a struct may be missing.
fn fits(found: &DataType, wanted: &DataType) -> bool {
    use DataType::{
        Binary, BinaryView, Boolean, Dictionary, FixedSizeBinary, FixedSizeList, LargeBinary,
        LargeList, LargeUtf8, List, ListView, Null, Struct, Timestamp, Utf8, Utf8View,
    };
    match (found, wanted) {
        (Dictionary(_, values), wanted) => fits(values, wanted),
        (Null, _) => true,
        (Utf8 | LargeUtf8 | Utf8View, Utf8 | LargeUtf8 | Utf8View) | (Boolean, Boolean) => true,
        (Timestamp(found, _), Timestamp(wanted, _)) => found == wanted,
        (
            Binary | LargeBinary | BinaryView | FixedSizeBinary(_),
            Binary | LargeBinary | BinaryView | FixedSizeBinary(_),
        ) => true,
        (
            List(found) | LargeList(found) | ListView(found) | FixedSizeList(found, _),
            List(wanted) | LargeList(wanted) | ListView(wanted) | FixedSizeList(wanted, _),
        ) => fits(found.data_type(), wanted.data_type()),
        (Struct(found), Struct(wanted)) => wanted.iter().all(|wanted| {
            found
                .iter()
                .find(|found| found.name() == wanted.name())
                .is_none_or(|found| fits(found.data_type(), wanted.data_type()))
        }),
        (found, wanted) => {
            found == wanted
                || (found.is_integer() && wanted.is_integer())
                || (found.is_floating() && wanted.is_floating())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use datafusion::prelude::{coalesce, col, lit};
    use serde::{Deserialize, Serialize};

    use super::super::{
        FileInfo, Layout, Manifest, Row, RowWriter, Session, Store, ascending, read_rows,
        stream_rows,
    };
    use super::*;

    fn field(name: &str, kind: DataType, is_nullable: bool) -> FieldRef {
        Arc::new(Field::new(name, kind, is_nullable))
    }

    macro_rules! row {
        ($name:ident { $($field:ident: $type:ty = $kind:expr, $nullable:expr;)* }) => {
            #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
            struct $name { $($field: $type),* }
            impl Row for $name {
                fn fields() -> Vec<FieldRef> {
                    vec![$(field(stringify!($field), $kind, $nullable)),*]
                }
                fn weight(&self) -> usize { 8 }
            }
        };
    }

    row!(Old { id: u32 = DataType::UInt32, false; });
    row!(New {
        id: u32 = DataType::UInt32, false;
        note: Option<String> = DataType::Utf8, true;
    });
    row!(Strict {
        id: u32 = DataType::UInt32, false;
        size: u64 = DataType::UInt64, false;
    });
    row!(Text { id: String = DataType::Utf8, false; });

    async fn write<R: Row>(store: &Store, part: u32, rows: Vec<R>) -> Manifest {
        let path = format!("t/part-{part:05}-x.parquet");
        let mut writer = RowWriter::create(store, path, Layout::Part).unwrap();
        for row in rows {
            writer.push(row).await.unwrap();
        }
        let file: FileInfo = writer.close().await.unwrap().unwrap();
        Manifest {
            table: "t".into(),
            part,
            files: [("rows".into(), file)].into(),
            counts: Default::default(),
            passed_over: Default::default(),
            fingerprint: String::new(),
            software: String::new(),
        }
    }

    async fn read<R: Row>(store: &Store, part: &Manifest) -> Result<Vec<R>, String> {
        let rows = read_rows::<R>(store, &part.files["rows"].path, 8).await;
        let rows = rows.map_err(|error| error.to_string())?;
        rows.collect().await.map_err(|error| error.to_string())
    }

    fn store(folder: &Path) -> Store {
        Store::open(folder.to_str().unwrap()).unwrap()
    }

    fn new(id: u32, note: Option<&str>) -> New {
        New { id, note: note.map(str::to_owned) }
    }

    #[tokio::test]
    async fn a_column_that_an_older_file_lacks_is_null() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        let old = write(&store, 0, vec![Old { id: 1 }]).await;
        let newer = write(&store, 1, vec![new(2, Some("a"))]).await;
        assert_eq!(read::<New>(&store, &old).await, Ok(vec![new(1, None)]));
        assert_eq!(read::<New>(&store, &newer).await, Ok(vec![new(2, Some("a"))]));
        assert_eq!(read::<Old>(&store, &newer).await, Ok(vec![Old { id: 2 }]));
        let error = read::<Strict>(&store, &old).await.unwrap_err();
        assert!(
            error.contains("part-00000") && error.contains("column size is missing"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_column_of_another_type_is_an_error_and_no_text() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        let numbers = write(&store, 0, vec![Old { id: 1 }]).await;
        let error = read::<Text>(&store, &numbers).await.unwrap_err();
        assert!(error.contains("part-00000"), "{error}");
        assert!(error.contains("column id is of type UInt32, not Utf8"), "{error}");
        let session = Session::new(&store, 64 << 20).unwrap();
        let error = session.table::<Text>("rows", &[numbers], "rows").await.unwrap_err();
        assert!(error.to_string().contains("column id is of type UInt32"), "{error}");
    }

    async fn noted(store: &Store, parts: &[Manifest]) -> Vec<New> {
        let session = Session::new(store, 64 << 20).unwrap();
        let rows = session.table::<New>("rows", parts, "rows").await.unwrap();
        let note = coalesce(vec![col("note"), lit("none")]);
        let found = rows.filter(note.not_eq(lit("b"))).unwrap();
        let found = found.sort(vec![ascending("id")]).unwrap();
        stream_rows::<New>(found).await.unwrap().collect().await.unwrap()
    }

    #[tokio::test]
    async fn plans_see_null_where_some_or_all_parts_are_older() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        let old = write(&store, 0, vec![Old { id: 1 }]).await;
        let newer = write(&store, 1, vec![new(2, Some("a")), new(3, Some("b"))]).await;
        assert_eq!(noted(&store, std::slice::from_ref(&old)).await, [new(1, None)]);
        let mixed = [new(1, None), new(2, Some("a"))];
        assert_eq!(noted(&store, &[old.clone(), newer.clone()]).await, mixed);
        assert_eq!(noted(&store, &[newer, old.clone()]).await, mixed);
        let session = Session::new(&store, 64 << 20).unwrap();
        let error = session.table::<Strict>("rows", &[old], "rows").await.unwrap_err();
        assert!(error.to_string().contains("column size is missing"), "{error}");
    }

    #[test]
    fn types_fit_by_kind() {
        use DataType::{Binary, Float32, Float64, Int64, LargeBinary, LargeUtf8, UInt8, Utf8};
        for (found, wanted) in
            [(LargeUtf8, Utf8), (UInt8, Int64), (Float32, Float64), (LargeBinary, Binary)]
        {
            assert!(fits(&found, &wanted), "{found} as {wanted}");
        }
        for (found, wanted) in
            [(Int64, Utf8), (Utf8, Int64), (Int64, Float64), (Binary, Utf8), (Utf8, Binary)]
        {
            assert!(!fits(&found, &wanted), "{found} as {wanted}");
        }
        let of = |kind| DataType::Struct(vec![field("a", kind, true)].into());
        assert!(fits(&of(LargeUtf8), &of(Utf8)) && !fits(&of(Int64), &of(Utf8)));
        assert!(fits(&DataType::Struct(Vec::<FieldRef>::new().into()), &of(Utf8)), "null in it");
    }
}
