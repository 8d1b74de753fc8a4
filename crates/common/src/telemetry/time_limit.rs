//! Limits on how long others may take, in which time that this process could not run does not count.
//!
//! A process that is starved of CPU, stopped or swapped out sees late what came in time. So a limit is
//! counted in ticks: a timer of the runtime ends each, and one that fires late, as all else was late
//! then, counts as one tick. No watchdog and no clock of the whole process is needed for it.

use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Ticks of a limit. Of each late tick the host is charged this part of the limit.
const TICKS: u32 = 100;
/// A runtime's timers are no finer.
const SHORTEST_TICK: Duration = Duration::from_millis(1);
/// Short enough to notice most pauses, long enough to cost nothing with hundreds of requests in flight.
const LONGEST_TICK: Duration = Duration::from_millis(100);
/// A late tick does not end a limit, so often: in the one behind it, tasks see what came meanwhile.
const REPRIEVES: u32 = 10;

/// A limit is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no end within the time limit")]
pub struct TimeLimitExceeded;

/// Time that is left for the work of another process or host, over one or several waits.
#[derive(Clone, Debug)]
pub struct TimeLimit {
    left: Duration,
    tick: Duration,
    lost: Duration,
    reprieves: u32,
}

/// Runs `work` to its end, or for `limit`.
pub async fn within<F: Future>(limit: Duration, work: F) -> Result<F::Output, TimeLimitExceeded> {
    TimeLimit::new(limit).run(work).await
}

impl TimeLimit {
    /// A limit of which nothing is used up.
    pub fn new(limit: Duration) -> Self {
        let tick = (limit / TICKS).clamp(SHORTEST_TICK, LONGEST_TICK);
        Self { left: limit, tick, lost: Duration::ZERO, reprieves: REPRIEVES }
    }

    /// Time that may still be taken.
    pub fn left(&self) -> Duration {
        self.left
    }

    /// Time in which this process did not run, during the waits so far.
    pub fn lost(&self) -> Duration {
        self.lost
    }

    /// Runs `work` to its end, or until the limit is used up. What is ready at once is never too late.
    pub async fn run<F: Future>(&mut self, work: F) -> Result<F::Output, TimeLimitExceeded> {
        let mut work = pin!(work);
        loop {
            let tick = self.tick.min(self.left);
            let began = Instant::now();
            tokio::select! {
                biased;
                output = &mut work => {
                    self.spend(tick, began.elapsed());
                    return Ok(output);
                }
                () = sleep(tick) => self.spend(tick, began.elapsed()),
            }
            if self.left.is_zero() {
                return Err(TimeLimitExceeded);
            }
        }
    }

    /// Runs `work` to its end, however long it takes, and uses up as much of the limit.
    pub async fn count<F: Future>(&mut self, work: F) -> F::Output {
        let mut work = pin!(work);
        match self.run(work.as_mut()).await {
            Ok(output) => output,
            Err(TimeLimitExceeded) => work.await,
        }
    }

    fn spend(&mut self, tick: Duration, took: Duration) {
        let late = took.saturating_sub(tick);
        // A timer is a little late always.
        if late > self.tick {
            self.lost += late;
            if self.left <= tick && self.reprieves > 0 {
                self.reprieves -= 1;
                return;
            }
        }
        self.left = self.left.saturating_sub(took.min(tick));
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_limit_ends_what_takes_longer_and_nothing_else() {
        let began = Instant::now();
        assert_eq!(within(10 * SECOND, sleep(9 * SECOND)).await, Ok(()));
        assert_eq!(began.elapsed().as_secs(), 9);
        assert_eq!(within(10 * SECOND, std::future::pending::<()>()).await, Err(TimeLimitExceeded));
        assert_eq!(began.elapsed().as_secs(), 19);
        assert_eq!(within(Duration::ZERO, async { 7 }).await, Ok(7), "it is ready at once");
    }

    #[tokio::test(start_paused = true)]
    async fn several_waits_share_a_limit() {
        let mut limit = TimeLimit::new(10 * SECOND);
        limit.run(sleep(4 * SECOND)).await.unwrap();
        limit.count(sleep(4 * SECOND)).await;
        assert!((limit.left().as_secs_f64() - 2.0).abs() < 0.01, "{:?}", limit.left());
        assert!(limit.run(sleep(3 * SECOND)).await.is_err());
        let began = Instant::now();
        limit.count(sleep(5 * SECOND)).await;
        assert_eq!((limit.left(), began.elapsed().as_secs()), (Duration::ZERO, 5));
        assert_eq!(limit.lost(), Duration::ZERO);
    }

    /// Makes all timers of the runtime late by `seconds`, as if its threads got no CPU.
    async fn starve(seconds: u32) {
        tokio::time::advance(seconds * SECOND).await;
    }

    #[tokio::test(start_paused = true)]
    async fn time_in_which_nothing_runs_does_not_count() {
        let mut limit = TimeLimit::new(10 * SECOND);
        let waits = async {
            for _ in 0..50 {
                sleep(Duration::from_millis(50)).await;
                starve(60).await;
            }
        };
        limit.run(waits).await.unwrap();
        assert!(limit.lost() > 2900 * SECOND, "{:?}", limit.lost());
        assert!(limit.left() > 4 * SECOND, "{:?}", limit.left());
    }

    #[tokio::test(start_paused = true)]
    async fn a_starved_process_gives_up_too() {
        let starving = tokio::spawn(async {
            loop {
                sleep(Duration::from_millis(1)).await;
                starve(5).await;
            }
        });
        assert!(within(10 * SECOND, std::future::pending::<()>()).await.is_err());
        starving.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_tick_is_not_the_last() {
        let mut limit = TimeLimit::new(SECOND);
        assert!(limit.run(sleep(Duration::from_millis(995))).await.is_ok());
        // Wakes behind the limit's own timer, as a task does that hands on what another task read.
        let answer = async {
            starve(60).await;
            sleep(Duration::from_millis(1)).await;
        };
        assert!(limit.run(answer).await.is_ok());
    }

    /// The only thread of the runtime is blocked while the answer comes: it was in time.
    #[tokio::test]
    async fn an_answer_that_came_while_the_runtime_was_blocked_is_in_time() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (answered, wait) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.read_exact(&mut [0; 3]).unwrap();
            stream.write_all(b"yes").unwrap();
            answered.send(()).unwrap();
        });
        let limit = Duration::from_millis(200);
        let (asked, is_asked) = tokio::sync::oneshot::channel();
        let asks = async move {
            let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
            stream.write_all(b"ok?").await.unwrap();
            asked.send(()).unwrap();
            let mut answer = [0; 3];
            stream.read_exact(&mut answer).await.unwrap();
            answer
        };
        // Handed on twice: the task that waits is woken by its timer before the answer has reached it.
        let (hand, handed) = tokio::sync::oneshot::channel();
        let (send, receive) = tokio::sync::oneshot::channel();
        tokio::spawn(async move { hand.send(asks.await) });
        tokio::spawn(async move { send.send(handed.await) });
        tokio::spawn(async move {
            is_asked.await.unwrap();
            wait.recv().unwrap();
            std::thread::sleep(3 * limit);
        });
        assert_eq!(within(limit, receive).await.unwrap().unwrap().unwrap(), *b"yes");
    }
}
