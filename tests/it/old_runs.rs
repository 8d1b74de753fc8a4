//! A finished run of 25d6a2e, kept in the repository, under the present software: the run counts as
//! finished, and no stage requests anything that the run already holds. `tests/fixtures/README.md` says
//! how it was made.

use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;

use crate::model_server::{Act, ModelServer, answer_for};
use crate::source::root;
use crate::support::{Tables, mine, run};

/// The commit whose `mine` made the run.
const COMMIT: &str = "25d6a2e";

fn fixture() -> PathBuf {
    root().join(format!("tests/fixtures/run-{COMMIT}"))
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy(&path, &to),
            false => assert!(std::fs::copy(&path, to).is_ok(), "{}", path.display()),
        }
    }
}

/// A copy of the run, and servers where the world and the models were.
struct Old {
    folder: TempDir,
    models: ModelServer,
    /// Stands for every host of the world.
    web: IpAddr,
    connections: Arc<AtomicUsize>,
}

impl Old {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy(&fixture(), &folder.path().join("run"));
        let models = ModelServer::start(|call| Act::Say(answer_for(call))).await;
        // The port is that of the run's URLs, so the address has to be this process's own.
        let [.., high, low] = std::process::id().to_be_bytes();
        let web = IpAddr::from(Ipv4Addr::new(127, 64 + high % 128, low, 7));
        let seed = std::fs::read_to_string(folder.path().join("run/run.json")).unwrap();
        let seed: serde_json::Value = serde_json::from_str(&seed).unwrap();
        let url = url::Url::parse(seed["seeds"][0].as_str().unwrap()).unwrap();
        let listener = TcpListener::bind((web, url.port().unwrap())).unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        // Ends with the process.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                counted.fetch_add(1, Ordering::SeqCst);
                drop(stream);
            }
        });
        Self { folder, models, web, connections }
    }

    fn run_dir(&self) -> PathBuf {
        self.folder.path().join("run")
    }

    async fn tables(&self) -> Tables {
        Tables::read(&self.run_dir()).await
    }

    /// `mine --out run` with further arguments.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = mine(self.folder.path());
        command.args(["--out", "run"]).args(arguments);
        let hosts = resolved(&self.run_dir());
        let hosts = hosts.iter().map(|host| format!("{host:?} = \"{}\"", self.web));
        command
            .arg("--set")
            .arg(format!("http.resolve={{ {} }}", hosts.collect::<Vec<_>>().join(", ")));
        for step in ["describe", "instruct"] {
            let url = self.models.url();
            command.arg("--set").arg(format!("{step}.endpoint.base_url={url}"));
        }
        command
    }

    async fn run(&self, arguments: &[&str]) -> Output {
        run(self.command(arguments)).await
    }

    /// Connections to the web, and calls of models.
    fn asked(&self) -> (usize, usize) {
        (self.connections.load(Ordering::SeqCst), self.models.calls())
    }
}

/// Hosts that the run's configuration resolves.
fn resolved(run_dir: &Path) -> Vec<String> {
    let kept = std::fs::read_to_string(run_dir.join("run.json")).unwrap();
    let kept: serde_json::Value = serde_json::from_str(&kept).unwrap();
    let config: toml::Table = kept["config"].as_str().unwrap().parse().unwrap();
    config["http"]["resolve"].as_table().unwrap().keys().cloned().collect()
}

