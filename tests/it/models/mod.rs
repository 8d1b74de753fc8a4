//! `mine` with models behind endpoints: what is asked, kept, rejected, and never asked twice.

mod answers;
mod batch;
mod budget;
mod compare;
mod kept;
mod keys;

use std::process::Command;

use magiclens_demo::Options;

use crate::model_server::ModelServer;
use crate::support::{Mined, mine, run};

/// A key that may show up nowhere.
const KEY: &str = "planted-4f1c-key-7e2a";

fn options() -> Options {
    Options { sites: 2, odd: false, hostile: false, ..Options::default() }
}

fn set<'a>(command: &mut Command, pairs: impl IntoIterator<Item = (&'a str, String)>) {
    for (key, value) in pairs {
        command.arg("--set").arg(format!("{key}={value}"));
    }
}

/// A run whose two model steps ask the server.
fn command(mined: &Mined, server: &ModelServer, out: &str) -> Command {
    command_by("openai", mined, server, out)
}

/// The same over another wire.
fn command_by(provider: &str, mined: &Mined, server: &ModelServer, out: &str) -> Command {
    let mut command = mined.command(out);
    for step in ["describe", "instruct"] {
        let key = |name: &str| format!("{step}.{name}");
        for (name, value) in [
            ("provider", provider.to_owned()),
            ("endpoint.base_url", server.url()),
            ("endpoint.model", "test-model".to_owned()),
            ("endpoint.key_env", "TEST_KEY".to_owned()),
        ] {
            set(&mut command, [(key(name).as_str(), value)]);
        }
    }
    command.env("TEST_KEY", KEY);
    command
}

/// What `mine status run` says.
async fn status(mined: &Mined) -> String {
    let mut status = mine(mined.folder.path());
    status.args(["status", "run"]);
    let output = run(status).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Caps and prices, at which an answer of the server costs 0.003.
fn priced(command: &mut Command, max_cost: &str) {
    set(
        command,
        [
            ("budget.prices", "{test-model={input=10.0,output=100.0}}".to_owned()),
            ("budget.max_cost", max_cost.to_owned()),
        ],
    );
}
