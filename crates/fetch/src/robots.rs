//! robots.txt (RFC 9309): what a file says to us and to the tokens that stand for AI crawlers.
//!
//! Matching is robotxt's; this file mends what reaches it (a damaged byte order mark, versions in
//! `User-agent` lines), asks for several tokens at once, and turns the outcome of the fetch into
//! rules. The fetch itself is the client's.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use magiclens_core::Reason;
use reqwest::StatusCode;
use robotxt::Robots;
use url::Url;

use super::TOKEN;
use super::error::FetchError;

/// Bytes of a file that are read and parsed.
pub const BYTE_LIMIT: usize = robotxt::BYTE_LIMIT;
/// Redirects followed, also to other hosts.
pub const MAX_REDIRECTS: usize = 5;
/// Lifetime of a fetched robots.txt.
pub const TTL: Duration = Duration::from_secs(24 * 60 * 60);
/// Lifetime of the refusal after robots.txt could not be fetched.
pub const TTL_UNREACHABLE: Duration = Duration::from_secs(60 * 60);
/// The longest Crawl-delay that is honoured.
pub const MAX_CRAWL_DELAY: Duration = Duration::from_secs(30);

/// The product tokens that must all be allowed: ours and `crawl.robots_tokens`.
#[derive(Clone, Debug)]
pub struct Tokens(Arc<[String]>);

impl Tokens {
    /// Our own token and `others`.
    pub fn new(others: &[String]) -> Self {
        let own = std::iter::once(TOKEN.to_owned());
        Self(own.chain(others.iter().cloned()).collect())
    }

    /// Returns true if `name` is one of the tokens, regardless of case.
    pub fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|token| token.eq_ignore_ascii_case(name))
    }
}

/// Rules of one host's robots.txt.
#[derive(Clone, Debug)]
pub struct Rules {
    verdict: Verdict,
    crawl_delay: Option<Duration>,
    sitemaps: Vec<Url>,
}

#[derive(Clone, Debug)]
enum Verdict {
    /// By the rules for each token.
    Ask(Vec<(String, Robots)>),
    AllowAll,
    /// Every request fails, because robots.txt could not be fetched.
    Refuse(FetchError),
}

impl Rules {
    /// The rules in `file`, of which [`BYTE_LIMIT`] bytes count.
    ///
    /// ```
    /// use magiclens_fetch::robots::{Rules, Tokens};
    ///
    /// let file = b"User-agent: *\nDisallow: /drafts/\n\nUser-agent: GPTBot\nDisallow: /photos/";
    /// let rules = Rules::parse(file, &Tokens::new(&["GPTBot".to_owned()]));
    /// assert!(rules.check(&"https://example.org/parks/".parse()?).is_ok());
    /// // Every token must be allowed: ours falls under `*`, the other has a group of its own.
    /// assert!(rules.check(&"https://example.org/drafts/".parse()?).is_err());
    /// assert!(rules.check(&"https://example.org/photos/".parse()?).is_err());
    /// # anyhow::Ok(())
    /// ```
    pub fn parse(file: &[u8], tokens: &Tokens) -> Self {
        let file = mend(file);
        let parsed: Vec<_> =
            tokens.0.iter().map(|token| (token.clone(), Robots::parse(&file, token))).collect();
        let delays = parsed.iter().filter_map(|(_, robots)| robots.crawl_delay());
        let crawl_delay = delays.max().map(|delay| delay.min(MAX_CRAWL_DELAY));
        let sitemaps =
            parsed.first().map_or_else(Vec::new, |(_, robots)| robots.sitemaps().to_vec());
        let verdict = if parsed.iter().all(|(_, robots)| robots.always() == Some(true)) {
            Verdict::AllowAll
        } else {
            Verdict::Ask(parsed)
        };
        Self { verdict, crawl_delay, sitemaps }
    }

    /// Rules of a host without the file.
    pub fn allow_all() -> Self {
        Self { verdict: Verdict::AllowAll, crawl_delay: None, sitemaps: Vec::new() }
    }

    /// Rules of a host whose file could not be fetched: every request fails with `error`.
    pub fn refuse(error: FetchError) -> Self {
        let error = error.within("robots.txt");
        let verdict = Verdict::Refuse(FetchError { retryable: false, ..error });
        Self { verdict, crawl_delay: None, sitemaps: Vec::new() }
    }

    /// The rules after a fetch that ended with a status other than 2xx or a redirect.
    pub fn of_status(status: StatusCode) -> Self {
        let unavailable = status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS;
        if unavailable {
            return Self::allow_all();
        }
        let detail = format!("answered {}, so nothing is allowed", status.as_u16());
        Self::refuse(FetchError::new(Reason::RobotsTxt, detail))
    }

