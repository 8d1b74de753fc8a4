//! `/.well-known/tdmrep.json`: text and data mining reserved for parts of a host.
//!
//! Locations are patterns as in robots.txt and the longest that matches decides, so they are handed
//! to the robots.txt matcher: a reserved location is what it calls disallowed.

use robotxt::Robots;
use serde_json::Value;
use url::Url;

/// Bytes of the file that are read.
pub(super) const BYTE_LIMIT: usize = 500 << 10;
/// Path of the file.
pub(super) const PATH: &str = "/.well-known/tdmrep.json";

/// Reservations of one host.
#[derive(Debug)]
pub(super) struct Reservations(Option<Robots>);

impl Reservations {
    /// Nothing is reserved: what holds where there is no file.
    pub(super) fn none() -> Self {
        Self(None)
    }

    /// Reads an array of `{"location", "tdm-reservation"}`; what is not one is skipped.
    pub(super) fn parse(file: &[u8]) -> Self {
        let Ok(Value::Array(entries)) = serde_json::from_slice(file) else { return Self::none() };
        let lines: String = entries.iter().filter_map(line).collect();
        if lines.is_empty() {
            return Self::none();
        }
        Self(Some(Robots::parse(format!("User-agent: *\n{lines}").as_bytes(), "*")))
    }

    /// Returns true if mining `url` is reserved.
    pub(super) fn covers(&self, url: &Url) -> bool {
        self.0.as_ref().is_some_and(|robots| !robots.is_url_allowed(url))
    }
}

fn line(entry: &Value) -> Option<String> {
    let location = entry.get("location")?.as_str()?.trim();
    if location.is_empty() || location.contains(|c: char| c.is_control() || c == '#') {
        return None;
    }
    let reserved = match entry.get("tdm-reservation")? {
        Value::Number(number) => number.as_f64() == Some(1.0),
        Value::String(text) => text.trim() == "1",
        Value::Bool(yes) => *yes,
        _ => return None,
    };
    let slash = if location.starts_with(['/', '*']) { "" } else { "/" };
    let rule = if reserved { "Disallow" } else { "Allow" };
    Some(format!("{rule}: {slash}{location}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(file: &str, path: &str) -> bool {
        let url = Url::parse("http://a.example").unwrap().join(path).unwrap();
        Reservations::parse(file.as_bytes()).covers(&url)
    }

    #[test]
    fn locations_are_prefixes_with_wildcards_and_ends() {
        let file = r#"[
            {"location": "/images/*.jpg$", "tdm-reservation": 1, "tdm-policy": "https://p.example"},
            {"location": "/articles", "tdm-reservation": 1},
            {"location": "/articles/free/", "tdm-reservation": 0}
        ]"#;
        assert!(covers(file, "/images/a/b.jpg"));
        assert!(!covers(file, "/images/a/b.jpg?x"));
        assert!(covers(file, "/articles/paid.html"));
        assert!(!covers(file, "/articles/free/a.html"));
        assert!(!covers(file, "/"));
    }

    #[test]
    fn the_whole_host() {
        for location in ["/", "*", "/*"] {
            let file = format!(r#"[{{"location": "{location}", "tdm-reservation": 1}}]"#);
            assert!(covers(&file, "/x/y?z"), "{location}");
        }
    }

    #[test]
    fn what_is_no_reservation_reserves_nothing() {
        for file in [
            "",
            "{}",
            "[]",
            "<html>",
            "[1, null, {}]",
            r#"[{"location": "/", "tdm-reservation": 0}]"#,
            r#"[{"location": "/", "tdm-reservation": null}]"#,
            r#"[{"location": "/a\nDisallow: /", "tdm-reservation": 0}]"#,
            r#"{"location": "/", "tdm-reservation": 1}"#,
        ] {
            assert!(!covers(file, "/x"), "{file}");
        }
    }
}
