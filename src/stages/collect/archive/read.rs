//! Through one WARC file: what its records are, and what needs no look at HTML.
//!
//! Runs on a blocking thread and holds one record at a time; who takes the pages sets the pace.

use std::collections::{BTreeMap, HashSet};
use std::io::Read;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::super::visit::Visit;
use super::rules::Rules;
use crate::http::Fetched;
use crate::imaging::Format;
use crate::record::{Reason, Reject};
use crate::table::ArchivedImage;
use crate::warc::payload::{Answer, PayloadError};
use crate::warc::{Head, Reader, RecordType, WarcError};

/// What a record came to.
pub(super) enum Found {
    /// Perhaps a page: its answer, under the key of the record.
    Answer(String, Box<Fetched>),
    /// All there is to say about it.
    Outcome(Box<Visit>),
}

/// One file, read from its beginning.
pub(super) struct FileReader<'a> {
    /// Path or URL.
    pub(super) name: &'a str,
    pub(super) rules: &'a Rules,
    /// Keys of records that an earlier process dealt with.
    pub(super) known: &'a HashSet<String>,
    pub(super) stop: &'a CancellationToken,
    pub(super) out: mpsc::Sender<Found>,
}

/// The key of a record: by URL, and by place among records of one URL.
pub(super) fn key(url: &str, record: u64) -> String {
    format!("{url} {record:010}")
}

/// The URL in a key.
pub(super) fn url_of(key: &str) -> &str {
    key.rsplit_once(' ').map_or(key, |(url, _)| url)
}

impl FileReader<'_> {
    /// Reads to the end, to damage or until nobody takes what is found. Says what was passed over, by
    /// kind.
    pub(super) fn read(self, input: impl Read) -> Result<BTreeMap<String, u64>, WarcError> {
        let mut passed_over = BTreeMap::new();
        let mut record = 0;
        match self.records(input, &mut record, &mut passed_over) {
            Err(error) if error.is_of_file() => {
                let reject = Reject::new(self.name, Reason::InputBroken, error.to_string());
                self.send(Visit { key: key(self.name, record), ..Visit::rejected(0, reject) });
                Ok(passed_over)
            }
            done => done.map(|()| passed_over),
        }
    }

    fn records(
        &self,
        input: impl Read,
        record: &mut u64,
        passed_over: &mut BTreeMap<String, u64>,
    ) -> Result<(), WarcError> {
        let mut reader = Reader::new(input)?;
        while let Some(head) = reader.next_record()? {
            *record += 1;
            match Self::url(&head) {
                Ok(url) => {
                    let key = key(url.as_str(), *record);
                    if !self.known.contains(&key) && !self.one(&mut reader, &head, url, key)? {
                        return Ok(());
                    }
                }
                Err(kind) => *passed_over.entry(kind.to_owned()).or_default() += 1,
            }
        }
        Ok(())
    }

    /// The URL of a record that may hold a page or an image, or what else it is.
    fn url(head: &Head) -> Result<Url, &'static str> {
        if !matches!(head.record_type, RecordType::Response | RecordType::Resource) {
            return Err(head.record_type.as_str());
        }
        let uri = head.target_uri.as_deref().ok_or("without target URI")?;
        let mut url = Url::parse(uri).map_err(|_| "bad target URI")?;
        url.set_fragment(None);
        let is_web = matches!(url.scheme(), "http" | "https");
        is_web.then_some(url).ok_or("other scheme")
    }

    /// Deals with one record; false when nobody takes what is found.
    fn one<R: Read>(
        &self,
        reader: &mut Reader<R>,
        head: &Head,
        url: Url,
        key: String,
    ) -> Result<bool, WarcError> {
        if self.stop.is_cancelled() {
            return Ok(false);
        }
        let text = url.to_string();
        let found = match self.answer(reader, head, url)? {
            Kind::Page(fetched) => Found::Answer(key, fetched),
            Kind::Image(status, media_type) => {
                let Some(extent) = reader.extent()? else {
                    let reject = Reject::new(text, Reason::NotSeekable, media_type);
                    return Ok(self.send(Visit { key, ..Visit::rejected(0, reject) }));
                };
                let archive = self.name.to_owned();
                let image = ArchivedImage {
                    url: text,
                    status,
                    media_type,
                    archive,
                    record_offset: extent.offset,
                    record_length: extent.length,
                };
                return Ok(self.send(Visit::of_image(key, image)));
            }
            Kind::Neither(reason, detail) => {
                let reject = Reject::new(text, reason, detail);
                return Ok(self.send(Visit { key, ..Visit::rejected(0, reject) }));
            }
        };
        Ok(self.out.blocking_send(found).is_ok())
    }

    fn answer<R: Read>(
        &self,
        reader: &mut Reader<R>,
        head: &Head,
        url: Url,
    ) -> Result<Kind, WarcError> {
        let neither = |reason, detail: &str| Ok(Kind::Neither(reason, detail.to_owned()));
        let Some(answer) = Answer::read(reader, head)? else {
            return neither(Reason::NotHtml, "no HTTP answer");
        };
        let media_type = answer.media_type();
        if answer.status != 200 {
            return neither(Reason::NotOk, &format!("status {}", answer.status));
        }
        if is_image(&media_type) {
            return Ok(Kind::Image(answer.status, media_type));
        }
        let may_be_html = matches!(media_type.as_str(), "text/html" | "application/xhtml+xml" | "");
        if !may_be_html {
            return neither(Reason::NotHtml, &media_type);
        }
        if let Some((reason, detail)) = self.rules.objection(&url) {
            return neither(reason, &detail);
        }
        let body = match answer.body(reader, self.rules.max_page_bytes) {
            Ok(body) => body,
            Err(PayloadError::Warc(error)) => return Err(error),
            Err(error @ PayloadError::TooLarge(_)) => {
                return neither(Reason::BodyTooLarge, &error.to_string());
            }
            Err(error) => return neither(Reason::BodyBroken, &error.to_string()),
        };
        // Some servers send images as pages, and some say nothing.
        if Format::sniff(&body).is_ok() {
            return Ok(Kind::Image(answer.status, media_type));
        }
        let Answer { status, headers } = answer;
        let fetched_at = head.date.unwrap_or_default();
        Ok(Kind::Page(Box::new(Fetched { url, status, headers, body, fetched_at })))
    }

    fn send(&self, visit: Visit) -> bool {
        self.out.blocking_send(Found::Outcome(Box::new(visit))).is_ok()
    }
}

enum Kind {
    Page(Box<Fetched>),
    Image(u16, String),
    Neither(Reason, String),
}

/// What servers send images as; what is in it is seen when it is decoded.
fn is_image(media_type: &str) -> bool {
    let unnamed = ["application/octet-stream", "binary/octet-stream"];
    media_type.starts_with("image/") || unnamed.contains(&media_type)
}
