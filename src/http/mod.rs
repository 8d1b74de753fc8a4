//! Everything between a URL and decoded bytes: who may be asked, how often, and what came back.
//!
//! No HTML and no images here, and nothing about stages. In reading order: [`guard`] (which
//! addresses and URLs are ever asked), [`resolver`] (the same after DNS), [`robots`] and [`optout`]
//! (what publishers said), [`host`] (politeness towards one host), [`retry`] (what is tried again),
//! [`connecting`] (a connection for a request), [`exchange`] (one request and its answer),
//! [`backlog`] (answers that nobody had time for yet), [`client`] (redirects and all of it
//! together), [`download`] (one large file as a stream), and [`encoding`] (content codings, also
//! for WARC bodies).

mod addresses;
mod backlog;
pub mod client;
mod connecting;
pub mod download;
pub mod encoding;
mod error;
mod exchange;
mod fresh;
pub mod guard;
pub mod host;
pub mod optout;
pub mod resolver;
pub mod retry;
pub mod robots;
mod tdmrep;
#[cfg(test)]
mod tests;
mod traffic;

pub use backlog::Backlog;
pub use client::{Answer, Client, install_tls};
pub(crate) use connecting::send;
pub use download::Download;
pub use error::FetchError;
pub use exchange::{Fetched, Kind};
pub use traffic::Traffic;

/// The product token of our User-Agent and in robots.txt.
pub const TOKEN: &str = "magiclens";