    /// Checks whether `url` may be requested; the error names the token and the rule.
    pub fn check(&self, url: &Url) -> Result<(), FetchError> {
        let parsed = match &self.verdict {
            Verdict::AllowAll => return Ok(()),
            Verdict::Refuse(error) => return Err(error.clone()),
            Verdict::Ask(parsed) => parsed,
        };
        let Some((token, robots)) = parsed.iter().find(|(_, robots)| !robots.is_url_allowed(url))
        else {
            return Ok(());
        };
        let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
        let rule = robots.matching_rule(path).map_or("/", |rule| rule.pattern());
        let rule: String = rule.chars().take(200).collect();
        Err(FetchError::new(Reason::RobotsTxt, format!("{token}: disallow {rule}")))
    }

    /// Returns true if the file could not be fetched.
    pub fn is_unreachable(&self) -> bool {
        matches!(self.verdict, Verdict::Refuse(_))
    }

    /// The longest Crawl-delay for one of the tokens, at most [`MAX_CRAWL_DELAY`].
    pub fn crawl_delay(&self) -> Option<Duration> {
        self.crawl_delay
    }

    /// Every absolute `Sitemap` URL.
    pub fn sitemaps(&self) -> &[Url] {
        &self.sitemaps
    }
}

/// Drops a byte order mark, also one that lost its end, and cuts `User-agent` values down to their
/// product token: sites write `User-agent: CCBot/2.0` and mean CCBot.
fn mend(file: &[u8]) -> Cow<'_, [u8]> {
    let bom = b"\xef\xbb\xbf".iter().zip(file).take_while(|(a, b)| a == b).count();
    // robotxt reads one line past the limit's end at most; copying more would be waste.
    let file = &file[bom..file.len().min(bom + BYTE_LIMIT + 1)];
    let mut mended: Option<Vec<u8>> = None;
    let mut at = 0;
    for line in file.split_inclusive(|byte| matches!(byte, b'\n' | b'\r' | b'\0')) {
        let start = at;
        at += line.len();
        if let Some((from, to)) = agent_version(line) {
            // Blanks keep every offset, and so the byte limit, where it was.
            mended.get_or_insert_with(|| file.to_vec())[start + from..start + to].fill(b' ');
        }
    }
    mended.map_or(Cow::Borrowed(file), Cow::Owned)
}

/// The range of a `User-agent` line that follows the product token.
fn agent_version(line: &[u8]) -> Option<(usize, usize)> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    let key = line[..colon].trim_ascii();
    if !["user-agent", "user agent", "useragent"]
        .iter()
        .any(|k| key.eq_ignore_ascii_case(k.as_bytes()))
    {
        return None;
    }
    let end = line.trim_ascii_end().len();
    let comment = line.iter().position(|&byte| byte == b'#').unwrap_or(end).min(end);
    let value =
        colon + 1 + line[colon + 1..].iter().position(|byte| !byte.is_ascii_whitespace())?;
    let stop = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'/' | b';' | b'(' | b',');
    let cut = value + line.get(value..comment)?.iter().position(stop)?;
    // A value that starts with a stop is no token at all and is left alone.
    (cut > value).then_some((cut, comment))
}

#[cfg(test)]
mod tests {
    use magiclens_testing::{conformance, shared};
    use serde_json::Value;

    use super::*;

    fn cases() -> Option<Value> {
        let text = std::fs::read(shared("corpora/robots_cases.json")?).unwrap();
        Some(serde_json::from_slice(&text).unwrap())
    }

    fn flagged(case: &Value) -> bool {
        ["google_only", "relies_on_google_extension", "contested"]
            .iter()
            .any(|flag| case[*flag].as_bool() == Some(true))
    }

    fn rules_for(file: &[u8], agent: &str) -> Rules {
        Rules::parse(file, &Tokens(Arc::new([agent.to_owned()])))
    }

    fn allowed(file: &str, url: &str) -> bool {
        let tokens = Tokens::new(&["GPTBot".into(), "CCBot".into()]);
        Rules::parse(file.as_bytes(), &tokens).check(&Url::parse(url).unwrap()).is_ok()
    }

    fn file_of(case: &Value) -> Vec<u8> {
        match case["robots_hex"].as_str() {
            Some(hex) => hex::decode(hex).unwrap(),
            None => case["robots"].as_str().unwrap_or_default().into(),
        }
    }

    #[test]
    fn every_unflagged_case_of_the_reference_parser_passes() {
        let Some(cases) = cases() else { return };
        let (mut core, mut extra, mut extra_passed) = (0, 0, Vec::new());
        for case in cases["allowed"].as_array().unwrap() {
            let verdict = Url::parse(case["url"].as_str().unwrap()).ok().map(|url| {
                let rules = rules_for(&file_of(case), case["user_agent"].as_str().unwrap());
                if rules.check(&url).is_ok() { "allow" } else { "deny" }
            });
            let passed = verdict == case["expected"].as_str();
            if flagged(case) {
                extra += 1;
                extra_passed.extend(passed.then_some(()));
            } else {
                core += 1;
                assert!(passed, "{}: {case:#}", case["id"]);
            }
        }
        conformance("robots", core);
        println!("{core} of {core} core cases, {} of {extra} flagged", extra_passed.len());
    }

