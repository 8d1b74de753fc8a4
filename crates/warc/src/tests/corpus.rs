//! Files that other tools test themselves with, against what two other readers found in them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use magiclens_testing::{conformance, shared};
use serde::Deserialize;
use serde_json::Value;

use super::super::{RecordType, WarcError};
use super::support::read;

#[derive(Deserialize)]
struct File {
    file: String,
    warcio: String,
    records: BTreeMap<String, usize>,
    fastwarc: Value,
}

fn corpus() -> Option<(PathBuf, Vec<File>)> {
    let folder = shared("corpora/warc")?;
    let text = std::fs::read_to_string(folder.join("manifest.json")).unwrap();
    Some((folder, serde_json::from_str(&text).unwrap()))
}

fn counts(kinds: impl Iterator<Item = RecordType>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    kinds.for_each(|kind| *counts.entry(kind.as_str().to_owned()).or_default() += 1);
    counts
}

#[test]
fn good_files_have_the_records_of_the_manifest_and_damaged_ones_no_fewer() {
    let Some((folder, files)) = corpus() else { return };
    let (mut good, all) = (0, files.len());
    for File { file, warcio, records, fastwarc } in files {
        let bytes = std::fs::read(folder.join(&file)).unwrap();
        let found = read(&bytes);
        let total: usize = records.values().sum();
        if records.contains_key("arc_header") || warcio.contains("Unknown archive format") {
            let error = found.error.expect(&file).to_string();
            assert!(error.starts_with("not a WARC file: it "), "{file}: {error}");
            assert_eq!(found.heads.len(), 0, "{file}");
        } else if warcio == "ok" && fastwarc.as_u64() == Some(total as u64) {
            good += 1;
            assert_eq!(counts(found.heads.iter().map(|head| head.record_type)), records, "{file}");
            if file != "resiliparse/clipped.warc.gz" {
                assert!(found.error.is_none(), "{file}: {:?}", found.error);
            }
        } else {
            // Both agree on what the one that found less found.
            let agreed = total.min(fastwarc.as_u64().map_or(total, |n| n as usize));
            assert!(found.heads.len() >= agreed, "{file}: {} of {agreed}", found.heads.len());
            println!("{file}: {} records, then {:?}", found.heads.len(), found.error);
        }
    }
    assert!(good > 20, "{good} good files");
    conformance("warc", all);
}

#[test]
fn a_clipped_file_gives_the_record_and_then_where_it_ends() {
    let Some((folder, _)) = corpus() else { return };
    let bytes = std::fs::read(folder.join("resiliparse/clipped.warc.gz")).unwrap();
    let found = read(&bytes);
    assert_eq!((found.heads.len(), found.records.len()), (1, 0));
    let error = found.error.unwrap();
    assert!(matches!(error, WarcError::Truncated { offset: 18184, .. }), "{error}");
    conformance("warc-clipped", 1);
}

#[test]
fn foreign_files_are_named() {
    let Some((folder, _)) = corpus() else { return };
    let cases = [
        ("resiliparse/warcfile.warc.lz4", "it looks like lz4"),
        ("warcio/example.arc", "it looks like an ARC file"),
        ("warcio/example.arc.gz", "it looks like an ARC file"),
        ("whirlwind/CC-MAIN-2024-22.warc.paths.gz", "part-00000"),
        ("manifest.json", "it begins with"),
    ];
    for (file, expected) in cases {
        let error = read(&std::fs::read(folder.join(file)).unwrap()).error.unwrap().to_string();
        assert!(error.contains(expected), "{file}: {error}");
    }
    conformance("warc-foreign", cases.len());
}
