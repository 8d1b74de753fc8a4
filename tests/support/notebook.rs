//! Notebooks, run over a mined world.

use std::path::Path;
use std::process::Command;

use magiclens_demo::Options;
use magiclens_testing::workspace_root;
use serde_json::Value;

use crate::support::{Mined, Tables, run};

/// Runs a notebook; gives what `tests/notebooks.py` says that it found.
pub async fn found(python: &Path, name: &str, variables: &[(&str, &Path)]) -> Value {
    let mut command = Command::new(python);
    command.arg(workspace_root().join("tests/notebooks.py"));
    command.arg(workspace_root().join(format!("notebooks/{name}.ipynb")));
    // Nothing is left beside the notebooks, and whatever the libraries would fetch, they must not need here.
    command.env("PYTHONDONTWRITEBYTECODE", "1").env("HF_HUB_OFFLINE", "1");
    command.envs(variables.iter().copied());
    let output = run(command).await;
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A small mined world with hard negatives.
pub async fn mined(sites: usize) -> (Mined, Tables) {
    let options = Options { sites, odd: false, hostile: false, ..Options::default() };
    let mined = Mined::serve_few_parts(&options).await;
    let mut command = mined.command("run");
    command.args(["--set", "export.hard_negatives=2"]);
    let output = run(command).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tables = mined.tables("run").await;
    (mined, tables)
}
