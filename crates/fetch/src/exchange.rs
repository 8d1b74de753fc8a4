//! One request and its answer: timeouts, caps, content codings, and every failure with its reason.
//!
//! No redirects, no retries and no robots.txt here: that is [`super::client`].

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use magiclens_codings::{self as codings, DecodeError};
use magiclens_common::config::{Config, Http};
use magiclens_common::telemetry::within;
use magiclens_core::Reason;
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, HeaderMap, LOCATION};
use reqwest::{RequestBuilder, Response, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Url;

use super::backlog::Backlog;
use super::client::seconds;
use super::connecting::send;
use super::error::FetchError;
use super::guard::ForbiddenAddress;
use super::resolver::NoAddress;
use super::traffic::{Counted, Traffic};
use super::{retry, robots, tdmrep};

/// Sitemaps may be larger than pages, by this factor.
const SITEMAP_FACTOR: usize = 4;

/// Bodies that may wait for a core before requests wait for them: enough to keep the core busy.
const BACKLOG_A_CORE: usize = 4;

/// Kind of the requested content: decides the headers and the cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A web page, up to `crawl.max_page_bytes`. Not followed to another host.
    Page,
    /// An image, up to `fetch.max_image_bytes`.
    Image,
    /// A sitemap, up to four times `crawl.max_page_bytes`. A `.gz` file is still compressed.
    Sitemap,
}

/// An answer with status 2xx.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The URL that answered, after redirects, without a fragment.
    pub url: Url,
    /// 200 to 299.
    pub status: u16,
    /// Headers of the response, unchanged.
    pub headers: HeaderMap,
    /// Decoded, and never longer than the cap.
    pub body: Vec<u8>,
    /// Microseconds since the epoch, UTC, when the body was complete.
    pub fetched_at: i64,
}

/// A [`Kind`], or one of the files about a host, as headers and limits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask {
    accept: &'static str,
    codings: &'static str,
    cap: usize,
    /// A longer body is cut at the cap and not refused.
    cut: bool,
}

const ALL_CODINGS: &str = "gzip, deflate, br, zstd";

impl Ask {
    pub(super) fn of(kind: Kind, config: &Config) -> Self {
        let page_cap = config.crawl.max_page_bytes;
        let (accept, codings, cap) = match kind {
            Kind::Page => {
                ("text/html,application/xhtml+xml;q=0.9,*/*;q=0.5", ALL_CODINGS, page_cap)
            }
            Kind::Image => (
                "image/jpeg,image/png,image/webp,image/gif,*/*;q=0.5",
                "identity",
                config.fetch.max_image_bytes,
            ),
            Kind::Sitemap => (
                "application/xml,text/xml,text/plain;q=0.9,*/*;q=0.5",
                ALL_CODINGS,
                page_cap.saturating_mul(SITEMAP_FACTOR),
            ),
        };
        Self { accept, codings, cap, cut: false }
    }

    pub(super) fn robots() -> Self {
        // One byte more shows the parser that the last line may be cut.
        let cap = robots::BYTE_LIMIT + 4;
        Self { accept: "text/plain,*/*;q=0.5", codings: "identity", cap, cut: true }
    }

    pub(super) fn tdmrep() -> Self {
        let accept = "application/json,*/*;q=0.5";
        Self { accept, codings: ALL_CODINGS, cap: tdmrep::BYTE_LIMIT, cut: false }
    }
}

/// Outcome of one request that did not fail.
pub(super) enum Reply {
    Body(Fetched),
    Redirect(Url),
}

/// Response of one exchange, its body still under its content codings.
pub(super) enum Received {
    Body(Fetched),
    Redirect(Url),
}

/// An answer whose body is to be streamed; counts as in flight for as long as it is held.
pub(super) struct Opened {
    pub(super) response: Response,
    _slot: OwnedSemaphorePermit,
    _turn: OwnedSemaphorePermit,
}

/// Outcome of opening a file that did not fail.
pub(super) enum Opening {
    Opened(Opened),
    Redirect(Url),
}

/// Sends single requests, so many at a time.
pub(super) struct Exchange {
    http: reqwest::Client,
    slots: Arc<Semaphore>,
    pub(super) backlog: Backlog,
    sent: AtomicU64,
    pub(super) traffic: Traffic,
    connect: Duration,
    idle: Duration,
    total: Duration,
}

