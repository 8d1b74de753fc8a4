//! Other tools open the tables: pyarrow, DuckDB, polars, Pillow and the Hugging Face `datasets`.

use std::process::Command;

use magiclens_demo::Options;

use crate::support::{Mined, python, run};

#[tokio::test(flavor = "multi_thread")]
async fn other_tools_open_tables_and_shards() {
    let Some(python) = python() else { return };
    let mined = Mined::serve(&Options { hostile: false, ..Options::default() }).await;
    let mut command = mined.command("run");
    command.args(["--set", "export.hard_negatives=2"]);
    let output = run(command).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tables = mined.tables("run").await;
    let mut command = Command::new(&python);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop.py");
    command.arg(script).arg(mined.folder.path().join("run"));
    for rows in [tables.pages.len(), tables.images.len(), tables.triplets.len()] {
        command.arg(rows.to_string());
    }
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/triplet.json");
    std::fs::copy(schema, mined.folder.path().join("triplet.json")).unwrap();
    let output = run(command).await;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");

    let mut command = mined.command("run");
    command.args(["--set", "export.images=none", "--redo", "export"]);
    assert!(run(command).await.status.success());
    let mut command = Command::new(python);
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop_bare.py"));
    command.arg(mined.folder.path().join("run")).arg(tables.triplets.len().to_string());
    let output = run(command).await;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
}
