//! Run directories and inputs in an object store: `mine` over moto's S3.

mod commit;
mod inputs;
mod replies;
mod run;

use std::process::Command;

use crate::s3::Server;
use crate::support::Mined;

/// A run into `s3://bucket/<out>`, with what it keeps on this machine in `scratch`.
fn command(mined: &Mined, server: &Server, out: &str) -> Command {
    let mut command = mined.command(&format!("s3://bucket/{out}"));
    within(&mut command, mined, server);
    command
}

/// Lets a command speak to the server.
fn within(command: &mut Command, mined: &Mined, server: &Server) {
    command.envs(server.environment());
    command.env("TMPDIR", mined.folder.path());
}

/// A server with nothing in it.
fn server(mined: &Mined) -> Option<Server> {
    let nothing = mined.folder.path().join("nothing");
    std::fs::create_dir_all(&nothing).unwrap();
    Server::start(&nothing)
}