impl Exchange {
    pub(super) fn new(http: reqwest::Client, config: &Http) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            http,
            backlog: Backlog::new(cores * BACKLOG_A_CORE),
            slots: Arc::new(Semaphore::new(config.concurrency.min(Semaphore::MAX_PERMITS))),
            sent: AtomicU64::new(0),
            traffic: Traffic::default(),
            connect: seconds(config.connect_timeout_s),
            idle: seconds(config.read_timeout_s),
            total: seconds(config.total_timeout_s),
        }
    }

    /// Requests sent so far, to whatever host.
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Waits until this process has room for one more request; hold it until the body is decoded.
    pub(super) async fn room(&self) -> OwnedSemaphorePermit {
        let slot = Arc::clone(&self.slots).acquire_owned().await;
        self.backlog.room().await;
        slot.expect("the semaphore is never closed")
    }

    /// One request, for which there is room. The URL was checked and the host was asked before.
    pub(super) async fn send(&self, url: &Url, ask: Ask) -> Result<Received, FetchError> {
        self.sent.fetch_add(1, Ordering::Relaxed);
        let received = within(self.total, self.receive(url, ask)).await;
        received.unwrap_or_else(|_| {
            // A body that takes this long once takes as long again: no retry.
            Err(FetchError::new(Reason::Timeout, format!("not complete after {:?}", self.total)))
        })
    }

    /// One request whose body the caller reads. The URL was checked, and its host gave this `turn`.
    pub(super) async fn open(
        &self,
        url: &Url,
        headers: HeaderMap,
        turn: OwnedSemaphorePermit,
    ) -> Result<Opening, FetchError> {
        let slot = Arc::clone(&self.slots).acquire_owned().await;
        let slot = slot.expect("the semaphore is never closed");
        self.sent.fetch_add(1, Ordering::Relaxed);
        let request = self.http.get(url.clone()).header(ACCEPT_ENCODING, "identity");
        let mut counted = self.traffic.begin();
        let response = self.answer(request.headers(headers), &mut counted).await?;
        match response.status().as_u16() {
            301 | 302 | 303 | 307 | 308 => redirect(url, &response).map(Opening::Redirect),
            200 | 206 => Ok(Opening::Opened(Opened { response, _slot: slot, _turn: turn })),
            _ => Err(of_status(response.status(), response.headers())),
        }
    }

    async fn answer(
        &self,
        request: RequestBuilder,
        counted: &mut Counted<'_>,
    ) -> Result<Response, FetchError> {
        let answer = within(self.connect + self.idle, send(request)).await;
        match answer {
            Ok(Ok(response)) => {
                counted.answered(response.status().as_u16());
                Ok(response)
            }
            Ok(Err(error)) => Err(of_request(&error)),
            Err(_) => {
                let detail = format!("no answer within {:?}", self.connect + self.idle);
                Err(FetchError::passing(Reason::Timeout, detail))
            }
        }
    }

    /// All that takes the host's time.
    async fn receive(&self, url: &Url, ask: Ask) -> Result<Received, FetchError> {
        let request = self.http.get(url.clone());
        let request = request.header(ACCEPT, ask.accept).header(ACCEPT_ENCODING, ask.codings);
        let mut counted = self.traffic.begin();
        let response = self.answer(request, &mut counted).await?;
        let status = response.status();
        match status.as_u16() {
            301 | 302 | 303 | 307 | 308 => redirect(url, &response).map(Received::Redirect),
            200..=299 => self.read(url, response, ask).await.map(Received::Body),
            _ => Err(of_status(status, response.headers())),
        }
    }

    async fn read(&self, url: &Url, response: Response, ask: Ask) -> Result<Fetched, FetchError> {
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let body = self.read_raw(response, ask).await?;
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let fetched_at = i64::try_from(since.as_micros()).unwrap_or(i64::MAX);
        Ok(Fetched { url: url.clone(), status, headers, body, fetched_at })
    }

    async fn read_raw(&self, mut response: Response, ask: Ask) -> Result<Vec<u8>, FetchError> {
        let declared = response.content_length().unwrap_or(0);
        if declared > ask.cap as u64 && !ask.cut {
            return Err(too_large(format!("Content-Length {declared} is over {} bytes", ask.cap)));
        }
        let mut body = Vec::new();
        loop {
            let chunk = match within(self.idle, response.chunk()).await {
                Ok(Ok(Some(chunk))) => chunk,
                Ok(Ok(None)) => return Ok(body),
                Ok(Err(error)) => return Err(of_body(&error, body.len() as u64)),
                Err(_) => {
                    let detail = format!("no byte for {:?} after {}", self.idle, body.len());
                    return Err(FetchError::passing(Reason::Timeout, detail));
                }
            };
            self.traffic.received(chunk.len());
            let room = ask.cap - body.len();
            if chunk.len() > room && !ask.cut {
                return Err(too_large(format!("the body is over {} bytes", ask.cap)));
            }
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if ask.cut && body.len() == ask.cap {
                return Ok(body);
            }
        }
    }
}

