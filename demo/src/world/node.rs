//! What a URL answers, and what should become of it.

use super::doc::Doc;
use crate::picture::Picture;

/// One response.
#[derive(Clone, Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// Content-Type, where one is sent.
    pub mime: Option<String>,
    /// What comes then.
    pub body: Body,
}

/// The body of a response.
#[derive(Clone, Debug)]
pub enum Body {
    /// These bytes, with ports filled in when they are text.
    Text(String),
    /// These bytes.
    Bytes(Vec<u8>),
    /// A page.
    Page(Box<Doc>),
    /// A picture.
    Picture(Picture),
    /// The beginning of a picture's file.
    Cut(Picture, usize),
    /// A gzip file of this text, its ports filled in before.
    GzipText(String),
    /// These bytes, said to be gzip by Content-Encoding.
    Encoded(Vec<u8>),
    /// Gzip of a prefix and this many zeros, sent with Content-Encoding.
    Bomb(Vec<u8>, usize),
    /// A prefix, with a Content-Length that is larger by this much; then the connection ends.
    Short(Vec<u8>, usize),
    /// A prefix, then a byte now and then for ever.
    Drip(Vec<u8>),
    /// A prefix, then nothing for ever.
    Stall(Vec<u8>),
    /// A prefix, then noise as fast as it is taken, for ever.
    Endless(Vec<u8>),
}

impl Reply {
    /// 200 with a body of a type.
    pub fn ok(mime: impl Into<String>, body: Body) -> Self {
        Self { status: 200, headers: Vec::new(), mime: Some(mime.into()), body }
    }

    /// A status with a short text.
    pub fn status(status: u16) -> Self {
        let body = Body::Text(format!("<!DOCTYPE html><title>{status}</title><p>status {status}"));
        Self { status, ..Self::ok("text/html; charset=utf-8", body) }
    }

    /// With one more header.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// What a URL answers, and what should become of it.
#[derive(Clone, Debug)]
pub struct Node {
    /// The answer to the first requests, as often as said.
    pub first: Option<(u32, Reply)>,
    /// The answer.
    pub reply: Reply,
    /// Why the miner turns it down, if it does.
    pub reason: Option<&'static str>,
    /// Where it redirects.
    pub redirect: Option<String>,
    /// Whether its links may be followed.
    pub follow: bool,
}

impl Node {
    /// An answer that is taken.
    pub fn new(reply: Reply) -> Self {
        Self { first: None, reply, reason: None, redirect: None, follow: true }
    }

    /// An answer that is turned down.
    pub fn bad(reply: Reply, reason: &'static str) -> Self {
        Self { reason: Some(reason), ..Self::new(reply) }
    }

    /// A page.
    pub fn page(doc: Doc) -> Self {
        let mime = doc.charset.content_type();
        Self::new(Reply::ok(mime, Body::Page(Box::new(doc))))
    }

    /// A picture.
    pub fn picture(picture: Picture) -> Self {
        Self::new(Reply::ok(picture.format.mime(), Body::Picture(picture)))
    }

    /// A redirect; with a reason when it leads nowhere.
    pub fn redirect(status: u16, to: &str, reason: Option<&'static str>) -> Self {
        let reply = Reply::status(status).with("location", to);
        Self { reason, redirect: Some(to.to_string()), ..Self::new(reply) }
    }

    /// With another answer to the first requests.
    pub fn after(self, times: u32, reply: Reply) -> Self {
        Self { first: Some((times, reply)), ..self }
    }

    /// The page, if it is one.
    pub fn doc(&self) -> Option<&Doc> {
        match &self.reply.body {
            Body::Page(doc) => Some(doc),
            _ => None,
        }
    }

    /// The picture, if it is one.
    pub fn shows(&self) -> Option<&Picture> {
        match &self.reply.body {
            Body::Picture(picture) => Some(picture),
            _ => None,
        }
    }
}
