//! `pipeline.toml` and the examples against the configuration they describe.

use std::collections::BTreeSet;
use std::fs;

use magiclens::config::{Config, Layers};
use toml::{Table, Value};

use crate::source::root;

fn pipeline_toml() -> String {
    fs::read_to_string(root().join("pipeline.toml")).unwrap()
}

/// Dotted keys of all values; an empty table is a value.
fn keys(table: &Table, prefix: &str, into: &mut BTreeSet<String>) {
    for (key, value) in table {
        let name = format!("{prefix}{key}");
        match value {
            Value::Table(inner) if !inner.is_empty() => keys(inner, &format!("{name}."), into),
            _ => drop(into.insert(name)),
        }
    }
}

fn keys_of(table: &Table) -> BTreeSet<String> {
    let mut set = BTreeSet::new();
    keys(table, "", &mut set);
    set
}

/// Lines that set a key or open a section and have no comment on the line above.
fn uncommented(text: &str) -> Vec<&str> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let code = |line: &str| !line.is_empty() && !line.starts_with('#');
    let sets = |line: &str| code(line) && (line.starts_with('[') || line.contains('='));
    let bare = lines.iter().enumerate().filter(|(at, line)| {
        sets(line) && !at.checked_sub(1).is_some_and(|above| lines[above].starts_with("# "))
    });
    bare.map(|(_, line)| *line).collect()
}

#[test]
fn pipeline_toml_is_the_default_configuration() {
    assert_eq!(toml::from_str::<Config>(&pipeline_toml()).unwrap(), Config::default());
}

#[test]
fn pipeline_toml_lists_every_key() {
    let written = keys_of(&pipeline_toml().parse().unwrap());
    let known = keys_of(&Table::try_from(Config::default()).unwrap());
    let missing: Vec<_> = known.difference(&written).collect();
    assert!(missing.is_empty(), "pipeline.toml lacks {missing:?}");
    assert!(known.len() > 40, "only {} keys are known", known.len());
}

#[test]
fn every_key_of_pipeline_toml_is_explained() {
    assert_eq!(uncommented(&pipeline_toml()), Vec::<&str>::new());
    assert_eq!(uncommented("# a\nx = 1\ny = 2\n\n[z]"), ["y = 2", "[z]"]);
}

#[test]
fn configurations_in_the_docs_load() {
    let mut seen = 0;
    for entry in fs::read_dir(root().join("docs/providers")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        for block in text.split("```toml\n").skip(1) {
            let block = block.split("```").next().unwrap();
            let config = toml::from_str::<Config>(block);
            config.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            seen += 1;
        }
    }
    assert!(seen >= 5, "only {seen} were found");
}

#[test]
fn examples_load() {
    let mut seen = 0;
    for entry in fs::read_dir(root().join("examples")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let layers = Layers { file: Some(path.clone()), ..Layers::default() };
            let config = layers.load().unwrap_or_else(|error| panic!("{error}"));
            assert_ne!(config, Config::default(), "{} sets nothing", path.display());
            seen += 1;
        }
    }
    assert!(seen > 0, "no example was found");
}
