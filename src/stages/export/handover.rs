//! What comes after mining: the command that trains on these shards, said at the end of a run.

use super::Shards;
use crate::config::ExportImages;
use crate::record::Split;
use crate::stages::context::Context;

/// Triplets of a step as the trainer has it by default: the paper's (arXiv 2403.19651, section 4.1).
const PAPERS_BATCH: u64 = 2048;

/// Logs the command; what is missing where there is nothing to train on.
pub fn tell(ctx: &Context, triplets: &Shards) {
    let shards = triplets.iter().filter(|(split, _)| *split == Split::Train);
    let rows = shards.flat_map(|(_, parts)| parts).map(|part| part.rows("rows")).sum();
    let dir = ctx.run.store().location();
    match (ctx.config.export.images, command(dir, rows)) {
        (_, None) => tracing::info!("no pair of triplets in the train split: nothing to train on"),
        (ExportImages::None, _) => {
            tracing::info!("to train on these, fetch their images with mine rehydrate first");
        }
        (ExportImages::Bytes, Some(command)) => tracing::info!("to train on these: {command}"),
    }
}

/// The command for so many rows; `None` where they make no contrast.
fn command(dir: &str, rows: u64) -> Option<String> {
    let quoted = |text: &str| {
        shlex::try_quote(text).map_or_else(|_| format!("{text:?}"), |text| text.into_owned())
    };
    // Checkpoints are written to local disk.
    let out = match dir.rsplit_once('/') {
        Some((_, name)) if dir.contains("://") => format!("{name}-train"),
        _ => format!("{dir}-train"),
    };
    let mut command = format!("train --shards {} --out {}", quoted(dir), quoted(&out));
    if rows < PAPERS_BATCH {
        // A power of two that leaves room for triplets of one page, which no batch shares.
        let batch = (rows / 2).checked_ilog2().map(|log| 1_u64 << log).filter(|&size| size > 1)?;
        command += &format!(" --set batch.size={batch} --set batch.chunk={}", batch.min(128));
    }
    Some(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_triplets_are_trained_on_as_the_paper_does() {
        let command = |dir: &str| command(dir, 36_700_000).unwrap();
        assert_eq!(command("runs/mine"), "train --shards runs/mine --out runs/mine-train");
        let remote = "train --shards s3://b/runs/mine --out mine-train";
        assert_eq!(command("s3://b/runs/mine"), remote);
        assert_eq!(command("my runs"), "train --shards 'my runs' --out 'my runs-train'");
    }

    #[test]
    fn few_triplets_make_a_small_batch() {
        let command = |rows| command("d", rows);
        let ends = |rows, end: &str| assert!(command(rows).unwrap().ends_with(end), "{rows}");
        ends(145, " --set batch.size=64 --set batch.chunk=64");
        ends(2047, " --set batch.size=512 --set batch.chunk=128");
        ends(4, " --set batch.size=2 --set batch.chunk=2");
        assert_eq!([command(3), command(1), command(0)], [None, None, None]);
    }
}
