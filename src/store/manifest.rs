//! What commits a part: its files, what went in and out, and what it depended on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::record::{Class, Reason};

/// `part-00042.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The table this is a part of.
    pub table: String,
    /// Part number.
    pub part: u32,
    /// The files of this part by output: `rows`, `rejects`, `outbox`. An output without rows has
    /// no file.
    pub files: BTreeMap<String, FileInfo>,
    /// What went in and what came of it.
    pub counts: Counts,
    /// What the input held beside records for this table, by kind: neither in nor out.
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

/// One committed file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileInfo {
    /// Path below the run directory.
    pub path: String,
    /// Rows in it.
    pub rows: u64,
    /// Its size.
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

    /// Records that could not be had.
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

    /// Whether nothing got lost.
    pub fn conserved(&self) -> bool {
        self.input == self.accounted()
    }

    /// Records out, rejected and failed together.
    pub fn accounted(&self) -> u64 {
        self.output + self.rejected_total() + self.failed_total()
    }
}
