//! `search index`, `query` and `serve`, as their user runs them, with a small model of random weights: an
//! image still finds itself.

mod browser;
mod index;
mod requests;
mod serve;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use magiclens::model::{MagicLens, ModelConfig};
use magiclens_demo::picture::Picture;
use magiclens_demo::{Rng, Scene};
use serde_json::Value;
use tempfile::TempDir;

use crate::embed::search;

/// Pictures of [`Place::with_images`].
pub const IMAGES: usize = 12;

/// A folder with a model, images and indexes.
pub struct Place {
    /// The folder.
    pub folder: TempDir,
}

impl Place {
    /// A model and nothing else.
    pub fn new() -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        let model = MagicLens::new(&ModelConfig::tiny(), tch::Device::Cpu, 7);
        model.save(&place.at("model")).unwrap();
        place
    }

    /// A model, and drawn scenes in `images/` and a folder below it.
    pub fn with_images() -> Self {
        let place = Self::new();
        std::fs::create_dir_all(place.at("images/more")).unwrap();
        for (number, bytes) in scenes().into_iter().enumerate() {
            std::fs::write(place.at(&Self::image(number)), bytes).unwrap();
        }
        place
    }

    /// Where a picture lies.
    pub fn image(number: usize) -> String {
        let folder = if number.is_multiple_of(3) { "images/more" } else { "images" };
        format!("{folder}/scene {number:02}.jpg")
    }

    /// A path in the folder.
    pub fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `search ARGUMENTS`.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = search(self.folder.path());
        command.args(arguments);
        command
    }

    /// The same, run.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// `search index --model model --out index SOURCE`, with exit code 0.
    pub fn index(&self, source: &str) -> Output {
        let output = self.run(&["index", "--model", "model", "--out", "index", source]);
        assert!(output.status.success(), "{}", said(&output));
        output
    }

    /// The answers of `search query --index index`.
    pub fn query(&self, arguments: &[&str]) -> Vec<Value> {
        let mut command = self.command(&["query", "--index", "index", "--json"]);
        let output = command.args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The numbers of the index's vectors.
    pub fn vectors(&self) -> Vec<f32> {
        let bytes = std::fs::read(self.at("index/vectors.f16")).unwrap();
        let number = |two: &[u8]| half::f16::from_le_bytes([two[0], two[1]]).to_f32();
        bytes.chunks_exact(2).map(number).collect()
    }

    /// `search serve --index index` on a port of its own.
    pub fn serve(&self) -> Serving {
        let mut command = self.command(&["serve", "--index", "index", "--listen", "127.0.0.1:0"]);
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let line = lines.next().expect("it says where it listens").unwrap();
        let url = line.split_whitespace().find(|word| word.starts_with("http://")).expect(&line);
        let url = url.trim_end_matches('/').to_owned();
        // What it says later must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Serving { child, url }
    }
}

/// A server that ends with the test.
pub struct Serving {
    /// The process.
    pub child: Child,
    /// `http://127.0.0.1:PORT`.
    pub url: String,
}

impl Serving {
    /// A figure of `/proc/PID/status` in KiB.
    pub fn kib(&self, name: &str) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// JPEG files of different scenes.
pub fn scenes() -> Vec<Vec<u8>> {
    let mut rng = Rng::new(11);
    let draw = |_| Picture::of(Scene::random(&mut rng), (160, 120)).bytes().unwrap();
    (0..IMAGES).map(draw).collect()
}

/// What a command says on stderr.
pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Files of an index.
pub fn files(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