impl Received {
    /// The same with the body decoded. That waits for our own cores, so it is no time of the host's.
    pub(super) async fn decoded(self, ask: Ask) -> Result<Reply, FetchError> {
        match self {
            Self::Redirect(to) => Ok(Reply::Redirect(to)),
            Self::Body(mut raw) => {
                raw.body = decode(raw.body, content_encoding(&raw.headers), ask.cap).await?;
                Ok(Reply::Body(raw))
            }
        }
    }
}

fn redirect(from: &Url, response: &Response) -> Result<Url, FetchError> {
    let status = response.status().as_u16();
    let bad = |detail| FetchError {
        status: Some(status),
        ..FetchError::new(Reason::BadRedirect, detail)
    };
    let Some(value) = response.headers().get(LOCATION) else {
        return Err(bad(format!("status {status} without a Location")));
    };
    let location = String::from_utf8_lossy(value.as_bytes());
    let mut to = from.join(&location).map_err(|error| bad(format!("Location: {error}")))?;
    to.set_fragment(None);
    Ok(to)
}

fn content_encoding(headers: &HeaderMap) -> String {
    let values = headers.get_all(CONTENT_ENCODING).iter();
    values.map(|value| String::from_utf8_lossy(value.as_bytes())).collect::<Vec<_>>().join(",")
}

async fn decode(raw: Vec<u8>, coding: String, cap: usize) -> Result<Vec<u8>, FetchError> {
    if codings::is_identity(&coding) {
        return Ok(raw);
    }
    let decoded = tokio::task::spawn_blocking(move || codings::decode(raw, &coding, cap)).await;
    match decoded {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(error @ DecodeError::TooLarge(_))) => Err(too_large(error.to_string())),
        Ok(Err(error)) => Err(FetchError::new(Reason::BodyBroken, error.to_string())),
        Err(_) => Err(FetchError::new(Reason::BodyBroken, "the decoder panicked")),
    }
}

fn too_large(detail: String) -> FetchError {
    FetchError::new(Reason::BodyTooLarge, detail)
}

fn of_status(status: StatusCode, headers: &HeaderMap) -> FetchError {
    let retryable = retry::is_retryable_status(status);
    let reason = if retryable || status.is_server_error() {
        Reason::HttpServerError
    } else {
        Reason::HttpClientError
    };
    FetchError {
        status: Some(status.as_u16()),
        retryable,
        retry_after: retry::retry_after(headers, SystemTime::now()).filter(|_| retryable),
        ..FetchError::new(reason, format!("status {}", status.as_u16()))
    }
}

/// A request that got no answer.
fn of_request(error: &reqwest::Error) -> FetchError {
    let detail = innermost(error);
    if let Some(forbidden) = find::<ForbiddenAddress>(error) {
        return FetchError::new(Reason::ForbiddenAddress, forbidden.to_string());
    }
    if error.is_dns() || find::<NoAddress>(error).is_some() {
        return FetchError::passing(Reason::DnsError, detail);
    }
    if error.is_timeout() {
        return FetchError::passing(Reason::Timeout, format!("no connection: {detail}"));
    }
    if error.is_builder() {
        return FetchError::new(Reason::BadUrl, detail);
    }
    if find::<rustls::Error>(error).is_some() {
        return FetchError::new(Reason::ConnectError, format!("TLS: {detail}"));
    }
    FetchError::passing(Reason::ConnectError, detail)
}

/// An answer whose body ended early.
pub(super) fn of_body(error: &reqwest::Error, read: u64) -> FetchError {
    let reason = if error.is_timeout() { Reason::Timeout } else { Reason::BodyBroken };
    FetchError::passing(reason, format!("{} after {read} bytes", innermost(error)))
}

/// The first error of type `T` among the causes, also inside of I/O errors.
fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(found) = inner.and_then(|inner| find::<T>(inner)) {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// Returns the message of the innermost cause: the outer ones only repeat the URL.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
