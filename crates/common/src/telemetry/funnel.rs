//! The funnel: what went into each step, what came out, and why the rest did not.

use std::collections::BTreeMap;

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, Table};
use magiclens_core::Reason;

use super::visible;

/// One step of the funnel.
#[derive(Clone, Debug, Default)]
pub struct Step {
    /// Name of the table that the step makes.
    pub name: String,
    /// Records in.
    pub input: u64,
    /// Records out.
    pub output: u64,
    /// Turned down by a rule, by reason.
    pub rejected: BTreeMap<Reason, u64>,
    /// Wanted and not had, by reason.
    pub failed: BTreeMap<Reason, u64>,
    /// Records that are kept as work in progress.
    pub pending: u64,
    /// Bytes of committed files.
    pub bytes: u64,
    /// Progress of the step, if it is not finished.
    pub note: String,
}

/// Draws the funnel as a table.
pub fn funnel(steps: &[Step]) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY);
    table.set_header(["step", "in", "out", "rejected", "failed", "reasons"]);
    for step in steps {
        let sum = |reasons: &BTreeMap<Reason, u64>| reasons.values().sum::<u64>().to_string();
        let note = if step.note.is_empty() {
            String::new()
        } else {
            format!(" ({})", visible(&step.note))
        };
        table.add_row([
            format!("{}{note}", step.name),
            step.input.to_string(),
            step.output.to_string(),
            sum(&step.rejected),
            sum(&step.failed),
            reasons(step),
        ]);
    }
    for column in 1..5 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.to_string()
}

/// The reasons of a step, the commonest first.
fn reasons(step: &Step) -> String {
    let mut all: Vec<_> = step.rejected.iter().chain(&step.failed).collect();
    all.sort_by_key(|(reason, n)| (std::cmp::Reverse(**n), reason.as_str()));
    let lines: Vec<_> = all.iter().map(|(reason, n)| format!("{} {n}", reason.as_str())).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_come_commonest_first() {
        let step = Step {
            name: "images".into(),
            input: 10,
            output: 4,
            rejected: BTreeMap::from([(Reason::NotImage, 1), (Reason::HttpClientError, 3)]),
            failed: BTreeMap::from([(Reason::Timeout, 2)]),
            note: "2 of 16 parts".into(),
            ..Step::default()
        };
        insta::assert_snapshot!(funnel(&[step]), @r"
        ┌─────────────────────────────────────────────────────────────────────────────┐
        │ step                     in   out   rejected   failed   reasons             │
        ╞═════════════════════════════════════════════════════════════════════════════╡
        │ images (2 of 16 parts)   10     4          4        2   http_client_error 3 │
        │                                                         timeout 2           │
        │                                                         not_image 1         │
        └─────────────────────────────────────────────────────────────────────────────┘
        ");
    }
}
