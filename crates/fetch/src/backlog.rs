//! Bodies that came faster than they can be worked on: they hold back further requests.

use tokio::sync::watch;

/// Bodies that wait for a CPU, over all hosts. Each entry is dropped when its work is done, which
/// takes no request: so a task that waits for room never waits for itself.
pub struct Backlog {
    waiting: watch::Sender<usize>,
    limit: usize,
}

/// One body in the backlog.
pub struct Entry<'a>(&'a Backlog);

impl Backlog {
    /// A backlog that is full at `limit`.
    pub(super) fn new(limit: usize) -> Self {
        Self { waiting: watch::Sender::new(0), limit: limit.max(1) }
    }

    /// Bodies that wait now.
    pub fn waiting(&self) -> usize {
        *self.waiting.borrow()
    }

    /// Bodies from which on requests wait.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Enters a body. Never waits: the body is here already.
    pub fn enter(&self) -> Entry<'_> {
        self.waiting.send_modify(|waiting| *waiting += 1);
        Entry(self)
    }

    /// Waits until another body is welcome.
    pub(super) async fn room(&self) {
        let mut waiting = self.waiting.subscribe();
        let room = waiting.wait_for(|waiting| *waiting < self.limit).await;
        room.expect("the sender is ours");
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.0.waiting.send_modify(|waiting| *waiting -= 1);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_full_backlog_makes_requests_wait() {
        let backlog = Backlog::new(2);
        let first = backlog.enter();
        backlog.room().await;
        let second = backlog.enter();
        let _third = backlog.enter();
        assert!(timeout(Duration::from_secs(9), backlog.room()).await.is_err());
        drop(first);
        assert!(timeout(Duration::from_secs(9), backlog.room()).await.is_err(), "two are left");
        drop(second);
        assert!(timeout(Duration::from_secs(9), backlog.room()).await.is_ok());
    }
}
