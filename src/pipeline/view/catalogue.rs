//! The triplets of a run, without their images: what a gallery shows and filters by.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use serde::{Deserialize, Serialize};

use crate::record::{Reason, Reject, Side, TripletText};
use crate::store::{Manifest, Row, RunDir, Store, StoreError, read_rows};
use crate::table::columns::{required, text};
use crate::table::{TRIPLET_PLAN, TRIPLETS};
use crate::telemetry::excerpt;

/// Characters of a text that are shown: pages may say a megabyte.
const TEXT: usize = 400;
/// Characters of an address.
const ADDRESS: usize = 2000;

/// Locator of an image in `images`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) part: u32,
    pub(crate) row: u32,
}

/// The columns of `triplet_plan` that are read.
#[derive(Debug, Serialize, Deserialize)]
struct PlanRow {
    triplet_id: String,
    text: TripletText,
    query: Place,
    target: Place,
}

impl Row for PlanRow {
    fn fields() -> Vec<FieldRef> {
        let place = || {
            let fields =
                vec![required("part", DataType::UInt32), required("row", DataType::UInt32)];
            DataType::Struct(fields.into())
        };
        vec![
            text("triplet_id"),
            required("text", DataType::Struct(TripletText::fields().into())),
            required("query", place()),
            required("target", place()),
        ]
    }

    fn weight(&self) -> usize {
        self.text.weight() + 100
    }
}

/// One image of a triplet.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Pictured {
    #[serde(skip)]
    pub(crate) place: Place,
    url: Box<str>,
    caption: Box<str>,
    width: u32,
    height: u32,
    pub(crate) rights: Option<Arc<str>>,
}

/// A triplet as it is shown.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Card {
    pub(crate) id: Arc<str>,
    pub(crate) instruction: Box<str>,
    /// The instruction as it is searched.
    #[serde(skip)]
    pub(crate) folded: Box<str>,
    relation: Box<str>,
    pub(crate) query: Pictured,
    pub(crate) target: Pictured,
    page: Arc<str>,
    title: Arc<str>,
    pub(crate) domain: Arc<str>,
    pub(crate) language: Arc<str>,
    pub(crate) split: &'static str,
    pub(crate) visual: f32,
    pub(crate) text: f32,
    pub(crate) generator: Arc<str>,
    /// Reason why the triplet is planned but not exported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) left_out: Option<&'static str>,
}

impl Card {
    /// Returns the key that samples of triplets are drawn by: ids are hashes, so their prefixes are as good
    /// as random.
    pub(crate) fn lot(&self) -> u64 {
        let lot = self.id.get(..16).and_then(|start| u64::from_str_radix(start, 16).ok());
        lot.unwrap_or(u64::MAX)
    }

    /// Returns true if the triplet shows an image with this address, or is from the page with this address.
    pub(crate) fn is_of(&self, url: &str) -> bool {
        *self.query.url == *url || *self.target.url == *url || *self.page == *url
    }
}

/// One string for all that say the same.
#[derive(Default)]
struct Names(HashMap<Box<str>, Arc<str>>);

/// Names that are kept, at most: pages come and go, domains return.
const NAMES: usize = 100_000;

impl Names {
    fn of(&mut self, text: &str, most: usize) -> Arc<str> {
        let text = excerpt(text, most);
        if let Some(known) = self.0.get(text.as_str()) {
            return Arc::clone(known);
        }
        if self.0.len() >= NAMES {
            self.0.clear();
        }
        let name: Arc<str> = text.as_str().into();
        self.0.insert(text.into(), Arc::clone(&name));
        name
    }
}

/// Makes cards of rows.
#[derive(Default)]
pub(crate) struct Cards {
    names: Names,
    /// By half of an id: there may be as many as triplets.
    left_out: HashMap<[u8; 16], Reason>,
}

fn half(id: &str) -> Option<[u8; 16]> {
    let mut half = [0; 16];
    hex::decode_to_slice(id.get(..32)?, &mut half).ok()?;
    Some(half)
}

