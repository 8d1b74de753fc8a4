//! Every command of README.md and docs is known to `commands.toml`: run by a test, run here, or not
//! runnable here for a reason.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use magiclens_demo::Options;
use serde::Deserialize;

use super::markdown::{Page, pages, read};
use crate::source::{root, rust_files};
use crate::support::{Mined, mine, python, run};

/// A line of `commands.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    /// The command as the page has it, spaces aside.
    run: String,
    /// The test that runs the like of it, perhaps over another site or in a smaller size.
    test: Option<String>,
    /// The exit code that it has in a folder with a mined run and its seeds.
    here: Option<i32>,
    /// Why it is not run.
    not: Option<String>,
}

#[derive(Deserialize)]
struct List {
    command: Vec<Known>,
}

fn known() -> Vec<Known> {
    toml::from_str::<List>(include_str!("commands.toml")).unwrap().command
}

/// The commands of a block: the lines of a script, or what stands behind `$` of a session.
fn commands(text: &str) -> Vec<String> {
    let is_session = text.lines().any(|line| line.starts_with("$ "));
    let (mut commands, mut open) = (Vec::new(), String::new());
    for line in text.lines() {
        let line = line.trim();
        let goes_on = !open.is_empty();
        let line = match line.strip_prefix("$ ") {
            Some(command) if is_session => command,
            _ if goes_on || !is_session && !line.starts_with('#') => line,
            _ => continue,
        };
        let line = line.split("  # ").next().unwrap_or_default();
        open = format!("{open} {}", line.trim_end_matches('\\'));
        let is_loop = open.trim().starts_with("for ") && !open.contains("done");
        if !line.ends_with('\\') && !is_loop {
            commands.push(open.split_whitespace().collect::<Vec<_>>().join(" "));
            open.clear();
        }
    }
    commands.retain(|command| !command.is_empty());
    commands
}

/// Blocks of these languages are no commands.
const OTHERS: [&str; 6] = ["text", "toml", "yaml", "json", "python", "markdown"];

fn commands_of(page: &Page) -> Vec<String> {
    let mut all = Vec::new();
    for (language, text) in &page.blocks {
        match &**language {
            "" | "sh" | "bash" | "console" => all.extend(commands(text)),
            other => assert!(OTHERS.contains(&other), "{}: {other}", page.path.display()),
        }
    }
    all
}

/// README.md and docs, the changelog and the like left out.
fn documentation() -> Vec<Page> {
    let is_ours = |page: &Page| page.path.starts_with("docs") || page.path.ends_with("README.md");
    pages().into_iter().filter(is_ours).collect()
}

/// Names of functions that are tests.
fn tests() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let folders = ["tests", "src", "crates", "demo", "examples"]
        .map(|folder| rust_files(&root().join(folder)));
    for path in folders.concat() {
        let mut is_test = false;
        for line in fs::read_to_string(path).unwrap().lines().map(str::trim) {
            is_test |= line == "#[test]" || line.starts_with("#[tokio::test");
            let function = line.trim_start_matches("async ").strip_prefix("fn ");
            if let (true, Some(function)) = (is_test, function) {
                names.insert(function.split('(').next().unwrap().to_owned());
                is_test = false;
            }
        }
    }
    names
}

#[test]
fn every_command_is_run_or_said_to_be_not_runnable_here() {
    let (known, tests) = (known(), tests());
    let mut listed = BTreeSet::new();
    for Known { run, test, here, not } in &known {
        assert!(listed.insert(&**run), "listed twice: {run}");
        let ways = [test.is_some(), here.is_some(), not.is_some()];
        assert_eq!(ways.iter().filter(|way| **way).count(), 1, "one of test, here, not: {run}");
        if let Some(test) = test {
            assert!(tests.contains(test), "no test is called {test}: {run}");
        }
    }
    let pages = documentation();
    let written = pages.iter().flat_map(|page| {
        let path = page.path.display().to_string();
        commands_of(page).into_iter().map(move |command| (path.clone(), command))
    });
    let written: Vec<_> = written.collect();
    for (page, command) in &written {
        assert!(
            listed.contains(&**command),
            "{page}: not in tests/it/docs/commands.toml: {command}"
        );
    }
    let written: BTreeSet<_> = written.iter().map(|(_, command)| &**command).collect();
    let gone: Vec<_> = listed.difference(&written).collect();
    assert!(gone.is_empty(), "no page has {gone:?} any more");
}

#[test]
fn commands_are_found_in_scripts_and_sessions() {
    let page = "```sh\n# no\na b \\\n  c  # no\nfor i in 1; do\n  d $i\ndone; wait\n```\n\n\
                ```\n$ e --f \\\n    g\nno\n$ h\n```\n\n```text\nno\n```\n";
    assert_eq!(
        commands_of(&read(page)),
        ["a b c", "for i in 1; do d $i done; wait", "e --f g", "h"]
    );
}

/// Puts what commands name into a folder that holds a mined run.
fn furnish(folder: &Path) {
    for name in ["circo", "cirr/dev", "fashion-iq"] {
        fs::create_dir_all(folder.join(name)).unwrap();
        fs::copy(root().join("docs/search.png"), folder.join(name).join("0.png")).unwrap();
    }
    fs::copy(folder.join("mine.toml"), folder.join("my.toml")).unwrap();
}

/// Runs the Python of all pages, where there is a Python to run it.
async fn run_python(folder: &Path) {
    let Some(python) = python() else { return };
    for page in documentation() {
        for (_, block) in page.blocks.iter().filter(|(language, _)| language == "python") {
            let mut command = Command::new(&python);
            command.args(["-c", block]).current_dir(folder).env("HF_HUB_OFFLINE", "1");
            command.env("HF_DATASETS_CACHE", folder.join("cache"));
            let output = run(command).await;
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{}: {block}\n{said}", page.path.display());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_can_be_run_here_do_what_they_say() {
    let options = Options { sites: 2, odd: false, hostile: false, ..Options::default() };
    let mined = Mined::serve_few_parts(&options).await;
    let mut command = mined.command("runs/mine");
    // So that one of the two sites is for the test, and there is a pool.
    command.args(["--set", "export.val_share=0.0", "--set", "export.test_share=0.25"]);
    assert!(run(command).await.status.success());
    let folder = mined.folder.path();
    furnish(folder);
    let mut command = mine(folder);
    command.args(["export", "runs/mine", "--format", "webdataset"]);
    assert!(run(command).await.status.success());
    run_python(folder).await;
    let programs = Path::new(env!("CARGO_BIN_EXE_mine")).parent().unwrap();
    let path = std::env::var("PATH").unwrap();
    let mut seen = 0;
    for Known { run: text, here, .. } in known() {
        let Some(code) = here else { continue };
        let mut command = Command::new("bash");
        command.args(["-c", &text]).current_dir(folder);
        command.env("PATH", format!("{}:{path}", programs.display()));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("MAGICLENS_")) {
            command.env_remove(name);
        }
        let output = run(command).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{text}: {said}");
        seen += 1;
    }
    assert!(seen > 5, "only {seen} commands were run");
}
