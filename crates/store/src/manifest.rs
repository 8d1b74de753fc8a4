//! The manifest that commits a part: its files, its counts, and the fingerprint of its table.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use magiclens_core::{Class, Reason};

/// `part-00042.json`. A field that is added later has a default, for the manifests that lack it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The table this is a part of.
    pub table: String,
    /// Part number.
    pub part: u32,
    /// The files of this part by output: `rows`, `rejects`, `outbox`. An output without rows has
    /// no file.
    pub files: BTreeMap<String, FileInfo>,
    /// Records in, out, rejected and failed.
    pub counts: Counts,
    /// Number of input items that are no records for this table, by kind. They count neither as in nor as
    /// out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub passed_over: BTreeMap<String, u64>,
    /// Hash of the table's fingerprint.
    pub fingerprint: String,
    /// Version of the software that wrote it.
    pub software: String,
}

impl Manifest {
    /// Rows of one output.
    pub fn rows(&self, output: &str) -> u64 {
        self.files.get(output).map_or(0, |file| file.rows)
    }
}

/// Hashed form of an input manifest: the fields of 25d6a2e in their order, without sizes. Fields that are
/// added to manifests later do not belong here.
#[derive(Serialize)]
struct Hashed<'a> {
    table: &'a str,
    part: u32,
    files: BTreeMap<&'a str, HashedFile<'a>>,
    counts: HashedCounts<'a>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    passed_over: &'a BTreeMap<String, u64>,
    fingerprint: &'a str,
    software: &'a str,
}

#[derive(Serialize)]
struct HashedFile<'a> {
    path: &'a str,
    rows: u64,
    bytes: u64,
}

#[derive(Serialize)]
struct HashedCounts<'a> {
    input: u64,
    output: u64,
    rejected: &'a BTreeMap<Reason, u64>,
    failed: &'a BTreeMap<Reason, u64>,
}

/// Returns the text of input manifests that is hashed.
pub(super) fn hashed_text(manifests: &[Manifest]) -> String {
    let hashed: Vec<Hashed<'_>> = manifests.iter().map(Hashed::of).collect();
    serde_json::to_string(&hashed).expect("manifests are plain data")
}

impl<'a> Hashed<'a> {
    fn of(manifest: &'a Manifest) -> Self {
        let Counts { input, output, rejected, failed } = &manifest.counts;
        let file = |of: &'a FileInfo| HashedFile { path: &of.path, rows: of.rows, bytes: 0 };
        Self {
            table: &manifest.table,
            part: manifest.part,
            files: manifest.files.iter().map(|(output, of)| (output.as_str(), file(of))).collect(),
            counts: HashedCounts { input: *input, output: *output, rejected, failed },
            passed_over: &manifest.passed_over,
            fingerprint: &manifest.fingerprint,
            software: &manifest.software,
        }
    }
}

/// One committed file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileInfo {
    /// Path below the run directory.
    pub path: String,
    /// Rows in it.
    pub rows: u64,
    /// Size of the file.
    pub bytes: u64,
}

/// in = out + rejected + failed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Records that went in.
    pub input: u64,
    /// Records that came out.
    pub output: u64,
    /// Turned down by a rule, by reason.
    pub rejected: BTreeMap<Reason, u64>,
    /// Wanted and not had, by reason.
    pub failed: BTreeMap<Reason, u64>,
}

impl Counts {
    /// Adds one reject under its class.
    pub fn reject(&mut self, reason: Reason) {
        let side = match reason.class() {
            Class::Rejected => &mut self.rejected,
            Class::Failed => &mut self.failed,
        };
        *side.entry(reason).or_default() += 1;
    }

    /// Records turned down by a rule.
    pub fn rejected_total(&self) -> u64 {
        self.rejected.values().sum()
    }

    /// Number of records that failed, over all reasons.
    pub fn failed_total(&self) -> u64 {
        self.failed.values().sum()
    }

    /// Adds another part's counts.
    pub fn add(&mut self, other: &Self) {
        self.input += other.input;
        self.output += other.output;
        for (mine, theirs) in
            [(&mut self.rejected, &other.rejected), (&mut self.failed, &other.failed)]
        {
            for (&reason, n) in theirs {
                *mine.entry(reason).or_default() += n;
            }
        }
    }

    /// Returns true if in = out + rejected + failed.
    pub fn conserved(&self) -> bool {
        self.input == self.accounted()
    }

    /// Records out, rejected and failed together.
    pub fn accounted(&self) -> u64 {
        self.output + self.rejected_total() + self.failed_total()
    }
}
