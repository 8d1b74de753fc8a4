//! Tests that need a process of their own: to be killed, or to see a small file system.
//!
//! Such a test runs its own executable again, with a variable that says what it is there for.
//! <https://man7.org/linux/man-pages/man1/unshare.1.html>

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Set in the processes that tests start: the folder to work in.
const FOLDER: &str = "TRAIN_TEST_FOLDER";

/// The folder to work in, if this is a process that a test started.
pub fn child_folder() -> Option<PathBuf> {
    std::env::var_os(FOLDER).map(PathBuf::from)
}

/// A command that runs one test as a child with a folder to work in: `module` is the test's
/// `module_path!()`.
pub fn child(module: &str, test: &str, folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(arguments(module, test)).env(FOLDER, folder).stdout(Stdio::null());
    command
}

/// What makes a test executable run one test: its path within the crate.
fn arguments(module: &str, test: &str) -> [String; 3] {
    let (_crate, module) = module.split_once("::").unwrap();
    [format!("{module}::{test}"), "--exact".to_owned(), "--nocapture".to_owned()]
}

/// Runs `body` on an empty file system of so many bytes: a tmpfs that only a child process sees.
/// Where that may not be mounted, it says so and runs nothing.
pub fn on_small_disk(module: &str, test: &str, bytes: u64, body: impl FnOnce(&Path)) {
    if let Some(folder) = child_folder() {
        return body(&folder);
    }
    let folder = tempfile::tempdir().unwrap();
    let options = format!("size={bytes}");
    let mounted = |then: &str| {
        let script = format!("mount -t tmpfs -o \"$1\" none \"$2\" && shift 2 && {then}");
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "--", "sh", "-c", &script, "sh"]);
        command.arg(&options).arg(folder.path()).env(FOLDER, folder.path());
        command
    };
    if !mounted("true").output().is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: no small file system can be mounted here");
        return;
    }
    let mut command = mounted("exec \"$@\"");
    command.arg(std::env::current_exe().unwrap()).args(arguments(module, test));
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{errors}");
}

/// Takes all the room that a file system has, but for so many bytes; gives the file that has it.
pub fn fill(folder: &Path, room: u64) -> PathBuf {
    let (path, spare) = (folder.join("ballast"), folder.join("spare"));
    std::fs::write(&spare, vec![1; room as usize]).unwrap();
    let mut file = std::fs::File::create(&path).unwrap();
    let block = [1; 4096];
    while std::io::Write::write_all(&mut file, &block).is_ok() {}
    std::fs::remove_file(spare).unwrap();
    path
}
