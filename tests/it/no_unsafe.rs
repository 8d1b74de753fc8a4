//! `unsafe` is confined to the member crate that calls shared objects by hand.

use std::fs;
use std::path::Path;

use crate::source::{Token, root, rust_files, tokens};

/// The one folder that may.
const ALLOWED: &str = "torch";

fn unsafe_lines(source: &str) -> Vec<usize> {
    let is_unsafe = |token: &Token| token.text == "unsafe";
    tokens(source).into_iter().filter(is_unsafe).map(|token| token.line).collect()
}

#[test]
fn nothing_is_unsafe_outside_the_torch_crate() {
    let files = rust_files(root());
    assert!(files.iter().any(|file| file.ends_with("src/lib.rs")), "no source was found");
    let mut found = Vec::new();
    for file in files {
        let file = file.strip_prefix(root()).unwrap();
        if !file.starts_with(ALLOWED) {
            let source = fs::read_to_string(root().join(file)).unwrap();
            let lines = unsafe_lines(&source).into_iter();
            found.extend(lines.map(|line| format!("{}:{line}", file.display())));
        }
    }
    assert!(found.is_empty(), "unsafe code outside {ALLOWED}/: {}", found.join(", "));
}

#[test]
fn every_library_forbids_it_itself() {
    let files = rust_files(root()).into_iter();
    let libraries: Vec<_> = files.filter(|file| file.ends_with("src/lib.rs")).collect();
    assert!(libraries.len() > 8, "{libraries:?}");
    for file in libraries {
        let source = fs::read_to_string(&file).unwrap();
        let text: String = tokens(&source).into_iter().map(|token| token.text).collect();
        let is_exempt = file.starts_with(root().join(ALLOWED));
        assert!(is_exempt || text.contains("#![forbid(unsafe_code)]"), "{}", file.display());
    }
}

#[test]
fn the_torch_crate_is_where_it_is() {
    let source = fs::read_to_string(root().join(Path::new(ALLOWED)).join("src/lib.rs")).unwrap();
    assert!(!unsafe_lines(&source).is_empty(), "the exception is not needed any more: remove it");
}

#[test]
fn words_are_told_from_comments_strings_and_longer_words() {
    let source =
        "// unsafe\n/* unsafe */ #![forbid(unsafe_code)]\nlet s = \"unsafe\";\nunsafe { f() }";
    assert_eq!(unsafe_lines(source), [4]);
}