fn succeeded(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Everything in a folder that is no log of this process, by path.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        } else if path.extension().is_some_and(|end| end == "parquet") {
            all.push((path.clone(), std::fs::read(&path).unwrap()));
        }
    }
    all.sort();
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_run_of_25d6a2e_is_done_without_a_request_and_without_a_call() {
    let old = Old::open().await;
    let before = files(&old.run_dir());
    assert!(before.len() >= 10, "{} files", before.len());
    let output = old.run(&[]).await;
    succeeded(&output);
    assert_eq!(old.asked(), (0, 0));
    assert!(files(&old.run_dir()) == before, "no file of a table is rewritten");
    // The configuration that is kept now begins a run as well as the one of then.
    succeeded(&old.run(&[]).await);
    assert_eq!(old.asked(), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn instructions_of_25d6a2e_are_made_anew_without_a_call() {
    let old = Old::open().await;
    let before = old.tables().await;
    assert!(before.triplets.len() >= 3, "{} triplets", before.triplets.len());
    for stage in ["export", "instruct", "describe", "group"] {
        let output = old.run(&["--redo", stage]).await;
        succeeded(&output);
        assert_eq!(old.asked(), (0, 0), "--redo {stage}");
        assert_eq!(before.difference(&old.tables().await), None, "--redo {stage}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_seed_and_other_pages_are_asked_for() {
    let old = Old::open().await;
    let pairs = old.tables().await.pairs.len();
    let seed = "instruct.endpoint.seed=2";
    let output = old.run(&["--set", seed]).await;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    assert_eq!(old.asked(), (0, 0));
    for told in [
        "--redo instruct rebuilds instructions (2 parts, 22 rows), triplet_plan (2 parts, 22 rows)"
            .to_owned(),
        "no page and no image is requested again".to_owned(),
        format!("instruct asks a model: about {pairs} calls"),
        "nothing was removed".to_owned(),
    ] {
        assert!(stderr.contains(&told), "{told} is not in\n{stderr}");
    }
    succeeded(&old.run(&["--set", seed, "--redo", "instruct"]).await);
    assert_eq!(old.asked(), (0, pairs));
    // Nothing of the world answers now, which is a failure; that it is asked is what counts.
    old.run(&["--redo", "fetch", "--stages", "fetch", "--set", "http.retries=0"]).await;
    assert!(old.asked().0 > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_of_25d6a2e_have_names() {
    let old = Old::open().await;
    let named = [
        "describe.prompt=built-in:describe.v1",
        "instruct.prompt=built-in:instruct.v1",
        "instruct.demonstrations=built-in:instruct.v1.demonstrations",
    ];
    let sets: Vec<&str> = named.iter().flat_map(|named| ["--set", named]).collect();
    succeeded(&old.run(&sets).await);
    succeeded(&old.run(&["--redo", "instruct"]).await);
    assert_eq!(old.asked(), (0, 0));
    let before = files(&old.run_dir());
    let unknown = "instruct.prompt=built-in:instruct.v0";
    let output = old.run(&["--set", unknown, "--redo", "instruct"]).await;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    assert!(stderr.contains("there is built-in:instruct.v1"), "{stderr}");
    assert!(files(&old.run_dir()) == before, "nothing is removed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_keeps_defaults_that_it_did_not_write_down() {
    let old = Old::open().await;
    let path = old.run_dir().join("run.json");
    let kept = std::fs::read_to_string(&path).unwrap();
    // As if the run's version had not had these keys.
    let (max, seed) = (r"max_redirects = 5\n", r"seed = 1\n");
    assert!(kept.contains(max) && kept.contains(seed));
    std::fs::write(&path, kept.replace(max, "").replace(seed, "")).unwrap();
    // Weaker than what the run keeps, and so than what it began with.
    let lies = "[http]\nmax_redirects = 9\n[instruct.endpoint]\nseed = 9\n";
    std::fs::write(old.folder.path().join("pipeline.toml"), lies).unwrap();
    succeeded(&old.run(&[]).await);
    succeeded(&old.run(&["--redo", "instruct"]).await);
    assert_eq!(old.asked(), (0, 0));
    let kept = std::fs::read_to_string(&path).unwrap();
    assert!(kept.contains(max) && kept.contains(seed), "{kept}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_25d6a2e_is_shown_as_it_is() {
    let old = Old::open().await;
    // Weaker than what the run keeps.
    std::fs::write(old.folder.path().join("pipeline.toml"), "[instruct]\nmax_instructions = 9\n")
        .unwrap();
    let shown = async |arguments: &[&str]| {
        let mut command = mine(old.folder.path());
        command.args(arguments);
        let output = run(command).await;
        succeeded(&output);
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let config = shown(&["config", "--out", "run"]).await;
    let config: toml::Table = config.parse().unwrap();
    assert_eq!(config["instruct"]["max_instructions"].as_integer(), Some(1));
    assert_eq!(config["instruct"]["endpoint"]["temperature"].as_float(), Some(0.35));
    assert_eq!(config["instruct"]["endpoint"]["seed"].as_integer(), Some(1));
    assert_eq!(config["describe"]["endpoint"]["seed"].as_integer(), Some(7));
    assert_eq!(config["describe"]["provider"].as_str(), Some("openai"));
    let tables = old.tables().await;
    let status = shown(&["status", "run"]).await;
    for (step, calls) in [("describe", tables.groups.len()), ("instruct", tables.pairs.len())] {
        let line = format!("{step}: {calls} calls");
        assert!(status.contains(&line), "{line} is not in\n{status}");
    }
    shown(&["report", "run", "--html", "report.html"]).await;
    let report = std::fs::read_to_string(old.folder.path().join("report.html")).unwrap();
    assert!(report.contains(&tables.instructions[0].instruction), "the report shows no triplet");
}

#[cfg(feature = "torch")]
#[test]
fn triplets_of_25d6a2e_are_read_for_training() {
    use magiclens::record::Split;
    use magiclens::train::data::Shards;
    let folder = fixture().join("triplets");
    let shards = Shards::open(folder.to_str().unwrap()).unwrap();
    assert!(shards.split(Split::Train).unwrap().rows() > 0);
}
