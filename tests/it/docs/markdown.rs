//! Pages of documentation: their headings, links and blocks of code.

use std::fs;
use std::path::{Path, PathBuf};

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

use crate::source::root;

/// A page, as far as the tests look at it.
#[derive(Default)]
pub struct Page {
    /// From the root.
    pub path: PathBuf,
    /// What can stand behind `#`.
    pub anchors: Vec<String>,
    /// Where links and pictures lead.
    pub links: Vec<String>,
    /// Blocks of code: the language that is named, and the text.
    pub blocks: Vec<(String, String)>,
}

/// `README.md`, what it leads to at the root, and all of `docs`.
pub fn pages() -> Vec<Page> {
    let names = [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "CHANGELOG.md",
        "schemas/README.md",
    ];
    let mut paths: Vec<PathBuf> = names.map(PathBuf::from).to_vec();
    markdown_below(Path::new("docs"), &mut paths);
    let pages = paths.into_iter().map(|path| {
        let text = fs::read_to_string(root().join(&path)).unwrap();
        Page { path, ..read(&text) }
    });
    pages.collect()
}

fn markdown_below(folder: &Path, into: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(root().join(folder)).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    for name in names {
        let path = folder.join(name);
        if root().join(&path).is_dir() {
            markdown_below(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            into.push(path);
        }
    }
}

/// Reads a page's text.
pub fn read(text: &str) -> Page {
    let mut page = Page::default();
    let (mut heading, mut block) = (None::<String>, None::<(String, String)>);
    for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => {
                let slug = slug(&heading.take().unwrap_or_default());
                let before = page.anchors.iter().filter(|anchor| **anchor == slug).count();
                page.anchors.push(if before == 0 { slug } else { format!("{slug}-{before}") });
            }
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                page.links.push(dest_url.into_string());
            }
            Event::Start(Tag::CodeBlock(kind)) => {
                let language = match kind {
                    CodeBlockKind::Fenced(language) => language.into_string(),
                    CodeBlockKind::Indented => "indented".into(),
                };
                block = Some((language, String::new()));
            }
            Event::End(TagEnd::CodeBlock) => page.blocks.extend(block.take()),
            Event::Text(text) | Event::Code(text) => {
                for into in [heading.as_mut(), block.as_mut().map(|(_, into)| into)] {
                    into.into_iter().for_each(|into| into.push_str(&text));
                }
            }
            _ => {}
        }
    }
    page
}

/// A heading's anchor, the same at GitHub and in the book.
fn slug(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn a_page_is_read() {
    let text = "# A `b.c`, d\n\n[x](y.md#z) <https://e.example>\n\n```sh\nls\n```\n\n| a |\n|---|\n\
                | ![p](q.png) |\n\n## Two\n\n## Two\n";
    let page = read(text);
    assert_eq!(page.anchors, ["a-bc-d", "two", "two-1"]);
    assert_eq!(page.links, ["y.md#z", "https://e.example", "q.png"]);
    assert_eq!(page.blocks, [("sh".to_owned(), "ls\n".to_owned())]);
}
