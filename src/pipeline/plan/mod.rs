//! `mine plan`: from what a finished run took to what another number of triplets will take.

mod estimate;
mod measured;
mod report;

use serde_json::json;

use super::RunError;
use super::status::existing;
use crate::config::Layers;
use crate::telemetry::say;
use estimate::{Layout, estimate, number};

/// Prints the plan as tables, or as JSON. `layers` may bring other prices, machines and yields.
pub async fn plan(
    from: &str,
    target: &str,
    layers: &Layers,
    as_json: bool,
) -> Result<(), RunError> {
    let target = number(target).ok_or_else(|| RunError::Number(target.to_owned()))?;
    let dir = existing(from).await?;
    let kept = dir.kept().await?.unwrap_or_default();
    let config = Layers { run_dir: Some(kept.config), ..layers.clone() }.load()?;
    let run = measured::run(from, &dir, &config).await?;
    let layout = Layout {
        host_rate: config.http.host_rate,
        segment_bytes: config.store.segment_bytes as u64,
    };
    let found = estimate(&run, target, &config.plan, layout);
    if as_json {
        let all = json!({ "measured": run, "prices": config.plan, "estimate": found });
        say(serde_json::to_string_pretty(&all).expect("a plan is plain data"));
    } else {
        say(report::report(&run, &found, &config.plan));
    }
    Ok(())
}
