//! Everything between a URL and decoded bytes: who may be asked, how often, and what came back.
//!
//! HTML, images and stages have no place here. The modules in reading order:
//!
//! - [`guard`]: the addresses and URLs that may be requested
//! - [`resolver`]: the same rules after DNS
//! - [`robots`], [`optout`]: robots.txt and opt-outs
//! - [`host`]: rate limit, concurrency and backoff of one host
//! - [`retry`]: the errors that are retried
//! - [`connecting`]: a connection for a request
//! - [`exchange`]: one request and its response
//! - [`backlog`]: responses that wait for decoding
//! - [`client`]: redirects, and all of the above together
//! - [`download`]: one large file as a stream
#![forbid(unsafe_code)]

mod addresses;
mod backlog;
pub mod client;
mod connecting;
pub mod download;
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
pub use connecting::send;
pub use download::Download;
pub use error::FetchError;
pub use exchange::{Fetched, Kind};
pub use traffic::Traffic;

/// The product token of our User-Agent and in robots.txt.
pub const TOKEN: &str = "magiclens";
