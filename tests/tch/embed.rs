//! `search embed` against the goldens of the original code, and on lists with faults.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use arrow::array::{Array, Float32Array, ListArray, StringArray};
use magiclens::model::ModelConfig;
use magiclens_testing::{conformance, shared};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use safetensors::SafeTensors;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::bounds::{F32, assert_within, guaranteed, likely, roundings};
use crate::train::Bench;

/// A `search` command on the CPU, without the surroundings' configuration.
pub fn search(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_search"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("MAGICLENS_")) {
        command.env_remove(name);
    }
    command.env("OMP_NUM_THREADS", "1").env("CUDA_VISIBLE_DEVICES", "");
    command.current_dir(folder).stdin(Stdio::null());
    command
}

/// The rows of a file of embeddings.
pub fn embeddings(path: &Path) -> Vec<(String, Vec<f32>)> {
    let file = File::open(path).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let mut rows = Vec::new();
    for batch in reader {
        let batch = batch.unwrap();
        let column = |name: &str| batch.column_by_name(name).unwrap();
        let ids = column("id").as_any().downcast_ref::<StringArray>().unwrap();
        let lists = column("embedding").as_any().downcast_ref::<ListArray>().unwrap();
        for at in 0..batch.num_rows() {
            let numbers = lists.value(at);
            let numbers = numbers.as_any().downcast_ref::<Float32Array>().unwrap();
            rows.push((ids.value(at).to_owned(), numbers.values().to_vec()));
        }
    }
    rows
}

/// The golden model and its images, with a folder for lists and embeddings.
struct Golden {
    source: PathBuf,
    folder: TempDir,
}

