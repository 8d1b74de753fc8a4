//! Output of a command, for people or the next command.

use std::fmt::Display;
use std::io::{ErrorKind, Write, stdout};

/// Prints a text and ends its last line. A reader may close the pipe early: `mine status RUN | head` is no
/// failure.
pub fn say(text: impl Display) {
    let text = text.to_string();
    let text = text.strip_suffix('\n').unwrap_or(&text);
    match writeln!(stdout(), "{text}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            tracing::error!("cannot write to standard output: {error}");
        }
        _ => {}
    }
}
