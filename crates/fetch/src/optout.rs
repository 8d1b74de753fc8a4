//! Opt-outs of a publisher for one page or image: X-Robots-Tag, meta robots, TDM reservation.
//!
//! `noai` and `noimageai` are conventions (DeviantArt's); TDM reservation is
//! <https://www.w3.org/community/reports/tdmrep/CG-FINAL-tdmrep-20240510/>. The well-known file is in
//! [`super::tdmrep`].

use magiclens_common::config::OptOut;
use magiclens_core::Reason;
use reqwest::header::HeaderMap;

use super::robots::Tokens;

/// Directives found on one page or image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Directives {
    /// Not to be indexed.
    pub noindex: bool,
    /// Links of the page must not be followed.
    pub nofollow: bool,
    /// Not for AI.
    pub noai: bool,
    /// Images of the page are not for AI.
    pub noimageai: bool,
    /// Images of the page must not be indexed.
    pub noimageindex: bool,
    /// Text and data mining is reserved.
    pub tdm: bool,
}

impl Directives {
    /// Reads the X-Robots-Tag and tdm-reservation headers that address everyone or one of `tokens`.
    pub fn from_headers(headers: &HeaderMap, tokens: &Tokens) -> Self {
        let mut found = Self::default();
        for value in headers.get_all("x-robots-tag") {
            found.add_header(&String::from_utf8_lossy(value.as_bytes()), tokens);
        }
        let reservations = headers.get_all("tdm-reservation").iter();
        found.tdm = reservations.into_iter().any(|value| value.as_bytes().trim_ascii() == b"1");
        found
    }

    /// Reads a `<meta name=… content=…>` that addresses everyone or one of `tokens`.
    pub fn from_meta(name: &str, content: &str, tokens: &Tokens) -> Self {
        let mut found = Self::default();
        let name = name.trim();
        if name.eq_ignore_ascii_case("robots") || tokens.contains(name) {
            // Lists are by comma, though spaces and semicolons are in use too.
            let words = content.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';'));
            words.for_each(|word| found.add(word));
        } else if name.eq_ignore_ascii_case("tdm-reservation") {
            found.tdm = content.trim() == "1";
        }
        found
    }

    /// Both together.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self {
            noindex: self.noindex || other.noindex,
            nofollow: self.nofollow || other.nofollow,
            noai: self.noai || other.noai,
            noimageai: self.noimageai || other.noimageai,
            noimageindex: self.noimageindex || other.noimageindex,
            tdm: self.tdm || other.tdm,
        }
    }

    /// The first directive that `enforced` honours. It holds for a page and for an image alike: of a
    /// page nothing but its images and the text about them is wanted.
    pub fn reason(self, enforced: &[OptOut]) -> Option<Reason> {
        let said = [
            (self.noindex, OptOut::Noindex, Reason::Noindex),
            (self.noai, OptOut::Noai, Reason::Noai),
            (self.noimageai, OptOut::Noimageai, Reason::Noimageai),
            (self.noimageindex, OptOut::Noimageindex, Reason::Noimageindex),
            (self.tdm, OptOut::Tdmrep, Reason::TdmReservation),
        ];
        let first = said.into_iter().find(|(said, opt_out, _)| *said && enforced.contains(opt_out));
        first.map(|(_, _, reason)| reason)
    }

    fn add(&mut self, word: &str) {
        match word.trim().to_ascii_lowercase().as_str() {
            "noindex" => self.noindex = true,
            "nofollow" => self.nofollow = true,
            "none" => (self.noindex, self.nofollow) = (true, true),
            "noai" => self.noai = true,
            "noimageai" => self.noimageai = true,
            "noimageindex" => self.noimageindex = true,
            _ => {}
        }
    }

    /// One header: a list in which `name:` says whom what follows is meant for.
    fn add_header(&mut self, value: &str, tokens: &Tokens) {
        let mut for_us = true;
        for item in value.split(',') {
            let word = match item.split_once(':') {
                Some((name, _)) if is_no_name(name.trim()) => continue,
                Some((name, rest)) => {
                    for_us = name.trim() == "*" || tokens.contains(name.trim());
                    rest
                }
                None => item,
            };
            if for_us {
                word.split_whitespace().for_each(|word| self.add(word));
            }
        }
    }
}

