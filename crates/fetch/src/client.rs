//! The client: from a URL to a body or a reason, polite, guarded and bounded on every hop.
//!
//! It keeps no cookies, uses no proxy and runs no second request that was not asked for, except for
//! robots.txt and, where TDM reservations are honoured, the well-known file, once a day for each
//! host.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use magiclens_common::config::{Config, Http, OptOut};
use magiclens_core::{Reason, host_key};
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use url::Url;

use super::backlog::Backlog;
use super::download::Download;
use super::error::FetchError;
use super::exchange::{Ask, Exchange, Fetched, Kind, Opened, Opening, Reply};
use super::guard::AddressPolicy;
use super::host::{Host, HostPool};
use super::optout::Directives;
use super::resolver::{GuardedResolver, Lookup, system_lookup};
use super::retry::Pauses;
use super::robots::{self, Rules, Tokens};
use super::tdmrep::{self, Reservations};
use super::traffic::Traffic;

const POOL_IDLE: Duration = Duration::from_secs(30);

/// Error of creating a client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// `crawl.contact` cannot go into a header.
    #[error("crawl.contact {0:?} has characters that a User-Agent cannot carry")]
    Contact(String),
    /// TLS could not be set up.
    #[error("setting up the HTTP client: {0}")]
    Setup(#[from] reqwest::Error),
}

/// Outcome of a request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// A body.
    Fetched(Box<Fetched>),
    /// A redirect to another host, which was not asked: its owner takes it up. With the URLs that led
    /// there.
    Elsewhere(Url, Vec<Url>),
}

/// One client for a whole process.
pub struct Client {
    exchange: Exchange,
    hosts: HostPool,
    policy: Arc<AddressPolicy>,
    tokens: Tokens,
    config: Config,
}

impl Client {
    /// Creates a client with the limits of `config`. Installs rustls' ring provider if no other is installed.
    pub fn new(config: &Config) -> Result<Self, ClientError> {
        Self::with_lookup(config, system_lookup())
    }

    /// The same with other answers than the system's resolver gives.
    pub fn with_lookup(config: &Config, lookup: Lookup) -> Result<Self, ClientError> {
        let policy = Arc::new(AddressPolicy::new(&config.crawl.allow_addresses));
        let resolver = GuardedResolver::new(Arc::clone(&policy), &config.http.resolve, lookup);
        Ok(Self {
            exchange: Exchange::new(connector(config, resolver)?, &config.http),
            hosts: HostPool::new(&config.http),
            policy,
            tokens: Tokens::new(&config.crawl.robots_tokens),
            config: config.clone(),
        })
    }

    /// Fetches `url`, with all that is owed to its host: robots.txt first, rate, pauses, budgets,
    /// retries. Redirects are followed by the same rules on every hop, for pages within the host
    /// only.
    pub async fn get(&self, url: &Url, kind: Kind) -> Result<Answer, FetchError> {
        match kind {
            Kind::Page => {
                self.follow(url, Vec::new(), Ask::of(kind, &self.config), |_| false).await
            }
            _ => self.get_within(url, Vec::new(), kind, |_| true).await,
        }
    }

    /// The same for what was `seen` redirecting, with redirects followed to hosts that are `ours`.
    pub async fn get_within(
        &self,
        url: &Url,
        seen: Vec<Url>,
        kind: Kind,
        ours: impl Fn(&Url) -> bool,
    ) -> Result<Answer, FetchError> {
        self.follow(url, seen, Ask::of(kind, &self.config), ours).await
    }

