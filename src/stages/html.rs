//! What pages for people share: a document without scripts or network, figures with their images inside,
//! and text that cannot become markup.

use std::fmt::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// How all of them look.
const STYLE: &str = "\
:root { color-scheme: light dark; font: 15px/1.4 system-ui, sans-serif; }
body { margin: 1.5rem auto; max-width: 68rem; padding: 0 1rem; }
article { display: grid; grid-template-columns: 1fr 1fr 1fr; gap: 1rem; align-items: center;
  border-top: 1px solid #8886; padding: 1rem 0; }
figure { margin: 0; } img { max-width: 100%; max-height: 15rem; display: block; }
figcaption, small { opacity: .75; font-size: .85rem; overflow-wrap: anywhere; }
@media (max-width: 40rem) { article { grid-template-columns: 1fr; } }";

/// The head of a document with a heading, and further style; `</html>` ends it.
pub fn head(title: &str, style: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{0}</title>\n\
         <style>{STYLE}\n{style}</style>\n<h1>{0}</h1>\n",
        escape(title),
    )
}

/// An image of a kind such as `png`, or the address where none is at hand, with what it shows.
pub fn figure(image: Option<(&str, &[u8])>, caption: &str, url: &str) -> String {
    let shown = match image {
        Some((kind, bytes)) => {
            let data = BASE64_STANDARD.encode(bytes);
            format!("<img alt=\"{}\" src=\"data:image/{kind};base64,{data}\">", escape(caption))
        }
        None => format!("<a href=\"{0}\">{0}</a>", escape(url)),
    };
    format!("<figure>{shown}<figcaption>{}</figcaption></figure>", escape(caption))
}

/// Text for HTML, in elements and in quoted attributes.
pub fn escape(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            c if c.is_control() => html.push(' '),
            c => {
                let _ = html.write_char(c);
            }
        }
    }
    html
}
