//! Examples of what was turned down, for each table and reason, and how alike rejected pairs were.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use serde::Serialize;

use super::Viewed;
use super::catalogue::Smallest;
use super::tally::Similarities;
use crate::record::{Reason, Reject};
use crate::store::{StoreError, read_rows};
use crate::table::PAIRS;
use crate::telemetry::excerpt;

/// Examples of a reason in a table.
const EXAMPLES: usize = 12;
/// Rejects of one table that are looked at: parts share them.
const LOOKED_AT: u64 = 4_000_000;
/// Characters of an example's texts.
const TEXT: usize = 600;

/// A reject as it is shown.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Example {
    pub(crate) url: String,
    page: String,
    detail: String,
    /// The image as a `data:` address, if one is available.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) image: Option<String>,
}

impl Example {
    fn of(reject: Reject) -> Self {
        let Reject { url, page_url, detail, .. } = reject;
        // Addresses are whole: they find the image.
        Self { url, page: page_url, detail: excerpt(&detail, TEXT), image: None }
    }

    /// For people, once the image is found.
    pub(crate) fn shorten(&mut self) {
        self.url = excerpt(&self.url, TEXT);
        self.page = excerpt(&self.page, TEXT);
    }
}

/// Examples by table and reason.
pub(crate) type Examples = BTreeMap<&'static str, BTreeMap<&'static str, Vec<Example>>>;

/// Examples and similarities from the rejects.
pub(crate) struct Rejected {
    pub(crate) examples: Examples,
    /// Of pairs that were turned down.
    pub(crate) visual: Similarities,
    pub(crate) text: Similarities,
}

/// Returns false for reasons whose images are never shown, such as unsafe ones.
pub(crate) fn is_shown(reason: &str) -> bool {
    let hidden = [Reason::Unsafe, Reason::Blocklist, Reason::Forgotten, Reason::ReviewedUnsafe];
    hidden.iter().all(|hidden| hidden.as_str() != reason)
}

/// Reads the rejects of these tables.
pub(crate) async fn read(viewed: &Viewed, tables: &[&'static str]) -> Result<Rejected, StoreError> {
    let mut rejected = Rejected {
        examples: Examples::new(),
        visual: Similarities::default(),
        text: Similarities::default(),
    };
    for &table in tables {
        of_table(viewed, table, &mut rejected).await?;
    }
    Ok(rejected)
}

async fn of_table(
    viewed: &Viewed,
    table: &'static str,
    rejected: &mut Rejected,
) -> Result<(), StoreError> {
    let manifests = viewed.dir.manifests(table).await?;
    let of_part = LOOKED_AT / manifests.len().max(1) as u64;
    let mut found: HashMap<Reason, Smallest<Example>> = HashMap::new();
    for file in manifests.iter().filter_map(|part| part.files.get("rejects")) {
        let mut rows = read_rows::<Reject>(viewed.dir.store(), &file.path, 1024).await?;
        let mut looked_at = 0;
        while let Some(batch) = rows.next().await? {
            looked_at += batch.len() as u64;
            for reject in batch {
                if table == PAIRS
                    && let Some((visual, text)) = similarities(&reject.detail)
                {
                    rejected.visual.add(visual);
                    rejected.text.add(text);
                }
                let stones = &viewed.tombstones;
                // A row that was blanked has no address.
                let is_gone = |url: &str| stones.covers_url(url);
                if reject.url.is_empty() || is_gone(&reject.url) || is_gone(&reject.page_url) {
                    continue;
                }
                let smallest =
                    found.entry(reject.reason).or_insert_with(|| Smallest::new(EXAMPLES));
                smallest.offer(hash(&reject), || Example::of(reject));
            }
            if looked_at >= of_part {
                break;
            }
        }
    }
    let by_reason = found.into_iter().map(|(reason, found)| (reason.as_str(), found.into_vec()));
    rejected.examples.insert(table, by_reason.collect());
    Ok(())
}

/// The same in every process, as [`HashMap`]'s own is not.
fn hash(reject: &Reject) -> u64 {
    let hasher = BuildHasherDefault::<DefaultHasher>::default();
    hasher.hash_one((&reject.url, &reject.page_url, &reject.detail))
}

/// Parses the detail of a pair that `pair` rejected: `… visual 0.123 text 0.456`.
fn similarities(detail: &str) -> Option<(f64, f64)> {
    let mut words = detail.rsplit(' ');
    let text = words.next()?.parse().ok()?;
    words.next().filter(|word| *word == "text")?;
    let visual = words.next()?.parse().ok()?;
    words.next().filter(|word| *word == "visual")?;
    Some((visual, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similarities_are_read_from_what_pair_says() {
        assert_eq!(similarities("http://x/a b visual 0.5 text -0.25"), Some((0.5, -0.25)));
        assert_eq!(similarities("visual 0.5 text"), None);
        assert_eq!(similarities("http://x/ visual x text 1"), None);
        assert_eq!(similarities(""), None);
    }

    #[test]
    fn images_of_what_nobody_wants_to_see_are_not_shown() {
        assert!(!is_shown("unsafe") && !is_shown("forgotten") && !is_shown("blocklist"));
        assert!(is_shown("duplicate_image"));
    }
}
