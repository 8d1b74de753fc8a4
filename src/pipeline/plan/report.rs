//! The plan as tables for people.

use std::fmt::Write;

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, Table};

use super::estimate::{Estimate, Run};
use crate::config::Plan as Prices;

/// All of it: what was measured, what follows, and what is taken on trust.
pub fn report(run: &Run, estimate: &Estimate, prices: &Prices) -> String {
    let mut text = format!(
        "measured: {} triplets of {} pages\n{}\n\nfor {} triplets at {:.3} a page: {} pages\n{}\n{}\n",
        run.triplets,
        run.pages,
        measured(run),
        short(estimate.target_triplets),
        estimate.triplets_per_page,
        short(estimate.pages),
        stages(estimate),
        totals(estimate, prices),
    );
    text.push_str(&doubts(run, prices));
    text
}

fn table<const N: usize>(head: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY).set_header(head);
    rows.for_each(|row| {
        table.add_row(row);
    });
    for column in 2..N {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.to_string()
}

fn measured(run: &Run) -> String {
    let head =
        ["stage", "unit", "made", "CPU ms each", "kB kept each", "requests", "calls", "peak MB"];
    let rows = run.stages.iter().map(|stage| {
        let each = |value: f64| value / (stage.units as f64).max(1.0);
        [
            stage.stage.to_owned(),
            stage.unit.to_owned(),
            stage.units.to_string(),
            stage.cpu_s.map_or("?".into(), |cpu| format!("{:.2}", each(cpu * 1e3))),
            format!("{:.2}", each(stage.stored_bytes as f64 / 1e3)),
            stage.requests.to_string(),
            stage.calls.to_string(),
            (stage.peak_bytes / 1_000_000).to_string(),
        ]
    });
    table(head, rows)
}

fn stages(estimate: &Estimate) -> String {
    let head = [
        "stage",
        "unit",
        "to make",
        "core hours",
        "GB kept",
        "requests",
        "calls",
        "tokens in",
        "out",
        "cost of model",
    ];
    let rows = estimate.stages.iter().map(|stage| {
        [
            stage.stage.to_owned(),
            stage.unit.to_owned(),
            short(stage.units),
            stage.core_hours.map_or("?".into(), short),
            short(stage.stored_bytes / 1e9),
            short(stage.requests),
            short(stage.calls),
            short(stage.tokens_in),
            short(stage.tokens_out),
            format!("{:.2}", stage.model_cost),
        ]
    });
    table(head, rows)
}

fn totals(estimate: &Estimate, prices: &Prices) -> String {
    let Estimate { machines, hours, core_hours, money, store_requests: [puts, gets], .. } =
        estimate;
    let mut text = format!(
        "machines: {machines}, of {} cores each, for {hours:.1} hours ({} core hours, {:.0} % of the time at work)\n",
        prices.machine_cores,
        short(*core_hours),
        prices.utilisation * 100.0,
    );
    let _ = writeln!(
        text,
        "{} requests to sites: in {} hours {} hosts at once, all the while, and {} Mbit/s",
        short(estimate.requests),
        prices.hours,
        short(estimate.hosts_at_once.ceil()),
        short(estimate.received_bits_per_s / 1e6),
    );
    let _ = writeln!(
        text,
        "{} GB kept, {} writes and {} reads of the object store",
        short(estimate.stored_bytes / 1e9),
        short(*puts),
        short(*gets),
    );
    let _ = writeln!(
        text,
        "cost: {:.2} compute + {:.2} storage ({} months) + {:.2} requests + {:.2} traffic + {:.2} models = {:.2}",
        money.compute,
        money.storage,
        prices.months,
        money.store_requests,
        money.received,
        money.models,
        money.total,
    );
    text
}

/// Lists the assumptions of the estimate.
fn doubts(run: &Run, prices: &Prices) -> String {
    let mut lines = vec![
        "all that a stage takes is proportional to what it makes; the yield of other sites is another \
         (plan.triplets_per_page)"
            .to_owned(),
        "prices, machines and utilisation are those of [plan] and [budget.prices]: put in your own".into(),
    ];
    let unknown: Vec<&str> =
        run.stages.iter().filter(|s| s.cpu_s.is_none()).map(|s| s.stage).collect();
    if !unknown.is_empty() {
        lines.push(format!("no CPU time is written down of {}: counted as 0", unknown.join(", ")));
    }
    if prices.triplets_per_page == 0.0 {
        lines.push(format!(
            "{:.3} triplets a page is this run's yield",
            run.triplets as f64 / run.pages.max(1) as f64
        ));
    }
    for stage in &run.stages {
        if let Some((model, price)) = &stage.model
            && price.input == 0.0
            && price.output == 0.0
        {
            lines.push(format!(
                "{model} has no price in [budget.prices]: its tokens cost nothing here"
            ));
        }
    }
    lines.iter().map(|line| format!("assumed: {line}\n")).collect()
}

/// Three digits and a letter.
fn short(value: f64) -> String {
    let letters = [(1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")];
    match letters.iter().find(|(from, _)| value >= *from) {
        Some((from, letter)) if value / from < 10.0 => format!("{:.2}{letter}", value / from),
        Some((from, letter)) => format!("{:.1}{letter}", value / from),
        None if value == 0.0 || value >= 10.0 => format!("{value:.0}"),
        None => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (0.126, "0.13"),
            (42.0, "42"),
            (1234.0, "1.23k"),
            (36_700_000.0, "36.7M"),
            (2e9, "2.00B"),
        ] {
            assert_eq!(short(value), text);
        }
    }
}
