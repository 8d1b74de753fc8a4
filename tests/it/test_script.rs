//! `scripts/test.sh` runs every unit test: those that need libtorch in a build that has it.

use std::fs;

use crate::source::root;

/// The modules of `src/lib.rs` that exist with feature `torch` only.
fn torch_modules() -> Vec<String> {
    let source = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let gated = source.split("#[cfg(feature = \"torch\")]\npub mod ").skip(1);
    gated.map(|rest| rest.split(';').next().unwrap().to_owned()).collect()
}

#[test]
fn unit_tests_that_need_libtorch_are_run_with_it() {
    let script = fs::read_to_string(root().join("scripts/test.sh")).unwrap();
    let list = script.split("torch_modules=(").nth(1).unwrap().split(')').next().unwrap();
    let listed: Vec<&str> = list.split(' ').collect();
    let modules = torch_modules();
    assert!(modules.len() >= 3, "{modules:?}");
    for module in modules {
        assert!(listed.contains(&&*format!("{module}::")), "{module} is not in {listed:?}");
    }
}
