//! A value that is fetched once for all who ask, and again when it has grown old.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

/// A cell with an expiry. Who finds it empty fetches; the others wait for that fetch. A fetch that
/// is cancelled leaves the cell empty for the next.
pub(super) struct Fresh<T> {
    slot: Mutex<Option<(Instant, Arc<T>)>>,
}

impl<T> Default for Fresh<T> {
    fn default() -> Self {
        Self { slot: Mutex::new(None) }
    }
}

impl<T> Fresh<T> {
    /// Returns the value. If it is missing or has expired, `fetch` supplies one with its lifetime.
    pub(super) async fn get_or<F>(&self, fetch: impl FnOnce() -> F) -> Arc<T>
    where
        F: Future<Output = (T, Duration)>,
    {
        let mut slot = self.slot.lock().await;
        if let Some((until, value)) = slot.as_ref()
            && Instant::now() < *until
        {
            return Arc::clone(value);
        }
        let (value, ttl) = fetch().await;
        let value = Arc::new(value);
        *slot = Some((Instant::now() + ttl, Arc::clone(&value)));
        value
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    async fn slow_fetch(fetches: &AtomicU32) -> (u32, Duration) {
        tokio::time::sleep(Duration::from_secs(1)).await;
        (fetches.fetch_add(1, Ordering::SeqCst) + 1, DAY)
    }

    #[tokio::test(start_paused = true)]
    async fn concurrent_callers_share_a_fetch_and_a_day_later_it_is_repeated() {
        let (cell, fetches) = (Fresh::default(), AtomicU32::new(0));
        let get = || cell.get_or(|| slow_fetch(&fetches));
        let (a, b, c) = tokio::join!(get(), get(), get());
        assert_eq!((*a, *b, *c), (1, 1, 1));
        tokio::time::advance(DAY - Duration::from_secs(2)).await;
        assert_eq!(*get().await, 1);
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(*get().await, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_fetch_leaves_the_next_caller_to_it() {
        let (cell, fetches) = (Fresh::default(), AtomicU32::new(0));
        let get = || cell.get_or(|| slow_fetch(&fetches));
        assert!(tokio::time::timeout(Duration::from_millis(10), get()).await.is_err());
        assert_eq!(*get().await, 1);
    }
}
