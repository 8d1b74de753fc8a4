//! One run by several processes, each of which has a slice.

mod crash;
mod early;
mod hosts;

use std::process::{Child, Command, Stdio};

use crate::support::{Mined, wait};

/// A process with a slice.
fn slice(mined: &Mined, out: &str, slice: &str, more: &[&str]) -> Command {
    let mut command = mined.command(out);
    command.args(["--slice", slice, "--set", "run.slice_wait_s=60"]).args(more);
    command
}

/// Starts it; what it says goes to a file.
fn start(mut command: Command, mined: &Mined, name: &str) -> Child {
    let log = std::fs::File::create(mined.folder.path().join(format!("{name}.log"))).unwrap();
    command.stdout(Stdio::null()).stderr(log).spawn().unwrap()
}

/// What it said.
fn said(mined: &Mined, name: &str) -> String {
    std::fs::read_to_string(mined.folder.path().join(format!("{name}.log"))).unwrap()
}

/// All of them come to an end, as they should; what all said, where one does not: the others wait for it.
async fn all_end_well(children: Vec<Child>, mined: &Mined) {
    let mut ends = Vec::new();
    for child in children {
        ends.push(wait(child).await.success());
    }
    let said: Vec<String> = (0..ends.len()).map(|n| said(mined, &n.to_string())).collect();
    assert!(ends.iter().all(|ended_well| *ended_well), "{ends:?}\n{}", said.join("\n"));
}
