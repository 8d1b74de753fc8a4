//! Global plans on executors: the rows of one process, also when executors are killed.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use magiclens::store::RunDir;
use magiclens_demo::{Options, Rng};

use crate::s3::Server;
use crate::support::{Mined, Tables, freeze, mine, run, soak, wait};

/// No hostile pages: they cost each run their time limits.
fn options() -> Options {
    Options { sites: 4, odd: false, hostile: false, ..Options::default() }
}

/// A served world that is mined, once in one process, with splits and caps that all plans have work from.
async fn mined() -> (Mined, Tables) {
    let mined = Mined::serve_few_parts(&options()).await;
    let path = mined.folder.path().join("mine.toml");
    let export = "[export]\ntest_share = 0.5\nmax_per_domain = 12\nmax_per_cluster = 2\n";
    let config = std::fs::read_to_string(&path).unwrap();
    std::fs::write(path, config + export).unwrap();
    let alone = mined.tables_after_run("run").await;
    assert!(alone.triplets.len() > 10 && alone.images.len() > 50, "{}", alone.triplets.len());
    assert!(alone.test_pool.len() > 10 && !alone.rejects_of("triplets").is_empty());
    (mined, alone)
}

/// `mine executor` for as long as a test holds it.
struct Executor {
    process: Child,
    url: String,
    log: PathBuf,
}

impl Executor {
    fn start(folder: &Path, out: &str, threads: usize, env: &[(&str, &str)]) -> Self {
        Self::at("0", folder, out, threads, env)
    }

