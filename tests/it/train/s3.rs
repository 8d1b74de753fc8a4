//! Shards in an object store: moto's S3, a real server of the real protocol.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use super::bench::{Bench, assert_same_curve, said};
use crate::support::python;

/// A server that ends with the test.
struct Server {
    process: Child,
    endpoint: String,
}

impl Server {
    /// Serves a folder as `s3://bucket/run`; none where there is no Python with moto to do so.
    fn start(folder: &std::path::Path) -> Option<Self> {
        let python = python()?;
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/s3_server.py");
        let mut command = Command::new(python);
        command.arg(script).arg(folder).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut endpoint = String::new();
        let stdout = process.stdout.as_mut().unwrap();
        BufReader::new(stdout).read_line(&mut endpoint).unwrap();
        let endpoint = endpoint.trim().to_owned();
        assert!(endpoint.starts_with("http://"), "the server did not start");
        Some(Self { process, endpoint })
    }

    /// What whoever speaks to it has in the environment.
    fn environment(&self) -> [(&str, &str); 5] {
        [
            ("AWS_ENDPOINT_URL", &self.endpoint),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
        ]
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn shards_in_an_object_store_give_the_curve_of_those_on_disk() {
    let bench = Bench::new();
    let Some(server) = Server::start(&bench.at("shards")) else { return };
    bench.succeed("disk", &[]);
    let mut command = bench.command_with("remote", &["data.shards=[\"s3://bucket/run\"]"]);
    let output = command.envs(server.environment()).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert_same_curve(&bench.curve("disk"), &bench.curve("remote"), 0.0);
}

#[test]
fn a_store_without_shards_or_without_the_bucket_is_named() {
    let bench = Bench::new();
    let Some(server) = Server::start(&bench.at("shards")) else { return };
    for location in ["s3://bucket/elsewhere", "s3://nobucket/run"] {
        let mut command = bench.command_with("run", &[&format!("data.shards=[\"{location}\"]")]);
        let output = command.envs(server.environment()).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(said(&output).contains(location), "{}", said(&output));
        assert!(!bench.at("run").exists());
    }
}
