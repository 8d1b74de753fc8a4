//! One large file as a stream: a broken transfer is continued by a range request (RFC 9110, 14).
//!
//! For files that the user names, such as archives: no robots.txt is requested, no content coding
//! is undone, and there is no cap but the caller's. Addresses, redirects, rates and retries are as
//! for everything else.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use magiclens_common::telemetry::within;
use magiclens_core::Reason;
use reqwest::header::{ETAG, HeaderMap, HeaderValue, IF_RANGE};
use reqwest::{Response, StatusCode};
use url::Url;

use super::client::{Client, seconds};
use super::error::FetchError;
use super::exchange::{Opened, of_body};
use super::retry::Pauses;

/// A file that is being read.
pub struct Download<'a> {
    client: &'a Client,
    url: Url,
    opened: Option<Opened>,
    /// The next byte of the file.
    at: u64,
    /// The byte behind the last wanted one.
    end: Option<u64>,
    etag: Option<HeaderValue>,
    idle: Duration,
    pauses: Pauses,
}

impl<'a> Download<'a> {
    /// Reads `range` of the file at `url`; all of it without a range.
    pub(super) fn new(client: &'a Client, url: &Url, range: Option<Range<u64>>) -> Self {
        let http = client.settings();
        Self {
            client,
            url: url.clone(),
            opened: None,
            at: range.as_ref().map_or(0, |range| range.start),
            end: range.map(|range| range.end),
            etag: None,
            idle: seconds(http.read_timeout_s),
            pauses: Pauses::new(http.retries, seconds(http.max_backoff_s)),
        }
    }

    /// The next bytes; none at the end. After an error there is nothing more.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, FetchError> {
        loop {
            let error = match self.try_chunk().await {
                Ok(Some(chunk)) => {
                    let http = self.client.settings();
                    self.at += chunk.len() as u64;
                    self.pauses = Pauses::new(http.retries, seconds(http.max_backoff_s));
                    return Ok(Some(chunk));
                }
                Ok(None) => return Ok(None),
                Err(error) => error,
            };
            self.opened = None;
            let Some(pause) = self.pauses.after(&error) else {
                return Err(error.within(self.url.as_str()));
            };
            tracing::debug!(url = %self.url, at = self.at, %error, ?pause, "resuming the download");
            tokio::time::sleep(pause).await;
        }
    }

    async fn try_chunk(&mut self) -> Result<Option<Bytes>, FetchError> {
        if self.end.is_some_and(|end| self.at >= end) {
            return Ok(None);
        }
        if self.opened.is_none() {
            let opened = self.client.open(&self.url, &self.range()).await?;
            self.check(&opened.response)?;
            self.opened = Some(opened);
        }
        let Some(Opened { response, .. }) = &mut self.opened else { return Ok(None) };
        match within(self.idle, response.chunk()).await {
            Ok(Ok(chunk)) => Ok(chunk
                .inspect(|chunk| self.client.traffic().received(chunk.len()))
                .map(|chunk| match self.end {
                    Some(end) => chunk.slice(..chunk.len().min((end - self.at) as usize)),
                    None => chunk,
                })),
            Ok(Err(error)) => Err(of_body(&error, self.at)),
            Err(_) => {
                let detail = format!("no byte for {:?} after {}", self.idle, self.at);
                Err(FetchError::passing(Reason::Timeout, detail))
            }
        }
    }

    fn range(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let range = match (self.at, self.end) {
            (0, None) => return headers,
            (at, None) => format!("bytes={at}-"),
            (at, Some(end)) => format!("bytes={at}-{}", end.saturating_sub(1)),
        };
        let range = HeaderValue::from_str(&range).expect("digits are a header value");
        headers.insert(reqwest::header::RANGE, range);
        headers.extend(self.etag.clone().map(|etag| (IF_RANGE, etag)));
        headers
    }

    /// Refuses a response that does not continue where the file was left.
    fn check(&mut self, response: &Response) -> Result<(), FetchError> {
        let is_part = response.status() == StatusCode::PARTIAL_CONTENT;
        if is_part == (self.at > 0 || self.end.is_some()) {
            let strong = |etag: &&HeaderValue| !etag.as_bytes().starts_with(b"W/");
            let etag = response.headers().get(ETAG).filter(strong);
            self.etag = self.etag.take().or_else(|| etag.cloned());
            return Ok(());
        }
        let detail = match self.etag {
            Some(_) => "the file changed while it was read, or the server does not support ranges",
            None => "the server does not support ranges of the file",
        };
        Err(FetchError::new(Reason::BodyBroken, detail))
    }
}
