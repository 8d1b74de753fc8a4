//! Imports point down only: each module may use those of its own level and below, and the stages
//! never use each other.

use std::fs;
use std::path::Path;

use crate::source::{Token, root, rust_files, tokens};

/// Modules of `src/` by level; the crates below stand under all of them, the binaries above.
const LEVELS: &[&[&str]] = &[&["model"], &["retrieval", "stages", "train"], &["pipeline"]];

/// What stages share, and what is no stage.
const SHARED: [&str; 10] = [
    "archives",
    "asking",
    "batch",
    "blocklist",
    "boilerplate",
    "context",
    "html",
    "slices",
    "vectors",
    "wording",
];

/// A path that some code names, as segments after `crate`.
struct Import {
    line: usize,
    path: Vec<String>,
}

fn level(module: &str) -> Option<usize> {
    LEVELS.iter().position(|modules| modules.contains(&module))
}

/// `src/stages/fetch/plan.rs` is module `stages::fetch::plan`.
fn module_of(file: &str) -> Vec<String> {
    let path = file.trim_start_matches("src/").trim_end_matches(".rs");
    let path = path.trim_end_matches("/mod").split('/').map(String::from);
    path.filter(|part| part != "lib" && part != "mod").collect()
}

/// Every path in `source` that starts at `crate` or climbs with `super`.
fn imports(source: &str, module: &[String]) -> Vec<Import> {
    let tokens = tokens(source);
    let (mut imports, mut inline, mut depth) = (Vec::new(), Vec::new(), 0);
    for (at, token) in tokens.iter().enumerate() {
        match token.text.as_str() {
            "{" => {
                depth += 1;
                if at >= 2 && tokens[at - 2].text == "mod" {
                    inline.push((depth, tokens[at - 1].text.clone()));
                }
            }
            "}" => {
                inline.retain(|(opened, _)| *opened < depth);
                depth -= 1;
            }
            "crate" => follow(&tokens, at + 1, Vec::new(), &mut imports),
            "super" if at < 3 || tokens[at - 3].text != "super" => {
                let mut here = module.to_vec();
                here.extend(inline.iter().map(|(_, name)| name.clone()));
                follow(&tokens, at, here, &mut imports);
            }
            _ => {}
        }
    }
    imports
}

/// Reads what follows a prefix: `::a::b` or `::{a::b, c}`, with `super` going up.
fn follow(tokens: &[Token], mut at: usize, mut path: Vec<String>, imports: &mut Vec<Import>) {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let line = tokens[at.min(tokens.len() - 1)].line;
    if text(at) == "super" {
        path.pop();
        at += 1;
    }
    while text(at) == ":" && text(at + 1) == ":" {
        at += 2;
        match text(at) {
            "super" => drop(path.pop()),
            "{" => return group(tokens, at + 1, &path, imports),
            word => path.push(word.to_owned()),
        }
        at += 1;
    }
    imports.push(Import { line, path });
}

/// Reads the members of `{a::b, c::{d, e}}`, each as if the prefix stood before it.
fn group(tokens: &[Token], mut at: usize, prefix: &[String], imports: &mut Vec<Import>) {
    let mut depth = 0;
    let mut fresh = true;
    while depth >= 0 && at < tokens.len() {
        if depth == 0 && fresh && !["}", ",", "{"].contains(&tokens[at].text.as_str()) {
            let mut path = prefix.to_vec();
            path.push(tokens[at].text.clone());
            follow(tokens, at + 1, path, imports);
        }
        fresh = tokens[at].text == ",";
        depth += match tokens[at].text.as_str() {
            "{" => 1,
            "}" => -1,
            _ => 0,
        };
        at += 1;
    }
}

/// What is wrong with an import of `target` by `module`.
fn fault(module: &[String], target: &[String]) -> Option<String> {
    let [own, used] = [module.first()?, target.first()?];
    let (Some(from), Some(to)) = (level(own), level(used)) else {
        // Macros and the crate's root are no modules.
        return (level(own).is_none()).then(|| format!("module `{own}` has no level in LEVELS"));
    };
    if to > from {
        return Some(format!("`{own}` (level {from}) uses `{used}` (level {to})"));
    }
    match (own.as_str(), used.as_str(), module.get(1), target.get(1)) {
        ("stages", "stages", Some(one), Some(other))
            if one != other && !SHARED.contains(&other.as_str()) =>
        {
            Some(format!("stage `{one}` uses stage `{other}`"))
        }
        _ => None,
    }
}

/// Each upward import of a file, with its place.
fn faults(file: &str, source: &str) -> Vec<String> {
    let module = module_of(file);
    let imports = imports(source, &module).into_iter();
    let faults = imports.filter_map(|import| {
        fault(&module, &import.path).map(|fault| format!("{file}:{}: {fault}", import.line))
    });
    let mut faults: Vec<String> = faults.collect();
    faults.dedup();
    faults
}

#[test]
fn imports_point_down() {
    let mut found = Vec::new();
    for path in rust_files(&root().join("src")) {
        let file = path.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/");
        if Path::new(&file).starts_with("src/bin") {
            continue;
        }
        found.extend(faults(&file, &fs::read_to_string(&path).unwrap()));
    }
    assert!(found.is_empty(), "imports that point up:\n{}", found.join("\n"));
}

#[test]
fn every_module_has_a_level() {
    let source = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let tokens = tokens(&source);
    let modules = tokens.windows(2).filter(|pair| pair[0].text == "mod").map(|pair| &pair[1].text);
    let modules: Vec<&String> = modules.collect();
    assert!(modules.len() > 4, "lib.rs declares only {modules:?}");
    for module in modules {
        assert!(level(module).is_some(), "module `{module}` has no level in LEVELS");
    }
}

#[test]
fn an_upward_import_is_named_with_file_and_line() {
    let source = "use std::fs;\nuse crate::{\n    record::Page,\n    pipeline::{Plan, run},\n};\n";
    let expected = "src/model/tape.rs:4: `model` (level 0) uses `pipeline` (level 2)";
    assert_eq!(faults("src/model/tape.rs", source), [expected]);
    let source = "fn f() {\n    crate::stages::fetch::run();\n}\n";
    let expected = "src/model/mod.rs:2: `model` (level 0) uses `stages` (level 1)";
    assert_eq!(faults("src/model/mod.rs", source), [expected]);
}

#[test]
fn a_stage_that_uses_another_is_named_however_it_is_written() {
    let expected =
        |line| [format!("src/stages/collect/mod.rs:{line}: stage `collect` uses stage `fetch`")];
    let check = |source: &str| faults("src/stages/collect/mod.rs", source);
    assert_eq!(check("use crate::stages::fetch::Plan;"), expected(1));
    assert_eq!(check("use crate::stages::{\n    fetch::Plan};"), expected(2));
    assert_eq!(check("use super::fetch::Plan;"), expected(1));
    assert_eq!(check("mod tests {\n    use super::super::fetch;\n}"), expected(2));
    assert_eq!(check("mod tests {\n}\nuse super::fetch;"), expected(3));
}

#[test]
fn downward_and_own_imports_pass() {
    let source = "use crate::record::{Page, Reject};\nuse crate::model::Clip;\nuse super::Row;\n\
        // use crate::pipeline::run;\nmod tests {\n    use super::*;\n    use crate::stages::fetch::x;\n}";
    assert_eq!(faults("src/stages/fetch/plan.rs", source), Vec::<String>::new());
    assert_eq!(faults("src/pipeline/run.rs", "use crate::stages::{collect, fetch};"), [""; 0]);
}
