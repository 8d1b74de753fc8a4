//! When an endpoint wants to be asked again.
//!
//! Four dialects: the Retry-After headers, their milliseconds, the rate-limit windows of OpenAI
//! and those who copy it, and Google's RetryInfo in the body
//! (<https://platform.openai.com/docs/guides/rate-limits>, <https://google.aip.dev/193>).

use std::time::{Duration, SystemTime};

use reqwest::header::HeaderMap;
use serde_json::Value;

/// The longest pause that is believed.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// The pause from `now` that the endpoint asks for, by header or body, at most a day.
pub fn retry_after(headers: &HeaderMap, body: Option<&Value>, now: SystemTime) -> Option<Duration> {
    asked(headers, body, now).or_else(|| window(headers))
}

/// The same without the rate-limit windows, which come with answers of every kind.
pub fn asked(headers: &HeaderMap, body: Option<&Value>, now: SystemTime) -> Option<Duration> {
    let milliseconds = |name| seconds(header(headers, name)?, 1e-3);
    milliseconds("retry-after-ms")
        .or_else(|| milliseconds("x-ms-retry-after-ms"))
        .or_else(|| seconds_or_date(header(headers, "retry-after")?, now))
        .or_else(|| retry_info(body?))
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    Some(headers.get(name)?.to_str().ok()?.trim())
}

/// A plain number of `unit` seconds; no sign, no exponent.
fn seconds(text: &str, unit: f64) -> Option<Duration> {
    if !text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    let seconds: f64 = text.parse().ok()?;
    Some(capped(seconds * unit))
}

fn capped(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST).min(LONGEST)
}

fn seconds_or_date(text: &str, now: SystemTime) -> Option<Duration> {
    seconds(text, 1.0).or_else(|| {
        let at = httpdate::parse_http_date(text).ok()?;
        Some(at.duration_since(now).unwrap_or_default().min(LONGEST))
    })
}

/// A duration as Go prints it, such as `1h2m3.5s` or `20ms`.
fn go_duration(text: &str) -> Option<Duration> {
    let mut total = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let unit = rest.find(|char: char| !char.is_ascii_digit() && char != '.')?;
        let number: f64 = rest[..unit].parse().ok()?;
        rest = &rest[unit..];
        let end = rest.find(|char: char| char.is_ascii_digit()).unwrap_or(rest.len());
        total += number * unit_seconds(&rest[..end])?;
        rest = &rest[end..];
    }
    (!text.is_empty()).then(|| capped(total))
}

fn unit_seconds(unit: &str) -> Option<f64> {
    Some(match unit {
        "d" => 86_400.0,
        "h" => 3_600.0,
        "m" => 60.0,
        "s" => 1.0,
        "ms" => 1e-3,
        "us" | "µs" | "μs" => 1e-6,
        "ns" => 1e-9,
        _ => return None,
    })
}

/// What the windows say: those that are spent, else tokens (there may be some left, but too few),
/// else requests where nobody says how many are left.
fn window(headers: &HeaderMap) -> Option<Duration> {
    let reset = |of: &str| {
        let text = header(headers, &format!("x-ratelimit-reset-{of}"))?;
        seconds(text, 1.0).or_else(|| go_duration(text))
    };
    let left = |of: &str| header(headers, &format!("x-ratelimit-remaining-{of}"));
    let spent = |of: &str| left(of).and_then(|left| seconds(left, 1.0)) == Some(Duration::ZERO);
    let longest = ["requests", "tokens"].into_iter().filter(|of| spent(of)).filter_map(reset).max();
    longest.or_else(|| reset("tokens")).or_else(|| reset("requests"))
}

/// `error.details[].retryDelay`, also where the error comes in a list.
fn retry_info(body: &Value) -> Option<Duration> {
    let body = body.get(0).unwrap_or(body);
    let details = body.get("error")?.get("details")?.as_array()?;
    details.iter().find_map(|detail| go_duration(detail.get("retryDelay")?.as_str()?.trim()))
}