impl Golden {
    fn open() -> Option<Self> {
        let source = shared("golden/tiny-base")?.canonicalize().unwrap();
        Some(Self { source, folder: tempfile::tempdir().unwrap() })
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn config(&self) -> ModelConfig {
        ModelConfig::read(&self.source.join("config.json")).unwrap()
    }

    /// Image and text of each case.
    fn cases(&self) -> Vec<(PathBuf, String)> {
        let text = std::fs::read(self.source.join("cases.json")).unwrap();
        let cases: Value = serde_json::from_slice(&text).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let cases = cases["cases"].as_array().unwrap().iter();
        cases.map(|case| (self.source.join(text(&case["image"])), text(&case["text"]))).collect()
    }

    /// Rows of one of the outputs of the original code.
    fn expected(&self, name: &str) -> Vec<Vec<f32>> {
        let bytes = std::fs::read(self.source.join("outputs.safetensors")).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let view = file.tensor(name).unwrap();
        let width = *view.shape().last().unwrap();
        view.data().chunks_exact(4 * width).map(|row| crate::train::floats(row).collect()).collect()
    }

    fn list(&self, lines: &[Value]) {
        let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
        std::fs::write(self.at("list.jsonl"), lines).unwrap();
    }

    /// The list of all cases, as queries or as candidates, named by their number.
    fn list_cases(&self, with_text: bool) {
        let cases = self.cases().into_iter().enumerate();
        let lines = cases.map(|(id, (image, text))| {
            let text = if with_text { text } else { String::new() };
            json!({ "id": format!("case {id}"), "image": image, "text": text })
        });
        self.list(&lines.collect::<Vec<_>>());
    }

    fn command(&self) -> Command {
        let mut command = search(self.folder.path());
        command.arg("embed").arg("--model").arg(self.source.join("params.pkl"));
        command.arg("--config").arg(self.source.join("config.json"));
        command.args(["--queries", "list.jsonl", "--out", "out.parquet"]);
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command().args(arguments).output().unwrap()
    }

    fn embedded(&self) -> Vec<(String, Vec<f32>)> {
        embeddings(&self.at("out.parquet"))
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The largest absolute number.
pub fn largest(vector: &[f32]) -> f64 {
    vector.iter().fold(0.0, |most, number| f64::from(number.abs()).max(most))
}

/// Fails unless a vector is another, but for the roundings of a model of these sizes in another order.
pub fn assert_same_vector(ours: &[f32], theirs: &[f32], config: &ModelConfig, what: &str) {
    let within = likely(F32, roundings(config)) * largest(theirs);
    assert_within(f64::from(apart(ours, theirs)), within, what);
}

/// The largest difference of two vectors; NaN counts as infinite.
pub fn apart(one: &[f32], other: &[f32]) -> f32 {
    assert_eq!(one.len(), other.len());
    let differences = one.iter().zip(other).map(|(a, b)| (a - b).abs());
    differences
        .fold(0.0, |most, apart| if apart.is_nan() { f32::INFINITY } else { apart.max(most) })
}

#[test]
fn the_released_format_embeds_as_the_original_code_does() {
    let Some(golden) = Golden::open() else { return };
    let mut compared = 0;
    for (with_text, name) in [(true, "multimodal_embed_norm"), (false, "index_embed_norm")] {
        golden.list_cases(with_text);
        // 3 does not divide the cases: the last batch is a short one.
        let output = golden.run(&["--batch", "3"]);
        assert!(output.status.success(), "{}", said(&output));
        assert!(said(&output).contains("10 embedded, 0 failed"), "{}", said(&output));
        let embedded = golden.embedded();
        let expected = golden.expected(name);
        assert_eq!((embedded.len(), expected.len()), (10, 10));
        for (number, ((id, ours), theirs)) in embedded.iter().zip(&expected).enumerate() {
            assert_eq!(id, &format!("case {number}"));
            assert_same_vector(ours, theirs, &golden.config(), &format!("{name} {id}"));
            compared += 1;
        }
    }
    conformance("search-embed", compared);
}

#[test]
fn the_preprocessing_that_is_asked_for_is_done() {
    let Some(golden) = Golden::open() else { return };
    golden.list_cases(true);
    assert!(golden.run(&[]).status.success());
    let released = golden.embedded();
    let mode = |name: &str| std::fs::metadata(golden.at(name)).unwrap().permissions();
    assert_eq!(mode("out.parquet"), mode("list.jsonl"), "who may read it");
    assert!(golden.run(&["--preprocess", "released"]).status.success());
    assert_eq!(golden.embedded(), released);
    assert!(golden.run(&["--preprocess", "clip"]).status.success());
    let clip = golden.embedded();
    // Case 0 has the model's size and a white pixel, so neither preprocessing changes it; case 1 is darker
    // and not square.
    let config = golden.config();
    assert_same_vector(&released[0].1, &clip[0].1, &config, "case 0");
    let bound = likely(F32, roundings(&config)) * largest(&clip[1].1);
    assert!(f64::from(apart(&released[1].1, &clip[1].1)) > 10.0 * bound);
    for (id, vector) in clip {
        let norm: f32 = vector.iter().map(|x| x * x).sum();
        // Added up here and in the model, which rounds its root and its quotients.
        assert_within(f64::from((norm - 1.0).abs()), guaranteed(F32, vector.len() + 4), id);
    }
    let output = golden.run(&["--preprocess", "other"]);
    assert!(!output.status.success() && said(&output).contains("released"), "{}", said(&output));
}

#[test]
fn an_image_that_is_missing_or_broken_is_named_and_the_others_are_embedded() {
    let Some(golden) = Golden::open() else { return };
    let cases = golden.cases();
    std::fs::write(golden.at("text.png"), "no image").unwrap();
    let line = |id: &str, image: &Path| json!({ "id": id, "image": image, "text": cases[1].1 });
    golden.list(&[
        line("first", &cases[1].0),
        line("gone", Path::new("gone.png")),
        line("broken", Path::new("text.png")),
        line("last", &cases[1].0),
    ]);
    let output = golden.run(&[]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    for (id, word) in [("gone", "gone.png"), ("broken", "text.png")] {
        let named = |line: &&str| line.starts_with(&format!("search: {id}: "));
        let said = said(&output);
        let line = said.lines().find(named).unwrap_or_else(|| panic!("no {id} in {said}"));
        assert!(line.contains(word), "{line}");
    }
    assert!(said(&output).contains("2 embedded, 2 failed"), "{}", said(&output));
    let expected = &golden.expected("multimodal_embed_norm")[1];
    let embedded: BTreeMap<_, _> = golden.embedded().into_iter().collect();
    assert_eq!(embedded.keys().collect::<Vec<_>>(), ["first", "last"]);
    for (id, vector) in embedded {
        assert_same_vector(&vector, expected, &golden.config(), &id);
    }
}

#[test]
fn what_cannot_be_done_is_said_in_a_line_and_leaves_the_output_as_it_was() {
    let Some(golden) = Golden::open() else { return };
    golden.list_cases(true);
    std::fs::write(golden.at("out.parquet"), "earlier").unwrap();
    let fails = |arguments: &[&str], words: &[&str]| {
        let output = golden.run(arguments);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(words.iter().all(|word| said.contains(word)), "{words:?} in {said}");
        assert_eq!(std::fs::read(golden.at("out.parquet")).unwrap(), b"earlier");
        let leftover = std::fs::read_dir(golden.folder.path()).unwrap().count();
        assert_eq!(leftover, 2, "something was left behind");
    };
    let list = std::fs::read_to_string(golden.at("list.jsonl")).unwrap();
    for (bad, word) in [("{\"id\": \"x\"}", "image"), ("no json", "expected"), ("[]", "")] {
        std::fs::write(golden.at("list.jsonl"), format!("{list}{bad}\n")).unwrap();
        fails(&[], &["list.jsonl, line 11: ", word]);
    }
    std::fs::write(golden.at("list.jsonl"), &list).unwrap();
    // As a later argument is no override, these are commands of their own.
    let other = |change: &dyn Fn(&mut Command), words: &[&str]| {
        let mut command = search(golden.folder.path());
        command.arg("embed");
        change(&mut command);
        let output = command.output().unwrap();
        let said = said(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(words.iter().all(|word| said.contains(word)), "{words:?} in {said}");
    };
    let (model, config) = (golden.source.join("params.pkl"), golden.source.join("config.json"));
    let good = |command: &mut Command| {
        command.arg("--config").arg(&config);
    };
    let from_good = |command: &mut Command| {
        good(command);
        command.arg("--model").arg(&model);
    };
    other(
        &|command| {
            from_good(command);
            command.args(["--queries", "none.jsonl", "--out", "out.parquet"]);
        },
        &["none.jsonl", "No such file"],
    );
    other(
        &|command| {
            from_good(command);
            command.args(["--queries", "list.jsonl", "--out", "no/such/folder/out.parquet"]);
        },
        &["no/such/folder/out.parquet", "No such file"],
    );
    other(
        &|command| {
            good(command);
            command.args(["--model", "none.pkl", "--queries", "list.jsonl", "--out", "o.parquet"]);
        },
        &["none.pkl"],
    );
    assert!(!golden.at("o.parquet").exists());
}

#[test]
fn a_run_s_folder_stands_for_its_best_checkpoint() {
    let bench = Bench::new();
    let sets = ["run.steps=4", "checkpoint.every=2", "eval.every=2", "checkpoint.keep=9"];
    bench.succeed("run", &sets);
    let triplet = crate::train::triplets().remove(0);
    std::fs::write(bench.at("image.jpg"), triplet.query_image.unwrap().bytes).unwrap();
    let line = json!({ "id": "a", "image": "image.jpg", "text": triplet.instruction });
    std::fs::write(bench.at("list.jsonl"), format!("{line}\n")).unwrap();
    let embed = |model: &Path| {
        let mut command = search(bench.folder.path());
        command.arg("embed").arg("--model").arg(model);
        command.args(["--queries", "list.jsonl", "--out", "out.parquet"]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        embeddings(&bench.at("out.parquet")).remove(0).1
    };
    let of_step = [2, 4].map(|step| embed(&bench.checkpoint("run", step)));
    assert!(apart(&of_step[0], &of_step[1]) > 1e-4, "two steps of training change nothing");
    let best = bench.pointer("run", "best.json");
    let of_best = &of_step[usize::from(best == 4)];
    assert_eq!(&embed(&bench.at("run")), of_best);
    // Whichever that was: the pointer is what counts.
    let other = 6 - best;
    let pointer = json!({ "step": other, "path": format!("step-{other:09}"), "score": 0.5 });
    std::fs::write(bench.at("run/checkpoints/best.json"), pointer.to_string()).unwrap();
    assert_eq!(&embed(&bench.at("run")), &of_step[usize::from(other == 4)]);
    // And where none was validated, the latest.
    std::fs::remove_file(bench.at("run/checkpoints/best.json")).unwrap();
    assert_eq!(&embed(&bench.at("run")), &of_step[1]);
}
