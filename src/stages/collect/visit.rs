//! One visit: from a URL to a page or a reason, and the links to go on with.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use serde::{Deserialize, Serialize};
use url::Url;

use super::extract::{self, Extracted, Limits};
use super::resolve::Brief;
use super::scope::CrawlScope;
use crate::config::Crawl;
use crate::http::optout::Directives;
use crate::http::robots::Tokens;
use crate::http::{Answer, FetchError, Fetched, Kind};
use crate::record::{ImageId, Page, Reason, Reject, host_key, registrable_domain};
use crate::stages::context::Context;
use crate::store::{Row, SegmentEntry};
use crate::table::ArchivedImage;
use crate::table::columns::{list, optional, required, text};

/// URLs up to this length are read off a page, so that those over `crawl.max_url_length` are counted;
/// beyond it a page could fill memory by a long base URL.
const READ_URL_LENGTH: usize = 8192;

/// The outcome of one URL, as kept in segments: a page or a reject.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Visit {
    /// The URL that was asked for.
    pub key: String,
    /// Links from a seed to here.
    pub depth: u32,
    /// The page, if there is one.
    pub page: Option<Page>,
    /// Why there is none.
    pub reject: Option<Reject>,
    /// In-scope links to follow, this host's and others'.
    pub links: Vec<String>,
    /// An image instead of a page, in an archive.
    pub image: Option<ArchivedImage>,
}

impl Visit {
    /// A URL that gave no page.
    pub fn rejected(depth: u32, reject: Reject) -> Self {
        let (key, links) = (reject.url.clone(), Vec::new());
        Self { key, depth, page: None, reject: Some(reject), links, image: None }
    }

    /// A record of an archive that is an image.
    pub fn of_image(key: String, image: ArchivedImage) -> Self {
        Self { key, depth: 0, page: None, reject: None, links: Vec::new(), image: Some(image) }
    }

    /// A page that was not asked for, and so leads nowhere.
    pub fn of_page(key: String, page: Page) -> Self {
        Self { key, depth: 0, page: Some(page), reject: None, links: Vec::new(), image: None }
    }
}

impl SegmentEntry for Visit {
    fn key(&self) -> &str {
        &self.key
    }
}

impl Row for Visit {
    fn fields() -> Vec<FieldRef> {
        vec![
            text("key"),
            required("depth", DataType::UInt32),
            optional("page", DataType::Struct(Page::fields().into())),
            optional("reject", DataType::Struct(Reject::fields().into())),
            list("links", DataType::Utf8),
            optional("image", DataType::Struct(ArchivedImage::fields().into())),
        ]
    }

    fn weight(&self) -> usize {
        let links: usize = self.links.iter().map(|link| link.len() + 24).sum();
        let page = self.page.as_ref().map_or(0, Row::weight);
        let image = self.image.as_ref().map_or(0, Row::weight);
        links + page + image + self.reject.as_ref().map_or(0, Row::weight) + 128
    }
}

/// Visits one URL. Never fails: what goes wrong is the outcome.
pub async fn visit(ctx: &Context, scope: &CrawlScope, url: &Url, depth: u32) -> Visit {
    let rejected = |reason, detail: String| Reject::new(url.as_str(), reason, detail);
    if ctx.tombstones.covers_url(url.as_str()) {
        return Visit::rejected(depth, rejected(Reason::Forgotten, String::new()));
    }
    match ctx.client.get(url, Kind::Page).await {
        Ok(Answer::Fetched(fetched)) => read(ctx, scope, url, depth, *fetched).await,
        Ok(Answer::Elsewhere(to, _)) if scope.contains(&to) => {
            let reject = rejected(Reason::OtherHost, to.to_string());
            Visit { links: vec![to.into()], ..Visit::rejected(depth, reject) }
        }
        Ok(Answer::Elsewhere(to, _)) => {
            Visit::rejected(depth, rejected(Reason::OutOfScope, to.to_string()))
        }
        Err(FetchError { reason, detail, .. }) => Visit::rejected(depth, rejected(reason, detail)),
    }
}

async fn read(ctx: &Context, scope: &CrawlScope, url: &Url, depth: u32, fetched: Fetched) -> Visit {
    let reject =
        |reason, detail: &str| Visit::rejected(depth, Reject::new(url.as_str(), reason, detail));
    if !scope.contains(&fetched.url) {
        return reject(Reason::OutOfScope, fetched.url.as_str());
    }
    let content_type = ContentType::of(&fetched);
    if !content_type.is_html {
        return reject(Reason::NotHtml, &content_type.essence);
    }
    let said = ctx.client.directives(&fetched.url, &fetched.headers).await;
    let limits = limits(&ctx.config.crawl);
    let fetched = Arc::new(fetched);
    let charset = content_type.charset;
    let extracted = {
        let fetched = Arc::clone(&fetched);
        ctx.on_cpu(move || {
            extract::extract(&fetched.body, charset.as_deref(), &fetched.url, &limits)
        })
        .await
    };
    let said = with_meta(said, &extracted, ctx.client.tokens());
    let links = if said.nofollow { Vec::new() } else { followed(scope, &extracted) };
    match said.reason(&ctx.config.crawl.opt_outs) {
        Some(reason) => Visit { links, ..reject(reason, "") },
        None => {
            let page = page(url, depth, &fetched, extracted);
            let key = url.to_string();
            Visit { key, depth, page: Some(page), reject: None, links, image: None }
        }
    }
}

