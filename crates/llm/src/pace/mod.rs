//! How fast an LLM endpoint is asked: as fast as it answers, and not at all while it is down.
//!
//! No HTTP here: a caller takes a [`Turn`], sends its request, and says how that went. In reading
//! order: `gate` (how many requests are in flight), `pause` (nobody asks for a while),
//! `breaker` (a dead endpoint is probed, not asked), `rate` (requests and tokens per minute), all
//! four plain values, and [`quota`] (how often one request is tried again), which is the caller's.
//!
//! Callers stand in one line, and only its head looks at all of that. So turns are given in the order
//! in which they were asked for, a change wakes one task however many wait, and what the head sees
//! is what it is admitted on.

mod breaker;
mod gate;
mod pause;
pub mod quota;
mod rate;
#[cfg(test)]
mod tests;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use breaker::Breaker;
pub use breaker::Down;
use gate::Gate;
use pause::Pause;
use rate::{Bill, Rates};

/// What an endpoint is asked at most, and how long it may be down.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most requests in flight. Fewer are while the endpoint says that it is busy.
    pub concurrency: usize,
    /// Requests per minute, 0 for no limit.
    pub requests_per_minute: u32,
    /// Tokens per minute, 0 for no limit.
    pub tokens_per_minute: u32,
    /// How long an endpoint that fails is first left alone; doubles to 30 s, and is no longer itself.
    pub cooldown: Duration,
    /// The longest time without one success, counted from a failure, before the run ends.
    pub give_up: Duration,
    /// Whether the endpoint answered an earlier run.
    pub has_answered: bool,
}

/// The pace towards one endpoint, shared by all who ask it.
pub struct Pace {
    /// Whoever holds it is the head of the line; tokio's mutex is fair.
    line: tokio::sync::Mutex<()>,
    /// Tells the head that a turn ended.
    ended: Notify,
    rates: Rates,
    state: Mutex<State>,
}

struct State {
    gate: Gate,
    pause: Pause,
    breaker: Breaker,
}

/// Why the head of the line has to wait.
#[derive(Debug, PartialEq)]
enum Wait {
    Until(Instant),
    /// Until a turn ends.
    Turn,
}

/// What a turn was given under, so that what it reports can be told from news.
#[derive(Clone, Copy)]
struct Pass {
    /// Of [`Pause::era`].
    calm: u64,
    /// Of [`Breaker::era`].
    health: u64,
    probe: bool,
}

/// How a request went.
enum Report {
    Succeeded,
    Busy(Option<Duration>),
    Broken,
    /// Nothing came back; `again` of a question that this happened to before.
    Stalled {
        again: bool,
    },
    /// Cancelled: nothing is known.
    Nothing,
}

impl Pace {
    /// A pace that begins at the limits: nothing is known against the endpoint yet.
    pub fn new(limits: Limits) -> Self {
        let state = State {
            gate: Gate::new(limits.concurrency),
            pause: Pause::new(),
            breaker: Breaker::new(limits.cooldown, limits.give_up, limits.has_answered),
        };
        Self {
            line: tokio::sync::Mutex::default(),
            ended: Notify::new(),
            rates: Rates::new(limits.requests_per_minute, limits.tokens_per_minute),
            state: Mutex::new(state),
        }
    }

