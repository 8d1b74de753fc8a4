//! Network traffic: requests by outcome, and bytes of bodies.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Outcomes of a request: no response, or a status of 100 to 599.
const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// Counts of one client.
#[derive(Debug, Default)]
pub struct Traffic {
    by_class: [AtomicU64; CLASSES.len()],
    in_flight: AtomicU64,
    received: AtomicU64,
}

/// One request, counted under what is known of it when it is dropped.
pub(super) struct Counted<'a> {
    traffic: &'a Traffic,
    class: usize,
}

impl Traffic {
    /// Begins a request.
    pub(super) fn begin(&self) -> Counted<'_> {
        self.in_flight.fetch_add(1, Relaxed);
        Counted { traffic: self, class: 0 }
    }

    /// Counts bytes of a body.
    pub(super) fn received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Relaxed);
    }

    /// Requests that are done, by class of status: `none` where no answer came.
    pub fn requests(&self) -> [(&'static str, u64); CLASSES.len()] {
        std::array::from_fn(|class| (CLASSES[class], self.by_class[class].load(Relaxed)))
    }

    /// Requests whose answer, or its body, has not come yet.
    pub fn in_flight(&self) -> u64 {
        self.in_flight.load(Relaxed)
    }

    /// Bytes of bodies, before decoding.
    pub fn received_bytes(&self) -> u64 {
        self.received.load(Relaxed)
    }
}

impl Counted<'_> {
    /// An answer came.
    pub(super) fn answered(&mut self, status: u16) {
        self.class = usize::from(status / 100).min(CLASSES.len() - 1);
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.traffic.by_class[self.class].fetch_add(1, Relaxed);
        self.traffic.in_flight.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_counts_once_it_is_done_under_what_came_of_it() {
        let traffic = Traffic::default();
        let (mut found, lost) = (traffic.begin(), traffic.begin());
        found.answered(204);
        assert_eq!((traffic.in_flight(), traffic.requests()[2]), (2, ("2xx", 0)));
        drop((found, lost));
        assert_eq!(traffic.in_flight(), 0);
        assert_eq!(traffic.requests().map(|(_, n)| n), [1, 0, 1, 0, 0, 0]);
    }
}
