//! From an archived answer to a row of `pages`: a plain function, as much as for a crawled one.

use super::super::extract::{extract, may_hold_images};
use super::super::visit::{ContentType, page, with_meta};
use super::rules::Rules;
use crate::http::Fetched;
use crate::http::optout::Directives;
use crate::record::{Page, Reason};
use crate::text::detect_language;

/// Reads a page, or says why it is none that is wanted.
pub(super) fn read_page(fetched: &Fetched, rules: &Rules) -> Result<Page, (Reason, String)> {
    let content_type = ContentType::of(fetched);
    if !content_type.is_html {
        return Err((Reason::NotHtml, content_type.essence));
    }
    if !may_hold_images(&fetched.body, rules.min_image_tags) {
        return Err((Reason::FewImages, String::new()));
    }
    let charset = content_type.charset.as_deref();
    let extracted = extract(&fetched.body, charset, &fetched.url, &rules.limits);
    let said = Directives::from_headers(&fetched.headers, &rules.tokens);
    if let Some(reason) = with_meta(said, &extracted, &rules.tokens).reason(&rules.opt_outs) {
        return Err((reason, String::new()));
    }
    if !rules.languages.is_empty() {
        let language = detect_language(&format!("{} {}", extracted.title, extracted.text));
        let language = language.unwrap_or("unknown");
        if !rules.languages.iter().any(|wanted| wanted == language) {
            return Err((Reason::Language, language.to_owned()));
        }
    }
    Ok(page(&fetched.url, 0, fetched, extracted))
}
