//! Conformance suites: one test each, all of them over data that one helper finds.

use std::fs;
use std::path::PathBuf;

use crate::source::{root, rust_files};

/// Sources that may find data on their own: those of the crate that finds it for the others.
const FINDS: &str = "testing";

fn sources() -> impl Iterator<Item = (PathBuf, String)> {
    let files = rust_files(root()).into_iter();
    let others = files.filter(|file| !file.starts_with(root().join(FINDS)));
    others.map(|file| (file.clone(), fs::read_to_string(file).unwrap()))
}

/// First arguments of the calls that count cases.
fn counted(source: &str) -> Vec<String> {
    let calls = source.split("conformance(\"").skip(1);
    calls.map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

#[test]
fn each_suite_is_listed_and_counted_by_one_test() {
    let list = fs::read_to_string(root().join("testing/conformance.txt")).unwrap();
    let lines = list.lines().filter(|line| !line.starts_with('#'));
    let listed: Vec<&str> = lines.map(|line| line.split(' ').next().unwrap()).collect();
    let mut found: Vec<String> = sources().flat_map(|(_, source)| counted(&source)).collect();
    found.sort();
    assert_eq!(found, listed, "calls of `conformance`, and testing/conformance.txt in its order");
}

#[test]
fn no_test_looks_for_the_data_on_its_own() {
    let folder = concat!("..", "/shared");
    for (file, source) in sources() {
        let mut code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
        let line = code.find(|line| line.contains(folder));
        assert_eq!(line, None, "{}: use magiclens_testing::shared", file.display());
    }
}
