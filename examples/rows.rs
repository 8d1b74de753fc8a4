//! Shows the first rows of a table, to look at without another tool: `rows TABLE [COLUMN…] --limit N`.
//!
//! A table is a folder of parts. The parts that count are those that a manifest names, so the folder is
//! never searched for Parquet files.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Row;
use parquet::schema::types::Type;

/// Longest value shown, in characters.
const WIDTH: usize = 110;

/// Shows the first rows of a table
#[derive(Parser)]
struct Args {
    /// Folder of the table, such as runs/demo/pages
    table: PathBuf,
    /// Columns to show; all where none is named
    columns: Vec<String>,
    /// Rows to show
    #[arg(long, default_value_t = 5)]
    limit: usize,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let mut left = args.limit;
    let mut out = std::io::stdout().lock();
    for part in parts(&args.table)? {
        let reader = SerializedFileReader::new(File::open(&part)?)
            .with_context(|| part.display().to_string())?;
        let columns = projection(&reader, &args.columns)?;
        for row in reader.get_row_iter(Some(columns))?.take(left) {
            writeln!(out, "{}", show(&row?))?;
            left -= 1;
        }
        if left == 0 {
            break;
        }
    }
    Ok(())
}

/// The files that the manifests of a table name, in the order of parts.
fn parts(table: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(table).with_context(|| table.display().to_string())?;
    let mut manifests: Vec<PathBuf> = entries
        .map(|entry| Ok(entry?.path()))
        .filter(|path: &Result<PathBuf>| {
            path.as_ref().map_or(true, |path| path.extension().is_some_and(|e| e == "json"))
        })
        .collect::<Result<_>>()?;
    manifests.sort();
    let mut files = Vec::new();
    for manifest in manifests {
        let value: serde_json::Value = serde_json::from_reader(File::open(&manifest)?)?;
        // Paths in a manifest are below the run directory, which is the folder above the table.
        let run = table.parent().context("a table lies in a run directory")?;
        files.extend(value["files"]["rows"]["path"].as_str().map(|path| run.join(path)));
    }
    ensure!(!files.is_empty(), "{}: no part is committed", table.display());
    Ok(files)
}

/// The schema of the columns that were asked for, in that order.
fn projection(reader: &impl FileReader, columns: &[String]) -> Result<Type> {
    let schema = reader.metadata().file_metadata().schema();
    let named = |column: &String| {
        let found = schema.get_fields().iter().find(|field| field.name() == column);
        found.cloned().with_context(|| format!("no column `{column}`"))
    };
    let fields: Vec<Arc<Type>> = if columns.is_empty() {
        schema.get_fields().to_vec()
    } else {
        columns.iter().map(named).collect::<Result<_>>()?
    };
    Ok(Type::group_type_builder(schema.name()).with_fields(fields).build()?)
}

fn show(row: &Row) -> String {
    let fields = row.get_column_iter().map(|(name, value)| {
        let text = value.to_string();
        let cut: String = text.chars().take(WIDTH).collect();
        let more = if cut.len() < text.len() { "…" } else { "" };
        format!("  {name}: {cut}{more}\n")
    });
    fields.collect()
}
