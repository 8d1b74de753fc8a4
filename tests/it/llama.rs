//! The real llama.cpp server with a random model: it knows nothing, and answers cut, broken and valid
//! replies and errors of its own. Every call ends in a valid row or a counted reason.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use magiclens_demo::Options;

use crate::support::{Mined, run, shared, soak};

const KEY: &str = "llama-test-key";

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
    for _ in 0..300 {
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Some(server);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the server did not start");
}

/// The demo world with a step by the model, with so many tokens at most.
async fn mined_with(server: &Llama, step: &str, max_tokens: usize) {
    let options = Options { sites: soak(1, 6), odd: false, hostile: false, ..Options::default() };
    let mined = Mined::serve(&options).await;
    let command = |out: &str| {
        let mut command = mined.command(out);
        for (name, value) in [
            ("provider", "openai".to_owned()),
            ("endpoint.base_url", format!("http://127.0.0.1:{}/v1", server.port)),
            ("endpoint.model", "tiny-random".to_owned()),
            ("endpoint.key_env", "LLAMA_KEY".to_owned()),
            ("endpoint.max_tokens", max_tokens.to_string()),
            ("endpoint.concurrency", "4".to_owned()),
            ("endpoint.retries", "2".to_owned()),
        ] {
            command.arg("--set").arg(format!("{step}.{name}={value}"));
        }
        // In `make test` a few pages have to do.
        command.args(["--set", "run.failure_budget=1.0"]);
        command.arg("--max-pages-per-host").arg(soak(8, 1000).to_string());
        command.env("LLAMA_KEY", KEY);
        command
    };
    let output = run(command("run")).await;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{stderr}");
    // Reading them checks that in = out + rejected + failed in every part.
    let tables = mined.tables("run").await;
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
    eprintln!("{step}, max_tokens {max_tokens}: {stdout}");
    assert!(stdout.contains(&format!("{step}: ")), "nothing was asked: {stdout}");
    let again = run(command("run")).await;
    let stderr = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(again.status.success(), "{stderr}");
    assert_eq!(tables.difference(&mined.tables("run").await), None);
    assert_eq!(again.stdout, output.stdout, "a rerun pays for nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_server_is_asked_and_believed_nothing() {
    let Some(server) = start().await else { return };
    for step in ["describe", "instruct"] {
        for max_tokens in [400, 20] {
            mined_with(&server, step, max_tokens).await;
        }
    }
}
