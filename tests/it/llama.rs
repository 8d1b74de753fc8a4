//! The real llama.cpp server with a random model: it knows nothing, and answers cut, broken and valid
//! replies and errors of its own. Every call ends in a valid row or a counted reason. Requests pass
//! through a server of ours that counts them.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use magiclens_demo::Options;
use magiclens_testing::shared;
use serde_json::Value;

use crate::gimp::Site;
use crate::model_server::{Act, ModelServer};
use crate::support::{Mined, Tables, run, soak};

const KEY: &str = "llama-test-key";

/// Tokens enough for a model that knows when to stop: this one rambles, and is cut mostly…
const ENOUGH: usize = 400;

/// …and so few that hardly any reply can end.
const CUT: usize = 20;

/// A running server; ends with this value.
struct Llama {
    child: Child,
    port: u16,
}

impl Drop for Llama {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Installs the server once, where the tests of one build share it.
fn install(scripts: &Path) -> Option<(PathBuf, PathBuf)> {
    let python = std::env::var_os("MAGICLENS_PYTHON");
    let Some(python) = python else {
        eprintln!("skipped: MAGICLENS_PYTHON is not set (make test sets it)");
        return None;
    };
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("llama");
    let venv = folder.join("venv");
    let ours = venv.join("bin/python");
    let ok = |command: &mut Command| {
        let output = command.output().unwrap();
        let ok = output.status.success();
        if !ok {
            eprintln!("skipped: {}", String::from_utf8_lossy(&output.stderr));
        }
        ok
    };
    if !folder.join("mmproj.gguf").exists() {
        std::fs::create_dir_all(&folder).unwrap();
        let packages = ["xllamacpp==2026.10.11549", "gguf==0.19.0", "numpy"];
        let ready = ok(Command::new(python).args(["-m", "venv"]).arg(&venv))
            && ok(Command::new(&ours).args(["-m", "pip", "install", "--quiet"]).args(packages))
            && ok(Command::new(&ours)
                .arg(scripts.join("make_gguf.py"))
                .arg(folder.join("model.gguf")))
            && ok(Command::new(&ours)
                .arg(scripts.join("make_mmproj.py"))
                .arg(folder.join("mmproj.gguf")));
        if !ready {
            return None;
        }
    }
    Some((ours, folder))
}

async fn start() -> Option<Llama> {
    let scripts = shared("llm-server")?;
    let (python, folder) = install(&scripts)?;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let child = Command::new(python)
        .arg(scripts.join("serve.py"))
        .arg(folder.join("model.gguf"))
        .args([port.to_string().as_str(), KEY])
        .env("MMPROJ", folder.join("mmproj.gguf"))
        // Four slots share it, and this model's tokens are short.
        .env("N_CTX", "65536")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let server = Llama { child, port };
    for _ in 0..6000 {
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Some(server);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the server did not start");
}

/// Has a step of the command ask the model, for so many tokens at most, through the counting server.
fn asking(mut command: Command, counting: &ModelServer, step: &str, max_tokens: usize) -> Command {
    for (name, value) in [
        ("provider", "openai".to_owned()),
        ("endpoint.base_url", counting.url()),
        ("endpoint.model", "tiny-random".to_owned()),
        ("endpoint.key_env", "LLAMA_KEY".to_owned()),
        ("endpoint.max_tokens", max_tokens.to_string()),
        ("endpoint.concurrency", "4".to_owned()),
        ("endpoint.retries", "2".to_owned()),
    ] {
        command.arg("--set").arg(format!("{step}.{name}={value}"));
    }
    command.args(["--set", "run.failure_budget=1.0"]);
    command.env("LLAMA_KEY", KEY);
    command
}

/// How many replies a step has, and how many of them were cut.
fn replies(run: &Path, step: &str) -> (usize, usize) {
    let (mut all, mut cut) = (0, 0);
    for entry in std::fs::read_dir(run.join("replies").join(step)).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "jsonl") {
            for line in std::fs::read_to_string(path).unwrap().lines() {
                let reply: Value = serde_json::from_str(line).unwrap();
                all += usize::from(reply["ended"] != "failed");
                cut += usize::from(reply["ended"] == "cut");
            }
        }
    }
    (all, cut)
}

