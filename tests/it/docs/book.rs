//! `make book` gives a book, by the mdBook that the tests' Python packages bring.

use std::fs;
use std::path::Path;
use std::process::Command;

use scraper::{Html, Selector};

use super::markdown::pages;
use crate::source::root;
use crate::support::python;

#[test]
fn the_book_is_built_and_its_links_lead_somewhere() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("book");
    let mut command = Command::new(root().join("scripts/book.sh"));
    command.arg(&out).env("MDBOOK", python.with_file_name("mdbook"));
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(!said.contains("WARN") && !said.contains("ERROR"), "{said}");
    let links = Selector::parse("main a[href], main img[src]").unwrap();
    for page in pages().iter().filter(|page| !page.path.ends_with("SUMMARY.md")) {
        let path = out.join(page.path.with_extension("html"));
        let html = Html::parse_document(&fs::read_to_string(&path).unwrap());
        for anchor in &page.anchors {
            let found = html.select(&Selector::parse(&format!("[id={anchor:?}]")).unwrap()).count();
            assert_eq!(found, 1, "{}: #{anchor}", path.display());
        }
        for link in html.select(&links) {
            let value = link.value();
            lead_somewhere(&path, value.attr("href").or(value.attr("src")).unwrap());
        }
    }
}

fn lead_somewhere(page: &Path, link: &str) {
    if link.contains("://") || link.starts_with('#') {
        return;
    }
    let file = link.split('#').next().unwrap();
    let there = page.parent().unwrap().join(file).exists();
    assert!(there, "{}: {link}", page.display());
}
