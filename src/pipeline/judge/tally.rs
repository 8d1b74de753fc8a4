//! Summary of verdicts: wins, ties and losses, with their confidence intervals.

use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use serde::Serialize;

use super::subject::Subject;
use super::verdicts::{ByItem, Verdict};

/// The normal distribution's quantile of a two-sided interval of 95 %.
const Z: f64 = 1.959_963_985;

/// Result of a subject by items; an item with several verdicts counts by their majority.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Tally {
    items: usize,
    judged: usize,
    judges: usize,
    rows: Vec<Row>,
    /// Of items that several judged: how many, and on how many of them all said the same.
    shared: usize,
    agreed: usize,
    passed_over: Vec<(String, usize)>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Row {
    name: String,
    count: usize,
    /// Of what.
    of: usize,
}

impl Tally {
    /// Counts verdicts about items of the subject; others are passed over.
    pub fn of(subject: &Subject, given: &ByItem) -> Self {
        let mut judges: Vec<&String> = Vec::new();
        let (mut settled, mut shared, mut agreed) = (Vec::new(), 0, 0);
        for item in subject.items.iter() {
            let Some(of_item) = given.get(&item.id) else { continue };
            let fits = |(_, verdict): &(&String, &Verdict)| {
                verdict.is_of_sides() == subject.names.is_some()
            };
            let said: Vec<_> = of_item.iter().filter(fits).collect();
            judges.extend(said.iter().map(|(judge, _)| *judge));
            let verdicts: Vec<Verdict> = said.iter().map(|(_, verdict)| **verdict).collect();
            settled.extend(majority(&verdicts));
            if verdicts.len() > 1 {
                shared += 1;
                agreed += usize::from(verdicts.iter().all(|verdict| *verdict == verdicts[0]));
            }
        }
        judges.sort_unstable();
        judges.dedup();
        let rows = rows(subject.names.as_ref(), &settled);
        let (items, judged) = (subject.items.len(), settled.len());
        let passed_over = subject.passed_over.iter().filter(|(_, count)| *count > 0).cloned();
        let passed_over = passed_over.collect();
        Self { items, judged, judges: judges.len(), rows, shared, agreed, passed_over }
    }

    /// For the terminal.
    pub fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED).set_header(["", "items", "share", "95 %"]);
        for row in &self.rows {
            let [low, share, high] = interval(row.count, row.of);
            let (share, bounds) = match row.of {
                0 => (String::new(), String::new()),
                _ => (format!("{share:.1} %"), format!("{low:.1} – {high:.1} %")),
            };
            table.add_row([row.name.clone(), row.count.to_string(), share, bounds]);
        }
        let mut text = format!("{table}\n{} of {} judged", self.judged, self.items);
        if self.judges > 1 {
            text.push_str(&format!(
                " by {}, who agree on {} of {} that several judged",
                self.judges, self.agreed, self.shared
            ));
        }
        for (why, count) in &self.passed_over {
            text.push_str(&format!("\nleft out: {count}, {why}"));
        }
        text
    }
}

fn rows(names: Option<&[String; 2]>, settled: &[Verdict]) -> Vec<Row> {
    let count = |wanted: Verdict| settled.iter().filter(|verdict| **verdict == wanted).count();
    let row = |name: String, count: usize, of: usize| Row { name, count, of };
    let all = settled.len();
    let Some([a, b]) = names else {
        return [("good", Verdict::Good), ("bad", Verdict::Bad), ("unsure", Verdict::Unsure)]
            .map(|(name, verdict)| row(name.into(), count(verdict), all))
            .into();
    };
    let (wins, losses) = (count(Verdict::A), count(Verdict::B));
    vec![
        row(a.clone(), wins, all),
        row(b.clone(), losses, all),
        row("tie".into(), count(Verdict::Tie), all),
        row(format!("{a}, of those decided"), wins, wins + losses),
    ]
}

/// Returns the most frequent verdict; if no side has more, a tie or "unsure".
fn majority(verdicts: &[Verdict]) -> Option<Verdict> {
    let first = *verdicts.first()?;
    let count = |wanted: Verdict| verdicts.iter().filter(|verdict| **verdict == wanted).count();
    let most = verdicts.iter().copied().max_by_key(|verdict| count(*verdict))?;
    let is_split = verdicts.iter().any(|other| *other != most && count(*other) == count(most));
    match is_split {
        false => Some(most),
        true if first.is_of_sides() => Some(Verdict::Tie),
        true => Some(Verdict::Unsure),
    }
}

/// Wilson's score interval of a share, in percent: lower bound, share, upper bound.
fn interval(count: usize, of: usize) -> [f64; 3] {
    let (count, n) = (count as f64, of as f64);
    let share = count / n;
    let middle = (share + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    let half = Z / (1.0 + Z * Z / n) * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    [middle - half, share, middle + half].map(|share| 100.0 * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_wilsons() {
        // Newcombe (1998), table I: 81 of 263, 15 of 148, 0 of 20.
        for (count, of, low, high) in
            [(81, 263, 25.53, 36.62), (15, 148, 6.24, 16.05), (0, 20, 0.0, 16.11)]
        {
            let [lower, _, upper] = interval(count, of);
            assert!((lower - low).abs() < 0.005 && (upper - high).abs() < 0.005, "{lower} {upper}");
        }
    }

    #[test]
    fn a_majority_decides_and_none_is_a_tie() {
        use Verdict::{A, B, Bad, Good, Tie, Unsure};
        assert_eq!(majority(&[]), None);
        assert_eq!(majority(&[A]), Some(A));
        assert_eq!(majority(&[A, B]), Some(Tie));
        assert_eq!(majority(&[A, B, B]), Some(B));
        assert_eq!(majority(&[A, B, Tie]), Some(Tie));
        assert_eq!(majority(&[Good, Bad]), Some(Unsure));
    }
}