    /// Reads a file that the user named, without decoding: all of it, or `range`.
    pub fn download(&self, url: &Url, range: Option<Range<u64>>) -> Download<'_> {
        Download::new(self, url, range)
    }

    /// Returns the rules of robots.txt of the URL's host, fetched if they are unknown or a day old.
    pub async fn robots(&self, url: &Url) -> Result<Arc<Rules>, FetchError> {
        self.policy.check_url(url)?;
        Ok(self.rules(&self.host(url), url).await)
    }

    /// Returns the opt-outs of `url` outside of its body: those of the response's headers and, where TDM
    /// reservations are honoured, those of its host's well-known file.
    pub async fn directives(&self, url: &Url, headers: &HeaderMap) -> Directives {
        let mut found = Directives::from_headers(headers, &self.tokens);
        if !found.tdm && self.config.crawl.opt_outs.contains(&OptOut::Tdmrep) {
            found.tdm = self.is_reserved(url).await;
        }
        found
    }

    /// The tokens that robots.txt, X-Robots-Tag and meta robots are read for.
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// The rules for addresses and URLs.
    pub fn policy(&self) -> &AddressPolicy {
        &self.policy
    }

    /// The hosts in work: begin a host, and hold it for as long as there is work for it.
    pub fn hosts(&self) -> &HostPool {
        &self.hosts
    }

    /// Returns the backlog of bodies that wait for a CPU; while it is full, no request is sent.
    pub fn backlog(&self) -> &Backlog {
        &self.exchange.backlog
    }

    /// Requests sent so far, robots.txt, redirects and retries included.
    pub fn requests(&self) -> u64 {
        self.exchange.sent()
    }

    /// Returns the network traffic so far.
    pub fn traffic(&self) -> &Traffic {
        &self.exchange.traffic
    }

    async fn follow(
        &self,
        url: &Url,
        mut seen: Vec<Url>,
        ask: Ask,
        ours: impl Fn(&Url) -> bool,
    ) -> Result<Answer, FetchError> {
        let mut at = url.clone();
        at.set_fragment(None);
        loop {
            if seen.contains(&at) {
                return Err(FetchError::new(Reason::BadRedirect, format!("a loop through {at}")));
            }
            if seen.len() > self.config.http.max_redirects {
                let detail = format!("more than {} redirects", self.config.http.max_redirects);
                return Err(FetchError::new(Reason::BadRedirect, detail));
            }
            self.check(&at)?;
            let host = self.host(&at);
            self.rules(&host, &at).await.check(&at)?;
            let to = match self.attempts(&host, &at, ask).await? {
                Reply::Body(fetched) => return Ok(Answer::Fetched(Box::new(fetched))),
                Reply::Redirect(to) => to,
            };
            seen.push(at);
            if host_key(&to) != host.key() && !ours(&to) {
                self.check(&to)?;
                return Ok(Answer::Elsewhere(to, seen));
            }
            at = to;
        }
    }

    /// Opens a file for [`Download`], through redirects.
    pub(super) async fn open(&self, url: &Url, headers: &HeaderMap) -> Result<Opened, FetchError> {
        let mut at = url.clone();
        for _ in 0..=self.config.http.max_redirects {
            self.check(&at)?;
            let host = self.host(&at);
            let turn = host.admit().await?;
            at = match host.spend(self.exchange.open(&at, headers.clone(), turn)).await? {
                Opening::Opened(opened) => return Ok(opened),
                Opening::Redirect(to) => to,
            };
        }
        let detail = format!("more than {} redirects", self.config.http.max_redirects);
        Err(FetchError::new(Reason::BadRedirect, detail))
    }

    /// `[http]`.
    pub(super) fn settings(&self) -> &Http {
        &self.config.http
    }

    fn check(&self, url: &Url) -> Result<(), FetchError> {
        let length = url.as_str().len();
        if length > self.config.crawl.max_url_length {
            return Err(FetchError::new(Reason::UrlTooLong, format!("{length} bytes")));
        }
        self.policy.check_url(url)
    }

    fn host(&self, url: &Url) -> Arc<Host> {
        self.hosts.get(&host_key(url))
    }

    /// One URL with its retries. A host that says it is overloaded is left alone by everyone.
    async fn attempts(&self, host: &Host, url: &Url, ask: Ask) -> Result<Reply, FetchError> {
        let http = &self.config.http;
        let mut pauses = Pauses::new(http.retries, seconds(http.max_backoff_s));
        loop {
            let permit = host.admit().await?;
            let room = self.exchange.room().await;
            let error = match host.spend(self.exchange.send(url, ask)).await {
                Ok(received) => return received.decoded(ask).await,
                Err(error) => error,
            };
            drop((permit, room));
            if let Some(asked) = error.retry_after {
                // One URL's Retry-After of an hour must not decide, by when it is met, what becomes
                // of the host's other URLs: they wait as long as anyone waits, and then ask.
                host.pause(asked.min(seconds(http.max_backoff_s)));
            }
            let Some(pause) = pauses.after(&error) else { return Err(error) };
            tracing::debug!(%url, %error, ?pause, "trying again");
            if matches!(error.status, Some(429 | 503)) {
                host.pause(pause);
            }
            host.spend(tokio::time::sleep(pause)).await;
        }
    }

    async fn rules(&self, host: &Host, url: &Url) -> Arc<Rules> {
        let fetch = || async {
            let rules = self.fetch_rules(url).await;
            if let Some(delay) = rules.crawl_delay() {
                host.slow_down(delay);
            }
            let ttl = if rules.is_unreachable() { robots::TTL_UNREACHABLE } else { robots::TTL };
            (rules, ttl)
        };
        host.origin(url).robots.get_or(fetch).await
    }

    async fn fetch_rules(&self, url: &Url) -> Rules {
        let mut at = on_host(url, "/robots.txt");
        for _ in 0..=robots::MAX_REDIRECTS {
            if let Err(error) = self.check(&at) {
                return Rules::refuse(error);
            }
            at = match self.attempts(&self.host(&at), &at, Ask::robots()).await {
                Ok(Reply::Body(fetched)) => return Rules::parse(&fetched.body, &self.tokens),
                Ok(Reply::Redirect(to)) => to,
                Err(error) => return of_failure(error),
            };
        }
        // RFC 9309, 2.3.1.2: not reached within five redirects counts as not there.
        Rules::allow_all()
    }

    async fn is_reserved(&self, url: &Url) -> bool {
        let fetch = || async {
            let at = on_host(url, tdmrep::PATH);
            let reservations = match self.follow(&at, Vec::new(), Ask::tdmrep(), |_| true).await {
                Ok(Answer::Fetched(fetched)) => Reservations::parse(&fetched.body),
                _ => Reservations::none(),
            };
            (reservations, robots::TTL)
        };
        self.host(url).origin(url).tdm.get_or(fetch).await.covers(url)
    }
}

