//! SIGTERM and SIGINT ask for a stop: the loop looks between steps, saves and ends with exit code
//! 0, as pre-emptible nodes want it. A second signal ends the process at once.
//!
//! It is not asynchronous: a step cannot be broken off, only waited for.
//! <https://pubs.opengroup.org/onlinepubs/9799919799/functions/V2_chap02.html#tag_16_04>

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// The exit code after a second signal: the run failed to end in order.
const EXIT_AT_ONCE: i32 = 1;

/// Whether somebody asked for the end of the run.
#[derive(Clone, Debug)]
pub struct Stop {
    number: Arc<AtomicUsize>,
}

impl Stop {
    /// Listens from now on, in place of what the system does with these signals.
    ///
    /// One call a process: each further one would take the first signal for a second.
    pub fn listen() -> io::Result<Self> {
        let (number, again) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        for signal in [SIGTERM, SIGINT] {
            // Actions run in the order of their registration: the first signal finds `again` unset.
            flag::register_conditional_shutdown(signal, EXIT_AT_ONCE, Arc::clone(&again))?;
            flag::register(signal, Arc::clone(&again))?;
            let value = usize::try_from(signal).expect("signal numbers are positive");
            flag::register_usize(signal, Arc::clone(&number), value)?;
        }
        Ok(Self { number })
    }

    /// One that nobody asks.
    pub fn never() -> Self {
        Self { number: Arc::default() }
    }

    /// Names the signal that asked for the end, if one did.
    pub fn requested(&self) -> Option<&'static str> {
        match i32::try_from(self.number.load(SeqCst)).unwrap_or_default() {
            0 => None,
            SIGINT => Some("SIGINT"),
            _ => Some("SIGTERM"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use signal_hook::low_level::raise;

    use super::*;

    /// Set in the process that this test starts: signals belong to a whole process.
    const CHILD: &str = "TRAIN_SIGNAL_TEST";

    /// Raises a signal and says what is known of it, then raises another one.
    fn child(first: i32, second: i32) {
        let stop = Stop::listen().unwrap();
        eprintln!("before: {:?}", stop.requested());
        raise(first).unwrap();
        eprintln!("after: {:?}", stop.requested());
        raise(second).unwrap();
        eprintln!("still here");
    }

    #[test]
    fn the_first_signal_is_a_request_and_the_second_ends_the_process() {
        let name = "signal::tests::the_first_signal_is_a_request_and_the_second_ends_the_process";
        match std::env::var(CHILD).as_deref() {
            Ok("TERM INT") => return child(SIGTERM, SIGINT),
            Ok(_) => return child(SIGINT, SIGINT),
            Err(_) => {}
        }
        for (signals, first) in [("TERM INT", "SIGTERM"), ("INT INT", "SIGINT")] {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args([&format!("train::{name}"), "--exact", "--nocapture"]);
            let output = command.env(CHILD, signals).output().unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            assert!(said.contains("before: None\n"), "{said}");
            assert!(said.contains(&format!("after: Some(\"{first}\")\n")), "{said}");
            assert!(!said.contains("still here"), "{said}");
            assert_eq!(output.status.code(), Some(EXIT_AT_ONCE), "{said}");
        }
    }

    #[test]
    fn nobody_asks_by_default() {
        assert_eq!(Stop::never().requested(), None);
    }
}