    /// Waits until one more request of about `tokens` tokens may be sent, in the order of the calls.
    /// Fails, now and ever after, once the endpoint has been down for [`Limits::give_up`]. A question that
    /// `has_stalled` before may fail alone, where others are still let through, to see whether the
    /// endpoint works.
    ///
    /// May be dropped while it waits: no place in the line and no slot is lost with it, only the part
    /// of a minute's tokens that a large request has paid already.
    pub async fn turn_of(&self, tokens: u64, has_stalled: bool) -> Result<Turn<'_>, Down> {
        let _head = self.line.lock().await;
        let mut bill = self.rates.bill(tokens);
        self.state().rested(Instant::now());
        loop {
            let (wait, deadline) = {
                let mut state = self.state();
                let now = Instant::now();
                state.breaker.check(now, has_stalled)?;
                match state.clear(now, &self.rates, &mut bill) {
                    Ok(()) => return Ok(Turn::new(self, state.admit(now))),
                    // One that has passed is none of this question's.
                    Err(wait) => {
                        (wait, state.breaker.deadline().filter(|deadline| *deadline > now))
                    }
                }
            };
            self.wait(wait, deadline).await;
        }
    }

    /// A turn for a question that nothing is known of.
    #[cfg(test)]
    pub async fn turn(&self, tokens: u64) -> Result<Turn<'_>, Down> {
        self.turn_of(tokens, false).await
    }

    /// Requests in flight.
    #[cfg(test)]
    pub fn in_flight(&self) -> usize {
        self.state().gate.in_flight()
    }

    /// How many may be in flight now.
    #[cfg(test)]
    pub fn limit(&self) -> usize {
        self.state().gate.limit()
    }

    async fn wait(&self, wait: Wait, deadline: Option<Instant>) {
        let until = match wait {
            Wait::Until(at) => Some(deadline.map_or(at, |deadline| deadline.min(at))),
            Wait::Turn => deadline,
        };
        let Some(until) = until else { return self.ended.notified().await };
        // A turn that ends may also end a wait: a success of an older request closes the breaker.
        tokio::select! {
            () = self.ended.notified() => {}
            () = sleep_until(until) => {}
        }
    }

    fn end(&self, pass: Pass, report: &Report) {
        self.state().end(Instant::now(), pass, report);
        // Kept for the next head if there is none now.
        self.ended.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Nobody in flight and nobody before us in the line: time may have passed that was no outage.
    fn rested(&mut self, now: Instant) {
        if self.gate.in_flight() == 0 {
            self.breaker.rested(now);
        }
    }

    /// Pays last, so that nothing is paid for a request that is then held up.
    fn clear(&mut self, now: Instant, rates: &Rates, bill: &mut Bill) -> Result<(), Wait> {
        self.breaker.clear(now)?;
        self.pause.clear(now)?;
        self.gate.clear()?;
        rates.pay(bill).map_err(Wait::Until)
    }

    fn admit(&mut self, now: Instant) -> Pass {
        self.gate.enter();
        self.pause.sent(now, self.gate.limit());
        let probe = self.breaker.sent();
        Pass { calm: self.pause.era(), health: self.breaker.era(), probe }
    }

    fn end(&mut self, now: Instant, pass: Pass, report: &Report) {
        self.gate.leave();
        match report {
            Report::Succeeded => {
                self.gate.succeeded(now);
                self.pause.succeeded();
                self.breaker.succeeded(now);
            }
            Report::Busy(after) => {
                if self.pause.busy(now, pass.calm, *after) {
                    self.gate.busy(now);
                }
                self.breaker.busy(now, pass);
            }
            Report::Broken => self.breaker.broken(now, pass),
            Report::Stalled { again } => self.breaker.stalled(now, pass, *again),
            Report::Nothing => self.breaker.unknown(pass),
        }
    }
}

/// One request that may be sent now. It takes a slot until it is reported or dropped; dropped
/// without a report, it says nothing about the endpoint.
#[must_use = "a turn that is dropped frees its slot"]
pub struct Turn<'a> {
    pace: &'a Pace,
    pass: Pass,
    report: Report,
}

impl<'a> Turn<'a> {
    fn new(pace: &'a Pace, pass: Pass) -> Self {
        Self { pace, pass, report: Report::Nothing }
    }

    /// The endpoint works: any answer, also a 4xx about this one request.
    pub fn succeeded(mut self) {
        self.report = Report::Succeeded;
    }

    /// The endpoint works, but has no time: 429, overloaded. `after` is its Retry-After.
    pub fn busy(mut self, after: Option<Duration>) {
        self.report = Report::Busy(after);
    }

    /// The endpoint does not work: 5xx, connection refused.
    pub fn broken(mut self) {
        self.report = Report::Broken;
    }

    /// Nothing, or half an answer, came back: timeout, reset. `again` where the same question had that
    /// before, for then it is the question's fault as likely as the endpoint's.
    pub fn stalled(mut self, again: bool) {
        self.report = Report::Stalled { again };
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.pace.end(self.pass, &self.report);
    }
}