/// A duration from a configured number of seconds, which is positive and not huge.
pub(super) fn seconds(value: f64) -> Duration {
    Duration::try_from_secs_f64(value).unwrap_or(Duration::MAX / 4)
}

fn of_failure(error: FetchError) -> Rules {
    match error.status.and_then(|status| StatusCode::from_u16(status).ok()) {
        Some(status) => Rules::of_status(status),
        None => Rules::refuse(error),
    }
}

fn on_host(url: &Url, path: &str) -> Url {
    let mut at = url.clone();
    at.set_path(path);
    at.set_query(None);
    at.set_fragment(None);
    at
}

/// Installs rustls' ring provider for the whole process.
pub fn install_tls() {
    // Fails where a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

fn connector(config: &Config, resolver: GuardedResolver) -> Result<reqwest::Client, ClientError> {
    install_tls();
    let contact = &config.crawl.contact;
    let agent = user_agent(contact).ok_or_else(|| ClientError::Contact(contact.clone()))?;
    let client = reqwest::Client::builder()
        .user_agent(agent)
        .no_proxy()
        .referer(false)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .dns_resolver(resolver)
        .connect_timeout(seconds(config.http.connect_timeout_s))
        .pool_idle_timeout(POOL_IDLE)
        .pool_max_idle_per_host(config.http.host_concurrency)
        .build()?;
    Ok(client)
}

fn user_agent(contact: &str) -> Option<String> {
    let own = concat!("magiclens/", env!("CARGO_PKG_VERSION"));
    let contact = contact.trim();
    if contact.is_empty() {
        return Some(own.to_owned());
    }
    let fits = contact.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    fits.then(|| format!("{own} (+{contact})"))
}
