//! moto's S3: a real server of the real protocol, for as long as a test runs.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use magiclens::store::{RunDir, Store};
use object_store::ObjectStore;
use object_store::aws::AmazonS3Builder;
use object_store::prefix::PrefixStore;

use crate::support::python;

/// A server that ends with the test.
pub struct Server {
    process: Child,
    endpoint: String,
}

impl Server {
    /// Serves a folder as `s3://bucket/run`; none where there is no Python with moto to do so.
    pub fn start(folder: &Path) -> Option<Self> {
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
    pub fn environment(&self) -> [(&str, &str); 5] {
        [
            ("AWS_ENDPOINT_URL", &self.endpoint),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
        ]
    }

    /// What lies below `s3://bucket/<prefix>`, for a test to look at.
    pub fn objects(&self, prefix: &str) -> Arc<dyn ObjectStore> {
        let builder = AmazonS3Builder::new()
            .with_endpoint(&self.endpoint)
            .with_allow_http(true)
            .with_region("us-east-1")
            .with_access_key_id("test")
            .with_secret_access_key("test")
            .with_bucket_name("bucket");
        Arc::new(PrefixStore::new(builder.build().unwrap(), prefix))
    }

    /// The run directory `s3://bucket/<prefix>`.
    pub fn run_dir(&self, prefix: &str, scratch: &Path) -> RunDir {
        RunDir::within(Store::within(self.objects(prefix), scratch))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
