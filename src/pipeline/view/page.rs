//! The document: one that holds its data, style and script, or one whose server sends them.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use sha2::{Digest, Sha256};

/// Style sheet of the page.
pub(crate) const STYLE: &str = include_str!("page/view.css");

/// Scripts of the served page.
pub(crate) const SERVED: &str = concat!(
    include_str!("page/charts.js"),
    include_str!("page/view.js"),
    include_str!("page/gallery.js"),
    include_str!("page/serve.js"),
);

/// Scripts of a report.
const REPORT: &str = concat!(
    include_str!("page/charts.js"),
    include_str!("page/view.js"),
    include_str!("page/gallery.js"),
    include_str!("page/report.js"),
);

const BODY: &str = include_str!("page/body.html");

fn document(head: &str, end: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>MagicLens: what was mined</title>\n<link rel=\"icon\" href=\"data:,\">\n{head}</head>\n\
         <body>\n{BODY}{end}</body>\n</html>\n"
    )
}

/// The page of `mine serve`.
pub(crate) fn served() -> String {
    let head =
        "<link rel=\"stylesheet\" href=\"/view.css\">\n<script src=\"/app.js\" defer></script>\n";
    document(head, "")
}

/// A page that needs nothing else, and may load nothing else.
pub(crate) fn report(data: &impl Serialize) -> String {
    let policy = format!(
        "default-src 'none'; img-src data:; style-src {}; script-src {}; base-uri 'none'; \
         form-action 'none'",
        hash(STYLE),
        hash(REPORT),
    );
    let head = format!(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n<style>{STYLE}</style>\n"
    );
    let end = format!(
        "<script type=\"application/json\" id=\"data\">{}</script>\n<script>{REPORT}</script>\n",
        embedded(data),
    );
    document(&head, &end)
}

fn hash(inline: &str) -> String {
    format!("'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(inline)))
}

/// JSON that ends no script, whatever is in its strings.
fn embedded(data: &impl Serialize) -> String {
    serde_json::to_string(data).expect("what is shown is plain data").replace('<', "\\u003c")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_ends_no_script() {
        let hostile = "</script><script>alert(1)</script><!--";
        let page = report(&[hostile]);
        assert!(!page.contains("alert(1)</script>"));
        assert_eq!(page.matches("<script").count(), 2);
        assert_eq!(page.matches("</script>").count(), 2);
        let data = embedded(&[hostile]);
        assert_eq!(serde_json::from_str::<Vec<String>>(&data).unwrap(), [hostile]);
    }

    #[test]
    fn nothing_is_loaded_from_elsewhere() {
        let page = report(&0);
        for word in ["src=\"http", "href=\"http", "@import", "url("] {
            assert!(!page.contains(word), "{word}");
        }
        for script in [SERVED, REPORT] {
            for word in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("]
            {
                assert!(!script.contains(word), "{word}");
            }
        }
    }
}
