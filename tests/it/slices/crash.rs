//! Slices that are killed and started again leave what one process leaves.

use std::process::Command;

use magiclens_demo::{Options, Rng};

use super::{all_end_well, slice, start};
use crate::model_server::{Act, ModelServer, answer_for};
use crate::s3::Server;
use crate::support::{Mined, Tables, run, soak, wait};

const SLICES: usize = 4;

/// No hostile pages: they cost each run their time limits.
fn options() -> Options {
    Options { hostile: false, ..Options::default() }
}

/// Slow enough to be killed in the middle.
const PACE: [&str; 4] = ["--set", "http.host_rate=40", "--set", "store.segment_seconds=1"];

/// Starts four slices, kills two of them at some moment, starts these again, and waits for all.
async fn killed(mined: &Mined, rng: &mut Rng, command: impl Fn(usize) -> Command) -> usize {
    let mut children: Vec<_> =
        (0..SLICES).map(|index| start(command(index), mined, &format!("{index}"))).collect();
    let mut landed = 0;
    let first = rng.below(SLICES);
    for index in [first, (first + 1 + rng.below(SLICES - 1)) % SLICES] {
        let pause = 300 + rng.below(3000) as u64;
        tokio::time::sleep(std::time::Duration::from_millis(pause)).await;
        landed += usize::from(children[index].try_wait().unwrap().is_none());
        children[index].kill().unwrap();
        let again = start(command(index), mined, &format!("{index}"));
        wait(std::mem::replace(&mut children[index], again)).await;
    }
    all_end_well(children, mined).await;
    landed
}

#[tokio::test(flavor = "multi_thread")]
async fn four_slices_on_local_disk_leave_the_rows_of_one_process() {
    let mined = Mined::serve(&options()).await;
    mined.run("alone").await;
    let alone = mined.tables("alone").await;
    assert!(alone.triplets.len() > 20 && alone.images.len() > 50);
    let (mut rng, mut landed) = (Rng::new(11), 0);
    for round in 0..soak(1, 10) {
        let out = format!("sliced-{round}");
        let of = |index: usize| slice(&mined, &out, &format!("{index}/{SLICES}"), &PACE);
        landed += killed(&mined, &mut rng, of).await;
        assert_eq!(alone.difference(&mined.tables(&out).await), None, "in {out}");
    }
    assert!(landed > 0, "every slice was over before its kill");
}

#[tokio::test(flavor = "multi_thread")]
async fn four_slices_in_an_object_store_leave_the_rows_of_one_process() {
    let options = Options { sites: 4, odd: false, ..options() };
    let mined = Mined::serve_few_parts(&options).await;
    let nothing = mined.folder.path().join("nothing");
    std::fs::create_dir_all(&nothing).unwrap();
    let Some(server) = Server::start(&nothing) else { return };
    let models = ModelServer::start(|call| Act::Say(answer_for(call))).await;
    let asking = |mut command: Command| {
        models.asked_by(&mut command, &["describe", "instruct"]);
        command.envs(server.environment()).env("TMPDIR", mined.folder.path());
        command
    };
    let output = run(asking(mined.command("s3://bucket/alone"))).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let alone = Tables::of(&server.run_dir("alone", mined.folder.path())).await;
    assert!(alone.triplets.len() > 20 && alone.images.len() > 50);
    let (mut rng, mut landed) = (Rng::new(5), 0);
    for round in 0..soak(1, 10) {
        let out = format!("s3://bucket/sliced-{round}");
        let of = |index: usize| asking(slice(&mined, &out, &format!("{index}/{SLICES}"), &PACE));
        landed += killed(&mined, &mut rng, of).await;
        let dir = server.run_dir(&format!("sliced-{round}"), mined.folder.path());
        assert_eq!(alone.difference(&Tables::of(&dir).await), None, "in {out}");
        let left = dir.store().list("").await.unwrap();
        let is_work = |path: &str| path.contains("/wip/") || path.contains("/errands/");
        let left: Vec<_> = left.into_iter().filter(|(path, _)| is_work(path)).collect();
        assert_eq!(left, [], "work in progress is still there");
    }
    assert!(landed > 0, "every slice was over before its kill");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_slice_twice_does_no_harm() {
    let mined = Mined::serve(&Options { sites: 3, odd: false, ..options() }).await;
    mined.run("alone").await;
    let asked = mined.world.log().len();
    mined.world.reset();
    let children: Vec<_> = ["0/2", "1/2", "1/2"]
        .iter()
        .enumerate()
        .map(|(n, of)| start(slice(&mined, "twice", of, &[]), &mined, &format!("{n}")))
        .collect();
    all_end_well(children, &mined).await;
    assert_eq!(mined.tables("alone").await.difference(&mined.tables("twice").await), None);
    // Each process asks for a host's robots.txt by itself; nothing else is asked for twice.
    let pages = |path: &str| !path.contains("robots.txt") && !path.contains(".well-known");
    let mut urls: Vec<_> = mined.world.log().into_iter().map(|a| (a.host, a.path)).collect();
    urls.retain(|(_, path)| pages(path));
    let all = urls.len();
    urls.sort();
    urls.dedup();
    assert_eq!(urls.len(), all, "something was asked for twice");
    assert!(all <= asked, "{all} of {asked}");
}