impl Cards {
    /// Reads first which triplets are planned and not exported.
    pub(crate) async fn new(dir: &RunDir) -> Result<Self, StoreError> {
        let mut left_out = HashMap::new();
        for part in dir.manifests(TRIPLETS).await? {
            let Some(file) = part.files.get("rejects") else { continue };
            let mut rows = read_rows::<Reject>(dir.store(), &file.path, 1024).await?;
            while let Some(batch) = rows.next().await? {
                for reject in batch {
                    if let Some(id) = reject.detail.strip_prefix("triplet ").and_then(half) {
                        left_out.insert(id, reject.reason);
                    }
                }
            }
        }
        Ok(Self { names: Names::default(), left_out })
    }

    /// Shows every triplet of a part, until `see` has had enough.
    pub(crate) async fn each(
        &mut self,
        store: &Store,
        part: &Manifest,
        mut see: impl FnMut(Card) -> bool,
    ) -> Result<(), StoreError> {
        let Some(file) = part.files.get("rows") else { return Ok(()) };
        let mut rows = read_rows::<PlanRow>(store, &file.path, 512).await?;
        while let Some(batch) = rows.next().await? {
            for row in batch {
                if !see(self.card(row)) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn card(&mut self, PlanRow { triplet_id, text, query, target }: PlanRow) -> Card {
        let left_out = half(&triplet_id).and_then(|id| self.left_out.get(&id));
        let left_out = left_out.map(|reason| reason.as_str());
        let names = &mut self.names;
        let instruction = excerpt(&text.instruction, TEXT);
        Card {
            id: triplet_id.into(),
            folded: instruction.to_lowercase().into(),
            instruction: instruction.into(),
            relation: excerpt(&text.relation, TEXT).into(),
            query: pictured(text.query, query, names),
            target: pictured(text.target, target, names),
            page: names.of(&text.page_url, ADDRESS),
            title: names.of(&text.page_title, TEXT),
            domain: names.of(&text.domain, TEXT),
            language: names.of(text.language.as_deref().unwrap_or("unknown"), TEXT),
            split: text.split.as_str(),
            visual: text.visual_similarity,
            text: text.text_similarity,
            generator: names.of(&text.generator, TEXT),
            left_out,
        }
    }
}

fn pictured(side: Side, place: Place, names: &mut Names) -> Pictured {
    Pictured {
        place,
        url: excerpt(&side.url, ADDRESS).into(),
        caption: excerpt(&side.caption, TEXT).into(),
        width: side.width,
        height: side.height,
        rights: side.rights.map(|rights| names.of(&rights, TEXT)),
    }
}

/// Triplets that are held in memory, at most: some 150 MB.
pub(crate) const MOST: usize = 200_000;

/// Triplets of one committed file.
#[derive(Clone)]
struct Part {
    file: String,
    cards: Arc<[Arc<Card>]>,
}

/// All triplets of a run.
#[derive(Clone, Default)]
pub(crate) struct Catalogue {
    parts: BTreeMap<u32, Part>,
    /// What of it was left out is known by the parts of `triplets`.
    exported: Vec<String>,
    /// All of them by id: neighbours are of different sites.
    order: Vec<Arc<Card>>,
    /// Triplets that are not held.
    pub(crate) unread: u64,
}

impl Catalogue {
    /// Reads what was committed since it was read last; none where that is nothing.
    pub(crate) async fn refreshed(&self, dir: &RunDir) -> Result<Option<Self>, StoreError> {
        let planned = dir.manifests(TRIPLET_PLAN).await?;
        let exported = dir.manifests(TRIPLETS).await?;
        let path = |part: &Manifest, output| part.files.get(output).map(|file| file.path.clone());
        let exported: Vec<String> =
            exported.iter().filter_map(|part| path(part, "rejects")).collect();
        let is_same = |part: &Manifest| {
            let known = self.parts.get(&part.part).map(|known| known.file.as_str());
            known == Some(path(part, "rows").unwrap_or_default().as_str())
        };
        let knows_fates = exported == self.exported;
        if knows_fates && planned.len() == self.parts.len() && planned.iter().all(is_same) {
            return Ok(None);
        }
        let mut cards = Cards::new(dir).await?;
        let mut fresh = Self { exported, ..Self::default() };
        let mut held = 0;
        for part in &planned {
            let rows = part.rows("rows");
            let known = self.parts.get(&part.part).filter(|_| knows_fates && is_same(part));
            let found: Arc<[_]> = match known {
                Some(known) => Arc::clone(&known.cards),
                None => {
                    let mut found = Vec::new();
                    let room = MOST.saturating_sub(held);
                    let see = |card| {
                        if found.len() < room {
                            found.push(Arc::new(card));
                        }
                        found.len() < room
                    };
                    if room > 0 {
                        cards.each(dir.store(), part, see).await?;
                    }
                    found.into()
                }
            };
            held += found.len();
            fresh.unread += rows - found.len() as u64;
            let file = path(part, "rows").unwrap_or_default();
            fresh.parts.insert(part.part, Part { file, cards: found });
        }
        fresh.order = fresh.parts.values().flat_map(|part| part.cards.iter().cloned()).collect();
        fresh.order.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(Some(fresh))
    }

    /// All that are held, by id.
    pub(crate) fn cards(&self) -> impl Iterator<Item = &Card> {
        self.order.iter().map(|card| &**card)
    }

    /// One of them.
    pub(crate) fn get(&self, id: &str) -> Option<&Card> {
        let found = self.order.binary_search_by(|card| (*card.id).cmp(id)).ok()?;
        Some(&self.order[found])
    }
}

/// The smallest of many by a hash: a sample that does not depend on their order.
pub(crate) struct Smallest<T> {
    most: usize,
    held: Vec<(Reverse<u64>, T)>,
}

impl<T> Smallest<T> {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, held: Vec::with_capacity(most) }
    }

    /// Takes it where its hash is among the smallest; `make` is called only then.
    pub(crate) fn offer(&mut self, hash: u64, make: impl FnOnce() -> T) {
        let is_full = self.held.len() == self.most;
        if is_full && self.held.first().is_none_or(|(Reverse(largest), _)| hash >= *largest) {
            return;
        }
        if is_full {
            self.held.remove(0);
        }
        let at = self.held.partition_point(|(held, _)| *held < Reverse(hash));
        self.held.insert(at, (Reverse(hash), make()));
    }

    pub(crate) fn into_vec(self) -> Vec<T> {
        self.held.into_iter().rev().map(|(_, value)| value).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(id: &str) -> Card {
        let row = PlanRow {
            triplet_id: id.into(),
            text: TripletText { page_title: "x".repeat(1 << 20), ..TripletText::default() },
            query: Place::default(),
            target: Place::default(),
        };
        Cards::default().card(row)
    }

    #[test]
    fn a_sample_is_the_same_whatever_the_order() {
        let ids: Vec<String> = (0..100).map(|n| format!("{:016x}", n * 37 % 100)).collect();
        let sample = |ids: Vec<&String>| {
            let mut sample = Smallest::new(5);
            for card in ids.into_iter().map(|id| card(id)) {
                sample.offer(card.lot(), || card);
            }
            sample.into_vec().into_iter().map(|card| card.id.to_string()).collect::<Vec<_>>()
        };
        let forwards = sample(ids.iter().collect());
        assert_eq!(forwards, [0, 1, 2, 3, 4].map(|n| format!("{n:016x}")));
        assert_eq!(sample(ids.iter().rev().collect()), forwards);

        let mut smallest = Smallest::new(3);
        (0..50_u64).for_each(|n| smallest.offer(n * 31 % 50, || n * 31 % 50));
        assert_eq!(smallest.into_vec(), [0, 1, 2]);
    }

    #[test]
    fn a_megabyte_of_title_is_cut() {
        assert_eq!(card("a").title.chars().count(), TEXT + 1);
    }
}
