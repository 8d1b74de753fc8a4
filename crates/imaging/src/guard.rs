//! Guards around decoding: a panic becomes an error, and CPU time is limited.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use magiclens_common::config::Fetch;
use magiclens_common::telemetry::{ThreadCpu, within};
use tokio::sync::oneshot::{self, error::RecvError};
use tokio::time::timeout;

use super::{ImageError, Prepared, prepare};

/// Number of times that a thread's CPU time is read within its limit…
const LOOKS: u32 = 20;
/// …with at least this interval between two reads, and at most [`LONGEST_LOOK`].
const SHORTEST_LOOK: Duration = Duration::from_millis(1);
const LONGEST_LOOK: Duration = Duration::from_secs(1);

/// Runs `work`; a panic inside becomes [`ImageError::Panicked`].
pub(super) fn catch<T>(work: impl FnOnce() -> Result<T, ImageError>) -> Result<T, ImageError> {
    // Unwind safe: `work` owns or only reads its input, and the thread-local buffers of resizer and
    // decoder are overwritten by the next use.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let message = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned());
        Err(ImageError::Panicked(message.unwrap_or_else(|| "no message".into())))
    })
}

/// Runs [`prepare`] on the rayon pool. After `fetch.decode_timeout_s` of CPU time the wait ends and the
/// thread's result is discarded. Time in the queue, or in which the thread has no core, does not count.
/// Work whose caller has gone is not begun.
pub async fn prepare_guarded(bytes: Vec<u8>, limits: Arc<Fetch>) -> Result<Prepared, ImageError> {
    let patience = Duration::from_secs_f64(limits.decode_timeout_s.clamp(0.0, 1e6));
    let (begin, begun) = oneshot::channel();
    let (send, result) = oneshot::channel();
    rayon::spawn(move || {
        if begin.send(ThreadCpu::begin()).is_ok() {
            let _ = send.send(prepare(bytes, &limits));
        }
    });
    let gone = || ImageError::Panicked("the decoding thread went away".into());
    let cpu = begun.await.map_err(|_| gone())?;
    match within_cpu(patience, cpu, result).await {
        Some(prepared) => prepared.map_err(|_| gone())?,
        None => Err(ImageError::TimedOut(patience)),
    }
}

/// Waits for a thread's result until the thread has used `patience` of CPU time. Where the system does not
/// report the CPU time of threads, the time in which this process runs is counted.
async fn within_cpu<T>(
    patience: Duration,
    thread: Option<ThreadCpu>,
    mut result: oneshot::Receiver<T>,
) -> Option<Result<T, RecvError>> {
    let Some(thread) = thread else { return within(patience, result).await.ok() };
    let look = (patience / LOOKS).clamp(SHORTEST_LOOK, LONGEST_LOOK);
    loop {
        match timeout(look, &mut result).await {
            Ok(result) => return Some(result),
            Err(_) if thread.used().is_some_and(|used| used >= patience) => return None,
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::Receiver;

    use super::*;
    use crate::samples;

    #[test]
    fn a_panic_is_an_error() {
        let error = catch::<()>(|| panic!("row {}", 7)).unwrap_err();
        assert_eq!(error, ImageError::Panicked("row 7".into()));
    }

    #[tokio::test]
    async fn gives_the_result_or_gives_up() {
        let bytes = samples::jpeg(&samples::scene(4000, 3000, 1), 90);
        let limits = Arc::new(Fetch::default());
        let prepared = prepare_guarded(bytes.clone(), Arc::clone(&limits)).await.unwrap();
        assert_eq!((prepared.width, prepared.height), (4000, 3000));
        let hasty = Fetch { decode_timeout_s: 1e-9, ..Fetch::default() };
        let error = prepare_guarded(bytes, Arc::new(hasty)).await.unwrap_err();
        assert_eq!(error.reason(), magiclens_core::Reason::DecodeTimeout);
    }

    const PATIENCE: Duration = Duration::from_millis(50);

    /// Waits for a thread that does `work`, by a paused clock that runs ahead. The thread receives the signal
    /// to stop after a hundred times its limit of CPU time.
    async fn outcome(work: fn(&Receiver<()>)) -> Option<&'static str> {
        let (begin, begun) = oneshot::channel();
        let (send, result) = oneshot::channel();
        let (stop, stopped) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            begin.send(ThreadCpu::begin()).unwrap();
            work(&stopped);
            let _ = send.send("done");
        });
        let cpu = begun.await.unwrap();
        let stops = tokio::spawn(async move {
            tokio::time::sleep(100 * PATIENCE).await;
            stop.send(())
        });
        let outcome = within_cpu(PATIENCE, cpu, result).await.map(Result::unwrap);
        stops.abort();
        outcome
    }

    #[cfg(target_os = "linux")]
    #[tokio::test(start_paused = true)]
    async fn a_thread_without_a_core_has_all_the_time_there_is() {
        assert_eq!(outcome(|stopped| stopped.recv().unwrap()).await, Some("done"));
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_thread_that_computes_is_given_up() {
        let computes = |_: &Receiver<()>| {
            let cpu = ThreadCpu::begin().unwrap();
            while cpu.used().is_some_and(|used| used < 10 * PATIENCE) {}
        };
        assert_eq!(outcome(computes).await, None);
    }
}