/// What is read of one page.
pub(super) fn limits(crawl: &Crawl) -> Limits {
    Limits {
        max_images: crawl.max_images_per_page,
        max_url_length: crawl.max_url_length.max(READ_URL_LENGTH),
        ..Limits::default()
    }
}

/// What was said about a page outside of it, and in its `<meta>`.
pub(super) fn with_meta(said: Directives, page: &Extracted, tokens: &Tokens) -> Directives {
    page.robots_meta.iter().fold(said, |said, (name, content)| {
        said.union(Directives::from_meta(name, content, tokens))
    })
}

/// In-scope links; the canonical URL is one of them. A link around a thumbnail leads to an image
/// that is a candidate, not to a page.
fn followed(scope: &CrawlScope, extracted: &Extracted) -> Vec<String> {
    let images: HashSet<&str> = extracted.images.iter().map(|image| image.url.as_str()).collect();
    let links = extracted.links.iter().chain(&extracted.canonical);
    let pages = links.filter(|url| scope.contains(url) && !images.contains(url.as_str()));
    pages.map(Url::to_string).collect()
}

/// The row of a page.
pub(super) fn page(url: &Url, depth: u32, fetched: &Fetched, extracted: Extracted) -> Page {
    let content_language = header(fetched, "content-language");
    Page {
        url: fetched.url.to_string(),
        requested_url: url.to_string(),
        canonical_url: extracted.canonical.map(String::from),
        host: host_key(&fetched.url),
        domain: registrable_domain(&fetched.url),
        depth,
        status: fetched.status,
        title: extracted.title,
        language_hint: extracted.language_hint.or(content_language),
        charset: extracted.charset.to_owned(),
        text: extracted.text,
        og_images: extracted.og_images,
        license: extracted.license,
        images: extracted.images,
        html_sha256: ImageId::of(&fetched.body).to_string(),
        html_bytes: fetched.body.len() as u64,
        fetched_at: fetched.fetched_at,
    }
}

fn header(fetched: &Fetched, name: &str) -> Option<String> {
    let value = fetched.headers.get(name)?.to_str().ok()?.trim();
    (!value.is_empty()).then(|| value.to_owned())
}

/// What an answer says that it is.
pub(super) struct ContentType {
    pub(super) is_html: bool,
    pub(super) essence: String,
    pub(super) charset: Option<String>,
}

impl ContentType {
    /// By header; where there is none, by what the body begins with.
    pub(super) fn of(fetched: &Fetched) -> Self {
        let Some(value) = header(fetched, "content-type") else {
            let start = fetched.body.trim_ascii_start();
            let is_html = ["<!doctype html", "<html", "<head", "<body"].iter().any(|tag| {
                start.get(..tag.len()).is_some_and(|s| s.eq_ignore_ascii_case(tag.as_bytes()))
            });
            return Self { is_html, essence: "no content type".into(), charset: None };
        };
        let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let is_html = matches!(essence.as_str(), "text/html" | "application/xhtml+xml");
        let charset = extract::label_in(&value).map(str::to_owned);
        Self { is_html, essence, charset }
    }
}

/// The columns of [`Visit`] that a resumed crawl needs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Memo {
    /// As in [`Visit`].
    pub key: String,
    /// As in [`Visit`].
    pub page: Option<MemoPage>,
    /// As in [`Visit`].
    pub links: Vec<String>,
}

/// The columns of the page in a [`Memo`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MemoPage {
    /// As in [`Page`].
    pub url: String,
    /// As in [`Page`].
    pub requested_url: String,
    /// As in [`Page`].
    pub canonical_url: Option<String>,
}

impl Row for Memo {
    fn fields() -> Vec<FieldRef> {
        Visit::fields()
            .into_iter()
            .filter(|f| !matches!(f.name().as_str(), "depth" | "reject" | "image"))
            .collect()
    }

    fn weight(&self) -> usize {
        self.key.len()
    }
}

impl Memo {
    /// What is remembered of a visit.
    pub fn of(visit: &Visit) -> Self {
        let page = visit.page.as_ref().map(|page| MemoPage {
            url: page.url.clone(),
            requested_url: page.requested_url.clone(),
            canonical_url: page.canonical_url.clone(),
        });
        Self { key: visit.key.clone(), page, links: visit.links.clone() }
    }

    /// What finding duplicates needs of it.
    pub fn brief(&self) -> Option<Brief> {
        let MemoPage { url, requested_url, canonical_url } = self.page.clone()?;
        Some(Brief { requested_url, url, canonical_url })
    }
}