/// Returns true for text before a colon that is no token: a directive with a value, or part of a date.
fn is_no_name(name: &str) -> bool {
    name.contains(char::is_whitespace)
        || ["unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"]
            .iter()
            .any(|known| name.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens() -> Tokens {
        Tokens::new(&["GPTBot".into(), "CCBot".into()])
    }

    fn header(values: &[&str]) -> Directives {
        let mut map = HeaderMap::new();
        for value in values {
            map.append("x-robots-tag", value.parse().unwrap());
        }
        Directives::from_headers(&map, &tokens())
    }

    const NOTHING: Directives = Directives {
        noindex: false,
        nofollow: false,
        noai: false,
        noimageai: false,
        noimageindex: false,
        tdm: false,
    };

    #[test]
    fn headers_are_lists_with_names_in_front() {
        let noai = Directives { noai: true, ..NOTHING };
        let both = Directives { noai: true, noimageai: true, ..NOTHING };
        let none = Directives { noindex: true, nofollow: true, ..NOTHING };
        for (values, expected) in [
            (&["noai"][..], noai),
            (&["NoAI, noimageai"], both),
            (&["all", "noai", "noimageai"], both),
            (&["none"], none),
            (&["magiclens: noai"], noai),
            (&["GPTBOT: noai , noimageai"], both),
            (&["*: noai"], noai),
            (&["googlebot: noai, noindex"], NOTHING),
            (&["googlebot: noindex, ccbot: noai"], noai),
            (&["googlebot: noindex", "noai"], noai),
            (&["max-snippet:20, noai"], noai),
            (&["unavailable_after: 25 Jun 2010 15:00:00 PST, noai"], noai),
            (&["unavailable_after: Friday, 25 Jun 2010 15:00:00 PST, noai"], noai),
            (&["index, follow"], NOTHING),
            (&["noaim"], NOTHING),
            (&[""], NOTHING),
        ] {
            assert_eq!(header(values), expected, "{values:?}");
        }
    }

    #[test]
    fn meta_elements_for_robots_us_and_ai_tokens() {
        let meta = |name, content| Directives::from_meta(name, content, &tokens());
        let noimageindex = Directives { noimageindex: true, ..NOTHING };
        assert_eq!(meta("robots", "NOIMAGEINDEX"), noimageindex);
        assert_eq!(meta(" Robots ", "follow , noimageindex"), noimageindex);
        assert_eq!(meta("gptbot", "noimageindex"), noimageindex);
        assert_eq!(meta("magiclens", "noimageindex; x"), noimageindex);
        assert_eq!(meta("googlebot", "noimageindex"), NOTHING);
        assert_eq!(meta("description", "noimageindex"), NOTHING);
        assert_eq!(meta("TDM-Reservation", " 1 "), Directives { tdm: true, ..NOTHING });
        assert_eq!(meta("tdm-reservation", "0"), NOTHING);
    }

    #[test]
    fn tdm_reservation_by_header() {
        for (value, tdm) in [("1", true), (" 1", true), ("0", false), ("yes", false)] {
            let name: reqwest::header::HeaderName = "tdm-reservation".parse().unwrap();
            let headers = HeaderMap::from_iter([(name, value.parse().unwrap())]);
            assert_eq!(Directives::from_headers(&headers, &tokens()).tdm, tdm, "{value}");
        }
    }

    #[test]
    fn only_what_is_enforced_rejects() {
        let all = Directives {
            noindex: true,
            nofollow: true,
            noai: true,
            noimageai: true,
            noimageindex: true,
            tdm: true,
        };
        for (opt_out, reason) in [
            (OptOut::Noindex, Reason::Noindex),
            (OptOut::Noai, Reason::Noai),
            (OptOut::Noimageai, Reason::Noimageai),
            (OptOut::Noimageindex, Reason::Noimageindex),
            (OptOut::Tdmrep, Reason::TdmReservation),
        ] {
            assert_eq!(all.reason(&[opt_out]), Some(reason));
        }
        assert_eq!(all.reason(&[]), None);
        let nofollow = Directives { nofollow: true, ..NOTHING };
        assert_eq!(nofollow.reason(&OptOut::ALL), None);
        assert_eq!(
            nofollow.union(Directives { noai: true, ..NOTHING }).reason(&OptOut::ALL),
            Some(Reason::Noai)
        );
    }
}
