//! Which of the pages that were read are the same page under two URLs.

use std::collections::{BTreeMap, HashMap, HashSet};

/// What is known of one page that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brief {
    /// The URL that was asked for.
    pub requested_url: String,
    /// The URL that answered.
    pub url: String,
    /// What the page calls its canonical URL.
    pub canonical_url: Option<String>,
}

/// Finds the duplicates: by requested URL, with the URL of the page that stays.
///
/// Of several requests that ended at one URL, the one that asked for it stays, else the first by
/// URL. A page that names another canonical URL goes if that page was collected and does not itself
/// defer to a third. `earlier` are the pages of earlier rounds.
pub fn duplicates(briefs: &[Brief], earlier: &HashSet<String>) -> HashMap<String, String> {
    let mut by_url: BTreeMap<&str, Vec<&Brief>> = BTreeMap::new();
    for brief in briefs {
        by_url.entry(&brief.url).or_default().push(brief);
    }
    let mut gone = HashMap::new();
    let mut stay: BTreeMap<&str, &Brief> = BTreeMap::new();
    for (url, mut asked) in by_url {
        asked.sort_by_key(|brief| (brief.requested_url != url, &brief.requested_url));
        let first = usize::from(!earlier.contains(url));
        stay.extend(asked.iter().take(first).map(|brief| (url, *brief)));
        for brief in &asked[first..] {
            gone.insert(brief.requested_url.clone(), url.to_owned());
        }
    }
    let defers = |brief: &Brief| brief.canonical_url.as_ref().is_some_and(|url| *url != brief.url);
    for brief in stay.values().filter(|brief| defers(brief)) {
        let canonical = brief.canonical_url.as_deref().unwrap_or_default();
        let collected = stay.get(canonical).is_some_and(|other| !defers(other));
        if collected || earlier.contains(canonical) {
            gone.insert(brief.requested_url.clone(), canonical.to_owned());
        }
    }
    gone
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brief(requested: &str, url: &str, canonical: Option<&str>) -> Brief {
        let canonical_url = canonical.map(String::from);
        Brief { requested_url: requested.into(), url: url.into(), canonical_url }
    }

    fn gone(briefs: &[Brief]) -> Vec<String> {
        let mut gone: Vec<_> = duplicates(briefs, &HashSet::new()).into_keys().collect();
        gone.sort();
        gone
    }

    #[test]
    fn of_two_ways_to_one_url_the_direct_one_stays() {
        assert_eq!(gone(&[brief("a", "c", None), brief("c", "c", None)]), ["a"]);
        assert_eq!(gone(&[brief("b", "c", None), brief("a", "c", None)]), ["b"]);
    }

    #[test]
    fn a_page_defers_to_a_canonical_one_that_was_collected() {
        assert_eq!(gone(&[brief("a", "a", Some("c")), brief("c", "c", Some("c"))]), ["a"]);
        assert_eq!(gone(&[brief("a", "a", Some("missing"))]), Vec::<String>::new());
    }

    #[test]
    fn pages_that_defer_to_each_other_all_stay() {
        let cycle = [brief("a", "a", Some("b")), brief("b", "b", Some("a"))];
        assert_eq!(gone(&cycle), Vec::<String>::new());
    }

    #[test]
    fn pages_of_an_earlier_round_stay() {
        let earlier = HashSet::from(["c".to_owned()]);
        let briefs = [brief("a", "a", Some("c")), brief("b", "c", None), brief("d", "d", None)];
        let mut gone: Vec<_> = duplicates(&briefs, &earlier).into_keys().collect();
        gone.sort();
        assert_eq!(gone, ["a", "b"]);
    }
}