    /// `listen` is a port; 0 takes a free one.
    fn at(listen: &str, folder: &Path, out: &str, threads: usize, env: &[(&str, &str)]) -> Self {
        let log = tempfile::Builder::new().prefix("executor").tempfile_in(folder).unwrap();
        let (log, path) = log.keep().unwrap();
        let mut command = mine(folder);
        command.args(["executor", "--out", out, "--listen", listen, "--set"]);
        command.arg(format!("run.cpu_threads={threads}")).env("MAGICLENS_LOG", "magiclens=debug");
        let command = command.envs(env.iter().copied()).stdout(Stdio::piped()).stderr(log);
        let mut process = command.spawn().unwrap();
        let mut url = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut url).unwrap();
        let said = std::fs::read_to_string(&path).unwrap();
        assert!(url.starts_with("http://127.0.0.1:"), "the executor did not start: {said}");
        Self { process, url: url.trim().to_owned(), log: path }
    }

    /// Parts of plans that it was handed.
    fn parts(&self) -> usize {
        std::fs::read_to_string(&self.log).unwrap().matches("a part of a plan").count()
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    fn port(&self) -> &str {
        self.url.rsplit(':').next().unwrap()
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// `--engine` over these.
fn engine(executors: &[Executor]) -> String {
    executors.iter().map(|executor| executor.url.as_str()).collect::<Vec<_>>().join(",")
}

fn stderr(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Makes everything from a stage on anew, on executors.
fn again(mined: &Mined, stage: &str, executors: &[Executor]) -> Command {
    let mut command = mine(mined.folder.path());
    command.args(["--out", "run", "--redo", stage, "--engine", &engine(executors)]);
    command.args(["--set", "store.engine_deadline_s=900"]);
    command
}

async fn rows_of_one_process(threads: usize) {
    let (mined, alone) = mined().await;
    let start = || Executor::start(mined.folder.path(), "run", threads, &[]);
    let executors = [start(), start()];
    let mut command = again(&mined, "fetch", &executors);
    command.arg("--set").arg(format!("run.cpu_threads={threads}"));
    let output = run(command).await;
    assert!(output.status.success(), "{}", stderr(&output));
    // One of `fetch`, 15 and three of `group`, three of `export`.
    assert_eq!(stderr(&output).matches("executors worked on a plan").count(), 22);
    assert!(executors.iter().all(|executor| executor.parts() > 10), "each has its parts");
    assert_eq!(alone.difference(&mined.tables("run").await), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_executors_of_one_thread_give_the_rows_of_one_process() {
    rows_of_one_process(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_executors_of_two_threads_give_the_rows_of_one_process() {
    rows_of_one_process(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_executors_of_four_threads_give_the_rows_of_one_process() {
    rows_of_one_process(4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn executors_that_are_killed_cost_a_try_and_no_row() {
    let (mined, alone) = mined().await;
    let start = || Executor::start(mined.folder.path(), "run", 2, &[]);
    let mut executors = [start(), start()];
    let output = run(again(&mined, "group", &executors)).await;
    assert!(output.status.success(), "{}", stderr(&output));
    let parts = executors[0].parts().min(executors[1].parts());
    assert_eq!(alone.difference(&mined.tables("run").await), None);

    let (mut rng, mut landed) = (Rng::new(3), 0);
    for round in 0..soak(3, 20) {
        let victim = rng.below(2);
        // Early and late: with the first part of the first plan, up to one of the last plan's.
        let at = executors[victim].parts() + 1 + rng.below(parts);
        let mut command = again(&mined, "group", &executors);
        let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let ended = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap());
        while executors[victim].parts() < at && !ended.is_finished() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        executors[victim].kill();
        // Now and then it comes back in time for the next try.
        let restart = |port: &str| Executor::at(port, mined.folder.path(), "run", 2, &[]);
        let port = executors[victim].port().to_owned();
        if round % 2 == 0 {
            executors[victim] = restart(&port);
        }
        let output = ended.await.unwrap();
        let said = stderr(&output);
        assert!(output.status.success(), "round {round}: {said}");
        landed += usize::from(said.contains("a plan failed on the executors"));
        assert_eq!(alone.difference(&mined.tables("run").await), None, "round {round}: {said}");
        if round % 2 == 1 {
            executors[victim] = restart(&port);
        }
    }
    eprintln!("{landed} kills came while a plan was worked on");
    assert!(landed > 0, "no kill came while a plan was worked on");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_that_hangs_costs_a_try_and_no_row() {
    let (mined, alone) = mined().await;
    let start = || Executor::start(mined.folder.path(), "run", 2, &[]);
    let executors = [start(), start()];
    let mut command = again(&mined, "group", &executors);
    command.args(["--set", "store.engine_deadline_s=30", "--set", "store.engine_tries=5"]);
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let ended = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap());
    while executors[0].parts() == 0 && !ended.is_finished() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    freeze(&executors[0].process).await;
    let output = ended.await.unwrap();
    let said = stderr(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("a plan failed on the executors"), "it hung after the last plan: {said}");
    assert_eq!(alone.difference(&mined.tables("run").await), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_coordinator_is_started_again() {
    let (mined, alone) = mined().await;
    let start = || Executor::start(mined.folder.path(), "run", 2, &[]);
    let executors = [start(), start()];
    let mut rng = Rng::new(4);
    for _ in 0..soak(1, 4) {
        let at = executors[0].parts() + 1 + rng.below(20);
        let mut command = again(&mined, "group", &executors);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while executors[0].parts() < at && child.try_wait().unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        child.kill().unwrap();
        wait(child).await;
        let mut command = mine(mined.folder.path());
        command.args(["--out", "run", "--engine", &engine(&executors)]);
        let output = run(command).await;
        assert!(output.status.success(), "{}", stderr(&output));
        assert_eq!(alone.difference(&mined.tables("run").await), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_executors_nothing_is_committed_and_another_engine_goes_on() {
    let (mined, alone) = mined().await;
    let mut executors = [Executor::start(mined.folder.path(), "run", 1, &[])];
    executors[0].kill();
    let mut command = again(&mined, "fetch", &executors);
    command.args(["--set", "store.engine_tries=2"]);
    let output = run(command).await;
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let expected = "no executor answers (--engine local needs none), after 2 tries";
    assert!(said.contains(expected), "{said}");
    let dir = RunDir::open(mined.folder.path().join("run").to_str().unwrap()).unwrap();
    assert!(!dir.manifests("image_uses").await.unwrap().is_empty());
    assert!(dir.manifests("fetch_list").await.unwrap().is_empty());

    let mut command = mine(mined.folder.path());
    command.args(["--out", "run", "--engine", "local"]);
    let output = run(command).await;
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(alone.difference(&mined.tables("run").await), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn executors_work_for_those_with_the_token_only() {
    let mined = Mined::serve_few_parts(&options()).await;
    let token = [("MAGICLENS_ENGINE_TOKEN", "a secret between the two")];
    let start = || Executor::start(mined.folder.path(), "run", 1, &token);
    let executors = [start(), start()];
    let fetch = || {
        let mut command = mined.command("run");
        command.args(["--stages", "collect..fetch", "--engine", &engine(&executors)]);
        command
    };
    let output = run(fetch()).await;
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("refuses: MAGICLENS_ENGINE_TOKEN here is another one"), "{said}");
    assert!(executors.iter().all(|executor| executor.parts() == 0));
    let mut command = fetch();
    command.envs(token);
    let output = run(command).await;
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(executors.iter().all(|executor| executor.parts() > 0));

    let mut command = mine(mined.folder.path());
    command.args(["executor", "--out", "run", "--listen", "0.0.0.0:0"]);
    let output = run(command).await;
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(stderr(&output).contains("set MAGICLENS_ENGINE_TOKEN"), "{}", stderr(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn executors_read_an_object_store() {
    let nothing = tempfile::tempdir().unwrap();
    let Some(server) = Server::start(nothing.path()) else { return };
    let (mined, alone) = mined().await;
    let environment = server.environment();
    let start = || Executor::start(mined.folder.path(), "s3://bucket/run", 2, &environment);
    let executors = [start(), start()];
    let mut command = mined.command("s3://bucket/run");
    command.args(["--engine", &engine(&executors)]);
    command.envs(environment).env("TMPDIR", mined.folder.path());
    let output = run(command).await;
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(executors.iter().all(|executor| executor.parts() > 10), "each has its parts");
    let there = Tables::of(&server.run_dir("run", mined.folder.path())).await;
    assert_eq!(alone.difference(&there), None);
}
