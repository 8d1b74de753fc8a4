//! Conformance data for the tests of every crate, and counts of the cases that ran over it.
//!
//! The data lies in `../shared` beside the workspace and is not part of it: a clone without the folder
//! passes, and its tests say that they skip. Fixtures of a single crate belong to that crate.
#![forbid(unsafe_code)]

mod conformance;
pub mod hashes;

use std::path::{Path, PathBuf};

pub use conformance::conformance;

/// Returns the folder that holds the workspace's `Cargo.toml`.
pub fn workspace_root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this crate lies in the workspace")
}

/// Returns the path of a file or folder in `../shared`.
///
/// Returns `None`, and prints that the test is skipped, only where the whole folder is absent.
///
/// # Panics
///
/// If the folder is there and `name` is not: a test that silently skips proves nothing.
#[track_caller]
pub fn shared(name: &str) -> Option<PathBuf> {
    find(&workspace_root().join("../shared"), name)
}

#[track_caller]
fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    if !folder.exists() {
        eprintln!("skipped: ../shared is absent");
        return None;
    }
    let path = folder.join(name);
    assert!(path.exists(), "../shared is there, and {name} is not in it");
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_holds_the_workspace() {
        let manifest = std::fs::read_to_string(workspace_root().join("Cargo.toml")).unwrap();
        assert!(manifest.starts_with("[workspace]"));
    }

    #[test]
    fn a_file_of_the_folder_is_found() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("cases.json"), "").unwrap();
        assert_eq!(find(folder.path(), "cases.json"), Some(folder.path().join("cases.json")));
    }

    #[test]
    fn an_absent_folder_is_skipped() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(find(&folder.path().join("shared"), "cases.json"), None);
    }

    #[test]
    #[should_panic(expected = "cases.json is not in it")]
    fn an_absent_file_of_the_folder_is_a_failure() {
        let folder = tempfile::tempdir().unwrap();
        find(folder.path(), "cases.json");
    }
}