#[cfg(test)]
mod tests {
    use super::super::hostile;
    use super::*;
    use proptest::prelude::*;
    use reqwest::header::{HeaderName, HeaderValue};
    use serde_json::json;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), value.parse::<HeaderValue>().unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    fn millis(pairs: &[(&'static str, &str)]) -> Option<u128> {
        retry_after(&headers(pairs), None, NOW).map(|pause| pause.as_millis())
    }

    #[test]
    fn retry_after_of_every_kind() {
        let later = httpdate::fmt_http_date(NOW + Duration::from_secs(90));
        for (name, value, pause) in [
            ("retry-after", "120", Some(120_000)),
            ("retry-after", " 0 ", Some(0)),
            ("retry-after", "1.5", Some(1_500)),
            ("retry-after", later.as_str(), Some(90_000)),
            ("retry-after", "Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("retry-after", "99999999999999999999999999", Some(86_400_000)),
            ("retry-after", "-1", None),
            ("retry-after", "inf", None),
            ("retry-after", "1e3", None),
            ("retry-after", "soon", None),
            ("retry-after", ".", None),
            ("retry-after", "", None),
            ("retry-after-ms", "250", Some(250)),
            ("x-ms-retry-after-ms", "1500.0", Some(1_500)),
            ("x-ratelimit-reset-requests", "6m0s", Some(360_000)),
            ("x-ratelimit-reset-tokens", "1.5s", Some(1_500)),
            ("x-ratelimit-reset-tokens", "20ms", Some(20)),
            ("x-ratelimit-reset-tokens", "1h2m", Some(3_720_000)),
            ("x-ratelimit-reset-tokens", "7.66", Some(7_660)),
            ("x-ratelimit-reset-tokens", "9000h", Some(86_400_000)),
            ("x-ratelimit-reset-tokens", "s", None),
            ("x-ratelimit-reset-tokens", "-2s", None),
            ("x-ratelimit-reset-tokens", "3 parsecs", None),
        ] {
            assert_eq!(millis(&[(name, value)]), pause, "{name}: {value:?}");
        }
        assert_eq!(millis(&[]), None);
    }

    #[test]
    fn the_plainest_word_wins() {
        let (ms, after) = (("retry-after-ms", "40"), ("retry-after", "1"));
        let (requests, none) =
            (("x-ratelimit-reset-requests", "10s"), ("x-ratelimit-remaining-requests", "0"));
        let (tokens, some) =
            (("x-ratelimit-reset-tokens", "2s"), ("x-ratelimit-remaining-tokens", "12"));
        assert_eq!(millis(&[ms, after, requests, none]), Some(40));
        assert_eq!(millis(&[after, requests, none]), Some(1_000));
        assert_eq!(millis(&[requests, none, tokens, some]), Some(10_000));
        // Some requests are left, so it was the tokens.
        assert_eq!(
            millis(&[requests, ("x-ratelimit-remaining-requests", "9"), tokens, some]),
            Some(2_000)
        );
        assert_eq!(
            millis(&[requests, none, tokens, ("x-ratelimit-remaining-tokens", "0")]),
            Some(10_000)
        );
    }

    #[test]
    fn google_says_it_in_the_body() {
        let error = |delay: Value| {
            json!({"error": {"code": 429, "details": [
                {"@type": "type.googleapis.com/google.rpc.Help"},
                {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay},
            ]}})
        };
        let asks = |body: &Value| retry_after(&HeaderMap::new(), Some(body), NOW);
        assert_eq!(asks(&error(json!("37s"))), Some(Duration::from_secs(37)));
        assert_eq!(asks(&json!([error(json!("37s"))])), Some(Duration::from_secs(37)));
        assert_eq!(asks(&error(json!("36.5s"))), Some(Duration::from_millis(36_500)));
        assert_eq!(asks(&error(json!(37))), None);
        assert_eq!(asks(&error(json!(""))), None);
        assert_eq!(asks(&json!("37s")), None);
    }

    const NAMES: [&str; 5] = [
        "retry-after-ms",
        "x-ms-retry-after-ms",
        "retry-after",
        "x-ratelimit-reset-requests",
        "x-ratelimit-reset-tokens",
    ];

    fn is_believed(headers: &HeaderMap, body: Option<&Value>, now: SystemTime) -> bool {
        retry_after(headers, body, now).is_none_or(|pause| pause <= LONGEST)
    }

    proptest! {
        #[test]
        fn no_header_panics(
            name in prop::sample::select(NAMES.to_vec()),
            bytes in prop::collection::vec(any::<u8>(), 0..40),
            text in "[-+0-9.hmsunµ]{0,24}",
            at in any::<u32>(),
        ) {
            let now = NOW + Duration::from_secs(at.into());
            for value in [&bytes[..], text.as_bytes()] {
                let Ok(value) = HeaderValue::from_bytes(value) else { continue };
                let headers = HeaderMap::from_iter([(HeaderName::from_static(name), value)]);
                prop_assert!(is_believed(&headers, None, now));
            }
        }

        #[test]
        fn no_body_panics(body in hostile::json(), delay in ".{0,12}") {
            let delayed = json!({"error": {"details": [{"retryDelay": delay}]}});
            for body in [body, delayed] {
                prop_assert!(is_believed(&HeaderMap::new(), Some(&body), NOW));
            }
        }
    }
}
