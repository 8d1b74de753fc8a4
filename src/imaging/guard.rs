//! The walls around decoding: a panic becomes an error, and nobody waits for ever.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::{ImageError, Prepared, prepare};
use crate::config::Fetch;

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

/// [`prepare`] on the rayon pool. The clock starts when a thread takes the work up, so a queue does
/// not count; past `fetch.decode_timeout_s` the wait ends and the thread's result is dropped. Work
/// that nobody waits for any more is not begun.
pub async fn prepare_guarded(bytes: Vec<u8>, limits: Arc<Fetch>) -> Result<Prepared, ImageError> {
    let patience = Duration::from_secs_f64(limits.decode_timeout_s.clamp(0.0, 1e6));
    let (begin, begun) = oneshot::channel();
    let (send, result) = oneshot::channel();
    rayon::spawn(move || {
        if begin.send(()).is_ok() {
            let _ = send.send(prepare(bytes, &limits));
        }
    });
    let gone = || ImageError::Panicked("the decoding thread went away".into());
    begun.await.map_err(|_| gone())?;
    match tokio::time::timeout(patience, result).await {
        Ok(prepared) => prepared.map_err(|_| gone())?,
        Err(_) => Err(ImageError::TimedOut(patience)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imaging::samples;

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
        assert_eq!(error.reason(), crate::record::Reason::DecodeTimeout);
    }
}
