//! Links between pages lead to files and headings that are there, and the book has every page.

use std::path::{Component, Path, PathBuf};

use super::markdown::{Page, pages, read};
use crate::source::root;

/// A link's file from the root, or nothing where it leads out of the repository or to the web.
fn target(page: &Path, link: &str) -> Option<PathBuf> {
    let file = link.split('#').next().unwrap();
    if file.is_empty() {
        return Some(page.to_owned());
    }
    let mut path = PathBuf::new();
    for part in page.parent().unwrap().join(file).components() {
        match part {
            Component::ParentDir => {
                assert!(path.pop(), "{}: {link} leaves the root", page.display())
            }
            part => path.push(part),
        }
    }
    Some(path)
}

fn is_of_the_web(link: &str) -> bool {
    ["https://", "http://", "mailto:"].iter().any(|start| link.starts_with(start))
}

/// What is wrong with a page's links.
fn broken(page: &Page, pages: &[Page]) -> Vec<String> {
    let mut broken = Vec::new();
    for link in page.links.iter().filter(|link| !is_of_the_web(link)) {
        let Some(path) = target(&page.path, link) else { continue };
        let known = pages.iter().find(|other| other.path == path);
        if known.is_none() && !root().join(&path).exists() {
            broken.push(format!("{}: {link}: no such file", page.path.display()));
            continue;
        }
        let Some((_, anchor)) = link.split_once('#') else { continue };
        if !known.is_some_and(|other| other.anchors.iter().any(|known| known == anchor)) {
            broken.push(format!("{}: {link}: no such heading", page.path.display()));
        }
    }
    broken
}

#[test]
fn links_lead_somewhere() {
    let pages = pages();
    let all: Vec<_> = pages.iter().flat_map(|page| broken(page, &pages)).collect();
    assert!(all.is_empty(), "{}", all.join("\n"));
    let inner = pages.iter().flat_map(|page| &page.links).filter(|link| !is_of_the_web(link));
    assert!(inner.count() > 50);
}

#[test]
fn links_that_lead_nowhere_are_found() {
    let text = "[a](scale.md) [b](none.md) [c](scale.md#none) [d](#here) [e](#none)\n\n# Here\n";
    let page = Page { path: "docs/x.md".into(), ..read(text) };
    let mut pages = pages();
    pages.push(Page { path: page.path.clone(), ..read(text) });
    assert_eq!(
        broken(&page, &pages),
        [
            "docs/x.md: none.md: no such file",
            "docs/x.md: scale.md#none: no such heading",
            "docs/x.md: #none: no such heading",
        ]
    );
}

#[test]
fn the_book_has_every_page_once() {
    let pages = pages();
    let summary = pages.iter().find(|page| page.path.ends_with("docs/SUMMARY.md")).unwrap();
    let is_in_docs = |path: &PathBuf| path.starts_with("docs");
    let mut listed: Vec<_> =
        summary.links.iter().filter_map(|link| target(&summary.path, link)).collect();
    listed.retain(is_in_docs);
    listed.sort();
    let mut there: Vec<_> = pages.iter().map(|page| page.path.clone()).filter(is_in_docs).collect();
    there.retain(|path| path != &summary.path);
    there.sort();
    assert_eq!(listed, there);
}
