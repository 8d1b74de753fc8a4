//! Other tools open the tables: pyarrow, DuckDB and Pillow.

use std::process::Command;

use magiclens_demo::Options;

use crate::support::{Mined, python, run};

#[tokio::test(flavor = "multi_thread")]
async fn pyarrow_duckdb_and_pillow_open_both_tables() {
    let Some(python) = python() else { return };
    let mined = Mined::serve(&Options { hostile: false, ..Options::default() }).await;
    mined.run("run").await;
    let tables = mined.tables("run").await;
    let mut command = Command::new(python);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop.py");
    command.arg(script).arg(mined.folder.path().join("run"));
    command.arg(tables.pages.len().to_string()).arg(tables.images.len().to_string());
    let output = run(command).await;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
}