    #[test]
    fn the_reference_parser_reads_the_same_lines() {
        let Some(cases) = cases() else { return };
        let mut checked = 0;
        for case in cases["other"].as_array().unwrap() {
            let file = file_of(case);
            match (case["kind"].as_str().unwrap(), case["what"].as_str().unwrap_or_default()) {
                ("parse_stats", "sitemap") => {
                    let rules = rules_for(&file, "foo");
                    assert_eq!(rules.sitemaps()[0].as_str(), case["expected"].as_str().unwrap());
                }
                ("parse_stats", "valid_directives") => {
                    // A User-agent line that is read makes a group of its own.
                    let text = [&file[..], b"\nDisallow: /only-foo\n"].concat();
                    let url = Url::parse("http://a.example/only-foo").unwrap();
                    let expected = case["expected"].as_str().unwrap();
                    let read = rules_for(&text, "foo").check(&url).is_err()
                        || rules_for(&text, "bar").check(&url).is_err();
                    let first_line_lost = expected == "1" && file.starts_with(b"\xef\x11");
                    assert_eq!(read, !first_line_lost, "{case:#}");
                }
                ("path_params_query", _) => {
                    let Ok(url) = Url::parse(case["url"].as_str().unwrap()) else { continue };
                    let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
                    assert_eq!(path, case["expected"].as_str().unwrap());
                }
                _ => continue,
            }
            checked += 1;
        }
        conformance("robots-lines", checked);
    }

    #[test]
    fn every_token_must_be_allowed() {
        let url = "http://a.example/x";
        assert!(!allowed("User-agent: GPTBot\nDisallow: /", url));
        assert!(!allowed("User-agent: magiclens\nDisallow: /x", url));
        assert!(!allowed("User-agent: *\nDisallow: /", url));
        assert!(allowed("User-agent: OtherBot\nDisallow: /", url));
        assert!(allowed("", url));
        let only_us = "User-agent: *\nDisallow: /\n\nUser-agent: magiclens\nAllow: /";
        assert!(!allowed(only_us, url), "the AI tokens still fall under *");
    }

    #[test]
    fn versions_and_damaged_marks_are_mended() {
        let url = "http://a.example/x";
        for line in [
            "User-agent: CCBot/2.0",
            "user-agent :  ccbot/2.0 (http://example.org) # us",
            "USERAGENT:CCBot; x",
            "User-agent: CCBot GPTBot",
        ] {
            assert!(!allowed(&format!("{line}\nDisallow: /"), url), "{line}");
            assert!(!allowed(&format!("Foo: bar\r{line}\r\nDisallow: /"), url), "{line}");
        }
        for line in ["User-agent: CCBotNot/2.0", "User-agent: /CCBot", "User-agent: # CCBot/1"] {
            assert!(allowed(&format!("{line}\nDisallow: /"), url), "{line}");
        }
    }

    #[test]
    fn only_500_kib_are_parsed() {
        let head = "User-agent: *\n";
        let filler = "# filler\n".repeat(BYTE_LIMIT / 9 + 1);
        let inside = format!("{head}Disallow: /a\n{filler}Disallow: /b\n");
        assert!(!allowed(&inside, "http://a.example/a"));
        assert!(allowed(&inside, "http://a.example/b"));
    }

    #[test]
    fn statuses_become_rules() {
        let url = Url::parse("http://a.example/x").unwrap();
        let verdict = |code| Rules::of_status(StatusCode::from_u16(code).unwrap()).check(&url);
        for code in [400, 401, 403, 404, 410, 451] {
            assert_eq!(verdict(code), Ok(()), "{code}");
        }
        for code in [429, 500, 502, 503, 504, 304] {
            assert_eq!(verdict(code).unwrap_err().reason, Reason::RobotsTxt, "{code}");
        }
    }

    #[test]
    fn the_longest_crawl_delay_counts_up_to_a_cap() {
        let delay = |file: &str| {
            Rules::parse(file.as_bytes(), &Tokens::new(&["GPTBot".into()])).crawl_delay()
        };
        let file = "User-agent: *\nCrawl-delay: 2.5\nDisallow: /x\n\nUser-agent: GPTBot\nCrawl-delay: 7\nDisallow: /y";
        assert_eq!(delay(file), Some(Duration::from_secs(7)));
        assert_eq!(delay("User-agent: *\nCrawl-delay: 86400"), Some(MAX_CRAWL_DELAY));
        assert_eq!(delay("User-agent: *\nCrawl-delay: soon"), None);
    }

    #[test]
    fn a_denial_names_token_and_rule() {
        let rules =
            Rules::parse(b"User-agent: GPTBot\nDisallow: /x", &Tokens::new(&["GPTBot".into()]));
        let error = rules.check(&Url::parse("http://a.example/xyz").unwrap()).unwrap_err();
        assert_eq!(error.detail, "GPTBot: disallow /x");
    }

    proptest::proptest! {
        #[test]
        fn no_file_panics(file: Vec<u8>, agent in "(?i)user-?agent *:[ -~]{0,20}\n") {
            let text = [agent.as_bytes(), &file[..]].concat();
            let _ = rules_for(&text, "foo").check(&Url::parse("http://a.example/x").unwrap());
        }
    }
}
