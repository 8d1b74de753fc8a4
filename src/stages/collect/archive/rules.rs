//! What decides over archived answers, by configuration.

use std::sync::Arc;

use url::Url;

use super::super::extract::Limits;
use super::super::visit::limits;
use crate::config::{Config, OptOut};
use crate::http::robots::Tokens;
use crate::record::{Reason, Tombstones};
use crate::stages::blocklist::UrlBlocklist;
use crate::stages::context::{Context, StageError};

/// Hosts, caps, opt-outs and languages.
pub struct Rules {
    /// Hosts that are taken with all below them; all where none is named.
    hosts: Vec<String>,
    blocklist: UrlBlocklist,
    tombstones: Arc<Tombstones>,
    max_url_length: usize,
    /// Cap on a page's body.
    pub max_page_bytes: usize,
    /// Image tags that a page needs to be read.
    pub min_image_tags: usize,
    /// What is read of a page.
    pub limits: Limits,
    /// Whom robots directives are read for.
    pub tokens: Tokens,
    /// The opt-outs that are honoured.
    pub opt_outs: Vec<OptOut>,
    /// Languages of pages that are taken; all where none is named.
    pub languages: Vec<String>,
}

impl Rules {
    /// Reads the lists that the configuration names.
    pub fn load(ctx: &Context) -> Result<Self, StageError> {
        let config: &Config = &ctx.config;
        Ok(Self {
            hosts: config.archive.hosts.iter().map(|host| host.to_ascii_lowercase()).collect(),
            blocklist: UrlBlocklist::load(config)?,
            tombstones: Arc::clone(&ctx.tombstones),
            max_url_length: config.crawl.max_url_length,
            max_page_bytes: config.crawl.max_page_bytes,
            min_image_tags: config.archive.min_image_tags,
            limits: limits(&config.crawl),
            tokens: ctx.client.tokens().clone(),
            opt_outs: config.crawl.opt_outs.clone(),
            languages: config.filter.languages.clone(),
        })
    }

    /// What speaks against a page's URL.
    pub fn objection(&self, url: &Url) -> Option<(Reason, String)> {
        if self.tombstones.covers_url(url.as_str()) {
            return Some((Reason::Forgotten, String::new()));
        }
        let length = url.as_str().len();
        if length > self.max_url_length {
            return Some((Reason::UrlTooLong, format!("{length} bytes")));
        }
        let host = url.host_str().unwrap_or_default();
        if !self.hosts.is_empty() && !self.hosts.iter().any(|wanted| is_below(host, wanted)) {
            return Some((Reason::OutOfScope, host.to_owned()));
        }
        self.blocklist.matches(url).map(|entry| (Reason::Blocklist, entry))
    }
}

fn is_below(host: &str, domain: &str) -> bool {
    let above = host.strip_suffix(domain);
    above.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_below_itself_and_its_domains() {
        for (host, domain, expected) in [
            ("a.example", "a.example", true),
            ("img.a.example", "a.example", true),
            ("ba.example", "a.example", false),
            ("a.example", "img.a.example", false),
        ] {
            assert_eq!(is_below(host, domain), expected, "{host} {domain}");
        }
    }
}