/// Runs twice: every question ends in a valid row or a counted reason, and the second run sends nothing.
async fn run_and_check(
    server: &Llama,
    step: &str,
    max_tokens: usize,
    out: &Path,
    mine: impl Fn() -> Command,
) -> Tables {
    let upstream = format!("http://127.0.0.1:{}", server.port);
    let counting = ModelServer::start(move |_| Act::Pass(upstream.clone())).await;
    let output = run(asking(mine(), &counting, step, max_tokens)).await;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{stderr}");
    // Reading them checks that in = out + rejected + failed in every part.
    let tables = Tables::read(out).await;
    let rejects = tables.rejects_of("descriptions");
    assert!(!tables.groups.is_empty());
    assert_eq!(tables.groups.len(), tables.descriptions.len() + rejects.len());
    for description in &tables.descriptions {
        assert!(!description.caption.is_empty() && description.caption.chars().count() <= 301);
        assert!(description.labels.len() <= 8);
        assert_eq!(description.safety.is_some(), step == "describe");
    }
    for instruction in &tables.instructions {
        assert!((2..200).contains(&instruction.instruction.chars().count()), "{instruction:?}");
    }
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(stdout.contains(&format!("{step}: ")), "nothing was asked: {stdout}");
    let (asked, (all, cut)) = (counting.calls(), replies(out, step));
    eprintln!(
        "{step}, max_tokens {max_tokens}: {asked} requests, {all} replies, {cut} cut\n{stdout}"
    );
    assert!(asked >= all && all > 0, "{asked} requests, {all} replies");
    // With so few tokens nothing whole can be said.
    assert!(max_tokens > CUT || cut * 2 > all, "{cut} of {all} were cut");
    let again = run(asking(mine(), &counting, step, max_tokens)).await;
    let stderr = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(again.status.success(), "{stderr}");
    assert_eq!(counting.calls(), asked, "a rerun sends nothing");
    assert_eq!(tables.difference(&Tables::read(out).await), None);
    assert_eq!(again.stdout, output.stdout, "a rerun pays for nothing");
    tables
}

/// The demo world with a step by the model: a few pages in `make test`, all and the odd ones in `make soak`.
async fn mined_with(server: &Llama, step: &str, max_tokens: usize) {
    let (sites, odd) = (soak(1, 6), soak(0, 1) == 1);
    let mined = Mined::serve(&Options { sites, odd, hostile: false, ..Options::default() }).await;
    let command = || {
        let mut command = mined.command("run");
        command.arg("--max-pages-per-host").arg(soak(8, 1000).to_string());
        command
    };
    run_and_check(server, step, max_tokens, &mined.folder.path().join("run"), command).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_server_is_asked_and_believed_nothing() {
    let Some(server) = start().await else { return };
    for step in ["describe", "instruct"] {
        for max_tokens in [ENOUGH, CUT] {
            mined_with(&server, step, max_tokens).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gimp_manual_is_shown_to_a_real_server() {
    if soak(0, 1) == 0 {
        eprintln!("skipped: 200 images take minutes; make soak shows them");
        return;
    }
    let Some(server) = start().await else { return };
    let Some(site) = Site::start() else { return };
    for max_tokens in [ENOUGH, CUT] {
        let folder = tempfile::tempdir().unwrap();
        let command = || {
            let mut command = site.command(folder.path(), 1);
            command.args(["--max-pages-per-host", "200"]);
            command
        };
        let out = folder.path().join("run");
        let tables = run_and_check(&server, "describe", max_tokens, &out, command).await;
        assert!(tables.groups.len() >= 200, "{} images", tables.groups.len());
    }
}
