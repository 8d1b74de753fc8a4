//! A build without libtorch.

use super::{options, refused, set};
use crate::support::Mined;

#[tokio::test(flavor = "multi_thread")]
async fn clip_needs_a_build_that_has_it() {
    let mined = Mined::serve(&options()).await;
    let mut command = mined.command("run");
    set(&mut command, &[("pair.similarity", "clip"), ("embed.weights", "clip")]);
    let stderr = refused(command).await;
    assert!(stderr.contains("needs a build with `--features torch`"), "{stderr}");
    assert!(mined.world.log().is_empty());
}
