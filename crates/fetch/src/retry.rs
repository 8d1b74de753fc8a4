//! Rules of retries: which failures are retried, and after which backoff.

use std::time::{Duration, SystemTime};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};

use super::error::FetchError;

/// The first pause where the server named none; later ones double.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// Returns true if the same request may succeed a little later.
pub fn is_retryable_status(status: StatusCode) -> bool {
    match status.as_u16() {
        408 | 425 | 429 => true,
        // Not implemented, HTTP version, content negotiation, loop, extension, network login.
        501 | 505 | 506 | 508 | 510 | 511 => false,
        code => (500..600).contains(&code),
    }
}

/// Retry-After as a pause from `now`: seconds, or an HTTP date (in the past: no pause).
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are still a very long pause.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::from(u32::MAX))));
    }
    let at = httpdate::parse_http_date(value).ok()?;
    Some(at.duration_since(now).unwrap_or_default())
}

/// The pauses between the tries of one request.
pub struct Pauses {
    backoff: ExponentialBackoff,
    longest: Duration,
}

impl Pauses {
    /// At most `retries` pauses of at most `longest` each.
    pub fn new(retries: usize, longest: Duration) -> Self {
        let backoff = ExponentialBuilder::default()
            .with_min_delay(FIRST_PAUSE.min(longest))
            .with_max_delay(longest)
            .with_max_times(retries)
            .with_jitter()
            .build();
        Self { backoff, longest }
    }

    /// Returns the backoff after `error`; `None` to give up, because the error cannot pass, no retries
    /// are left, or the server asked for a longer pause than is allowed.
    pub fn after(&mut self, error: &FetchError) -> Option<Duration> {
        if !error.retryable {
            return None;
        }
        // Jitter is added on top of the longest pause, so cap it once more.
        let own = self.backoff.next()?.min(self.longest);
        match error.retry_after {
            Some(asked) if asked > self.longest => None,
            Some(asked) => Some(asked),
            None => Some(own),
        }
    }
}

#[cfg(test)]
mod tests {
    use magiclens_core::Reason;

    use super::*;

    #[test]
    fn statuses_that_may_pass() {
        let retryable = |code| is_retryable_status(StatusCode::from_u16(code).unwrap());
        for code in [408, 425, 429, 500, 502, 503, 504, 507, 520, 521, 522, 523, 524, 599] {
            assert!(retryable(code), "{code}");
        }
        for code in [200, 301, 304, 400, 401, 403, 404, 410, 418, 451, 501, 505, 506, 508, 511, 600]
        {
            assert!(!retryable(code), "{code}");
        }
    }

    #[test]
    fn retry_after_in_seconds_or_as_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let later = httpdate::fmt_http_date(now + Duration::from_secs(90));
        let before = httpdate::fmt_http_date(now - Duration::from_secs(90));
        for (value, seconds) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            (later.as_str(), Some(90)),
            (before.as_str(), Some(0)),
            ("99999999999999999999999", Some(u64::from(u32::MAX))),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]);
            let expected = seconds.map(Duration::from_secs);
            assert_eq!(retry_after(&headers, now), expected, "{value:?}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }

    #[test]
    fn pauses_grow_are_capped_and_end() {
        let error = FetchError::passing(Reason::Timeout, "");
        let mut pauses = Pauses::new(4, Duration::from_secs(3));
        let seen: Vec<_> = std::iter::from_fn(|| pauses.after(&error)).collect();
        assert_eq!(seen.len(), 4);
        assert!(seen[0] >= Duration::from_secs(1), "{seen:?}");
        assert!(seen[1] >= Duration::from_secs(2), "{seen:?}");
        assert!(seen.iter().all(|pause| *pause <= Duration::from_secs(3)), "{seen:?}");
        assert_eq!(Pauses::new(0, Duration::from_secs(3)).after(&error), None);
    }

    #[test]
    fn what_cannot_pass_or_asks_too_much_is_given_up_at_once() {
        let mut pauses = Pauses::new(4, Duration::from_secs(60));
        assert_eq!(pauses.after(&FetchError::new(Reason::HttpClientError, "status 404")), None);
        let asks = |seconds| FetchError {
            retry_after: Some(Duration::from_secs(seconds)),
            ..FetchError::passing(Reason::HttpServerError, "status 503")
        };
        assert_eq!(pauses.after(&asks(60)), Some(Duration::from_secs(60)));
        assert_eq!(pauses.after(&asks(61)), None);
    }
}
