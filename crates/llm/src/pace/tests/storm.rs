//! Endpoints that are busy, simulated: what gets through, and how soon all of it does again.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use tokio::task::LocalSet;
use tokio::time::sleep;

use super::*;

/// An endpoint that answers so many requests at a time and refuses the rest at once.
struct Server {
    capacity: Cell<usize>,
    latency: Duration,
    in_flight: Cell<usize>,
    /// Per second.
    answers: RefCell<Vec<usize>>,
    refusals: RefCell<Vec<usize>>,
    start: Instant,
}

impl Server {
    async fn serve(&self, turn: Turn<'_>) {
        if self.in_flight.get() >= self.capacity.get() {
            self.count(&self.refusals);
            sleep(Duration::from_millis(20)).await;
            return turn.busy(None);
        }
        self.in_flight.update(|requests| requests + 1);
        sleep(self.latency).await;
        self.in_flight.update(|requests| requests - 1);
        turn.succeeded();
        self.count(&self.answers);
    }

    fn count(&self, what: &RefCell<Vec<usize>>) {
        if let Some(count) = what.borrow_mut().get_mut(self.start.elapsed().as_secs() as usize) {
            *count += 1;
        }
    }
}

/// Runs more callers than fit, changes the capacity at the times given, and returns the answers and
/// the refusals per second.
fn simulate(
    cap: usize,
    capacity: usize,
    millis: u64,
    seconds: u64,
    changes: &[(u64, usize)],
) -> (Vec<usize>, Vec<usize>) {
    LocalSet::new().block_on(&paused(), async {
        let server = Rc::new(Server {
            capacity: Cell::new(capacity),
            latency: Duration::from_millis(millis),
            in_flight: Cell::default(),
            answers: RefCell::new(vec![0; seconds as usize]),
            refusals: RefCell::new(vec![0; seconds as usize]),
            start: Instant::now(),
        });
        let pace = Rc::new(pace(cap));
        for _ in 0..cap + cap / 10 + 1 {
            let (server, pace) = (Rc::clone(&server), Rc::clone(&pace));
            tokio::task::spawn_local(async move {
                loop {
                    server.serve(take(&pace).await).await;
                }
            });
        }
        for &(at, capacity) in changes {
            tokio::time::sleep_until(server.start + Duration::from_secs(at)).await;
            server.capacity.set(capacity);
        }
        tokio::time::sleep_until(server.start + Duration::from_secs(seconds)).await;
        (server.answers.take(), server.refusals.take())
    })
}

/// Seconds after `from` until a second had `share` of `full` answers.
fn seconds_until(answers: &[usize], from: usize, full: usize, share: f64) -> usize {
    let enough = |&answers: &usize| answers as f64 >= share * full as f64;
    answers[from..].iter().position(enough).map_or(usize::MAX, |second| second + 1)
}

#[test]
fn full_throughput_is_back_within_seconds_of_a_short_storm() {
    for (cap, millis) in [(2000, 1000), (200, 500), (20, 200)] {
        let full = cap * 1000 / millis as usize;
        let (answers, _) = simulate(cap, cap, millis, 40, &[(10, 0), (15, cap)]);
        let (half, most) =
            (seconds_until(&answers, 15, full, 0.5), seconds_until(&answers, 15, full, 0.9));
        assert!(half <= 10 && most <= 15, "{half} s, {most} s: {answers:?}");
    }
}

#[test]
fn a_long_storm_costs_a_pause_and_some_rounds() {
    let (answers, refusals) = simulate(2000, 2000, 1000, 160, &[(10, 0), (70, 2000)]);
    let most = seconds_until(&answers, 70, 2000, 0.9);
    assert!(most <= 45, "{most} s: {answers:?}");
    let refused: usize = refusals.iter().sum();
    assert!(refused < 4000, "{refused} refused, less than two rounds");
}

#[test]
fn a_lower_capacity_is_used_well_with_few_refusals() {
    for (cap, capacity, millis) in [(2000, 700, 1000), (200, 50, 5000), (100, 3, 300)] {
        let (answers, refusals) = simulate(cap, capacity, millis, 200, &[]);
        let (served, refused): (usize, usize) =
            (answers[60..].iter().sum(), refusals[60..].iter().sum());
        let used = served as f64 / (140.0 * capacity as f64 * 1000.0 / millis as f64);
        let refused = refused as f64 / served as f64;
        assert!(used > 0.75 && refused < 0.1, "{used} used, {refused} refused");
    }
}

#[test]
fn a_capacity_that_comes_back_is_found() {
    let (answers, _) = simulate(2000, 2000, 500, 160, &[(10, 20), (70, 2000)]);
    let most = seconds_until(&answers, 70, 4000, 0.9);
    assert!(most <= 45, "{most} s: {answers:?}");
}
