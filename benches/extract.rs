//! Pages a second on one core: `cargo bench --bench extract`.
//!
//! Reads the HTML files of the folder `MAGICLENS_HTML_PAGES` if it is set, else pages of 55 KB made
//! here, as rich in images as the GIMP manual.

use std::fmt::Write;
use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use magiclens::stages::collect::extract::{Limits, extract, srcset};
use url::Url;

/// Bytes of a generated page.
const PAGE_BYTES: usize = 55 * 1024;

fn pages() -> Vec<Vec<u8>> {
    match std::env::var_os("MAGICLENS_HTML_PAGES") {
        Some(folder) => html_files(Path::new(&folder)),
        None => (0..10).map(|seed| generate(seed).into_bytes()).collect(),
    }
}

fn html_files(folder: &Path) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(folder).expect("MAGICLENS_HTML_PAGES is a folder");
    let paths = entries.flatten().map(|entry| entry.path());
    let html = paths.filter(|path| path.extension().is_some_and(|e| e == "html"));
    html.map(|path| std::fs::read(path).expect("a readable page")).collect()
}

/// A chapter of a manual: nested divisions, figures with captions, definition lists, links.
fn generate(seed: usize) -> String {
    let mut page = String::from(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Chapter</title>\
         <link rel=\"stylesheet\" href=\"style.css\"></head><body>",
    );
    for section in 0.. {
        if page.len() > PAGE_BYTES {
            break;
        }
        let n = seed * 1000 + section;
        writeln!(
            page,
            "<div class=\"sect2\"><div class=\"titlepage\"><div><div><h3 class=\"title\">\
             <a id=\"s{n}\"></a>{section}. The tool&#8217;s options</h3></div></div></div>\
             <p>The <span class=\"guilabel\">options</span> are found in the <a class=\"link\" \
             href=\"dock-{n}.html\" title=\"Docks\">dock</a>, below the toolbox. If they are not, open \
             them from the menu by <code class=\"literal\">Windows &amp; Docks</code>: each keeps what \
             was set last, and a double click brings back the values that it started with.</p>\
             <div class=\"figure\"><p class=\"title\"><b>Figure {section}. Before and after</b></p>\
             <div class=\"mediaobject\"><img src=\"images/tool-{n}.png\" alt=\"The tool, applied to \
             a picture of {n} flowers\" width=\"320\" height=\"240\" /></div></div>\
             <div class=\"variablelist\"><dl class=\"variablelist\"><dt><span class=\"term\">Opacity\
             </span></dt><dd><p>How much of what is below shows through, in percent.</p></dd><dt>\
             <span class=\"term\">Radius</span></dt><dd><p>See <a class=\"xref\" \
             href=\"radius.html#r{n}\">Section {section}</a>.</p></dd></dl></div></div>"
        )
        .expect("writing to a string succeeds");
    }
    page.push_str("</body></html>");
    page
}

fn bench(criterion: &mut Criterion) {
    let pages = pages();
    let url = Url::parse("http://example.org/en/page.html").expect("a valid URL");
    let limits = Limits::default();
    let mut group = criterion.benchmark_group("extract");
    group.throughput(Throughput::Elements(pages.len() as u64));
    group.bench_function("pages", |bencher| {
        bencher.iter(|| {
            pages.iter().map(|page| extract(page, None, &url, &limits).images.len()).sum::<usize>()
        });
    });
    group.finish();
    let value = "a-320.jpg 320w, a-640.jpg 640w, a-1024.jpg 1024w, a-2048.jpg 2048w";
    criterion.bench_function("srcset", |bencher| bencher.iter(|| srcset::parse(value).len()));
}

criterion_group!(benches, bench);
criterion_main!(benches);
