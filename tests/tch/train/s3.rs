//! Shards in an object store: moto's S3, a real server of the real protocol.

use super::bench::{Bench, assert_same_curve, said};
use crate::s3::Server;

#[test]
fn shards_in_an_object_store_give_the_curve_of_those_on_disk() {
    let bench = Bench::new();
    let Some(server) = Server::start(&bench.at("shards")) else { return };
    bench.succeed("disk", &[]);
    let mut command = bench.command_with("remote", &["data.shards=[\"s3://bucket/run\"]"]);
    let output = command.envs(server.environment()).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert_same_curve(&bench.curve("disk"), &bench.curve("remote"));
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
