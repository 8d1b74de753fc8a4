//! Kill -9 at any moment, run again: the same rows as if nothing had happened.

use std::time::{Duration, Instant};

use magiclens_demo::{Options, Rng};

use crate::support::{Mined, soak, wait};

/// No hostile pages: they cost each run their time limits.
fn options() -> Options {
    Options { hostile: false, ..Options::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_and_resumed_runs_leave_the_same_rows() {
    let mined = Mined::serve(&options()).await;
    let began = Instant::now();
    mined.run("undisturbed").await;
    let undisturbed_for = began.elapsed();
    let undisturbed = mined.tables("undisturbed").await;
    assert!(undisturbed.images.len() > 50, "{} images", undisturbed.images.len());
    let mut rng = Rng::new(7);
    let mut landed = 0;
    for round in 0..soak(3, 20) {
        let out = format!("killed-{round}");
        // A few kills on the same run directory, anywhere in a run.
        for _ in 0..1 + round % 3 {
            let mut child = mined.start(&out);
            let share = f64::from(u32::try_from(rng.below(1000)).unwrap()) / 1000.0;
            tokio::time::sleep(undisturbed_for.mul_f64(share)).await;
            landed += usize::from(child.try_wait().unwrap().is_none());
            child.kill().unwrap();
            wait(child).await;
        }
        mined.run(&out).await;
        let resumed = mined.tables(&out).await;
        assert_eq!(undisturbed.difference(&resumed), None, "after kills in {out}");
        let leftovers = leftovers(&mined.folder.path().join(&out));
        assert_eq!(leftovers, Vec::<String>::new(), "work in progress is still there");
    }
    assert!(landed > 0, "every run was over before its kill");
}

/// Segments that a finished run should not have any more.
fn leftovers(run: &std::path::Path) -> Vec<String> {
    let tables = ["pages", "images", "triplets"].map(|table| run.join(table).join("wip"));
    let parts = tables.iter().flat_map(|wip| std::fs::read_dir(wip).into_iter().flatten());
    let files = parts.flat_map(|part| std::fs::read_dir(part.unwrap().path()).unwrap());
    files.map(|file| file.unwrap().path().display().to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rerun_of_a_finished_run_makes_no_request() {
    let mined = Mined::serve(&options()).await;
    mined.run("run").await;
    let asked = mined.world.log().len();
    let before = mined.tables("run").await;
    mined.run("run").await;
    assert_eq!(mined.world.log().len(), asked);
    assert_eq!(before, mined.tables("run").await);
    // The run directory keeps seeds and configuration: --out is enough.
    let mut command = crate::support::mine(mined.folder.path());
    command.args(["--out", "run"]);
    let output = crate::support::run(command).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(mined.world.log().len(), asked);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_on_one_run_directory_do_no_harm() {
    let mined = Mined::serve(&options()).await;
    mined.run("alone").await;
    let alone = mined.world.log().len();
    mined.world.reset();
    let (first, second) = (mined.start("both"), mined.start("both"));
    assert!(wait(first).await.success());
    assert!(wait(second).await.success());
    let again = mined.world.log().len();
    let urls: Vec<_> = mined.world.log().iter().map(|a| format!("{}{}", a.host, a.path)).collect();
    assert_eq!(again, alone, "the second process asked for something again: {urls:?}");
    assert_eq!(mined.tables("alone").await.difference(&mined.tables("both").await), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_process_takes_over_from_a_killed_one() {
    let mined = Mined::serve(&options()).await;
    mined.run("alone").await;
    let mut first = mined.start("both");
    tokio::time::sleep(Duration::from_millis(700)).await;
    let second = mined.start("both");
    tokio::time::sleep(Duration::from_millis(300)).await;
    first.kill().unwrap();
    wait(first).await;
    assert!(wait(second).await.success());
    assert_eq!(mined.tables("alone").await.difference(&mined.tables("both").await), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn input_that_is_not_whole_is_refused() {
    let options = Options { sites: 2, odd: false, hostile: false, ..Options::default() };
    let mined = Mined::serve(&options).await;
    let stages = async |stages: &str| {
        let mut command = mined.command("run");
        command.args(["--stages", stages]);
        let output = crate::support::run(command).await;
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(stages("collect").await.0, Some(0));
    let (code, said) = stages("group").await;
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("group needs what fetch makes"), "{said}");

    mined.run("run").await;
    let folder = mined.folder.path().join("run");
    for table in ["triplets", "triplet_plan", "test_pool"] {
        std::fs::remove_dir_all(folder.join(table)).unwrap();
    }
    std::fs::remove_file(folder.join("pairs/part-00001.json")).unwrap();
    let (code, said) = stages("export").await;
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("export needs what pair makes"), "{said}");
    assert!(!folder.join("triplet_plan").exists(), "nothing was made of a part of the pairs");
}
