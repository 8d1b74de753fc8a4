//! Leaves an endpoint alone that does not work, asks it now and then, and knows when to give up.
//!
//! Closed, requests pass. Open, none does for a while, and then one does, the probe, whose answer
//! closes it or leaves it open for twice as long
//! (<https://learn.microsoft.com/azure/architecture/patterns/circuit-breaker>).
//!
//! A request that nothing comes back of may be the endpoint's fault or its own. So a question counts
//! once, however often it stalls, and where a few questions stalled and nothing else failed, they are
//! given up, and not the endpoint.

use std::time::Duration;

use tokio::time::Instant;

use super::{Pass, Wait};

/// It opens after so many failures in a row.
const FAILURES: u32 = 10;
/// The shortest time for which it is open, whatever the limits say.
const SHORTEST: Duration = Duration::from_millis(100);
/// The longest.
const LONGEST: Duration = Duration::from_secs(30);
/// After so long without a request nobody can say that the endpoint was down all the time. Callers
/// pause for up to 30 s between their tries.
const IDLE: Duration = Duration::from_secs(60);
/// From so many questions on that stall with no success between, it is the endpoint that hangs.
pub(super) const STALLS: u32 = 20;

/// The endpoint has been down for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the endpoint gave no answer for {} s", since.as_secs())]
pub struct Down {
    /// Time from the first failure, after the last success, until it was given up.
    pub since: Duration,
    /// Whether for all; else only for questions that it stalled at before.
    pub is_final: bool,
}

/// Whether one endpoint works.
pub(super) struct Breaker {
    cooldown: Duration,
    give_up: Duration,
    next_cooldown: Duration,
    state: State,
    /// In a row; only while closed.
    failures: u32,
    /// The first failure after the last success.
    failing: Option<Instant>,
    /// Whether it ever answered, in an earlier run or this one.
    has_answered: bool,
    /// Whether it failed otherwise than by stalling, after the last success.
    is_broken: bool,
    /// Questions that stalled for the first time after the last success.
    stalls: u32,
    /// When it was last asked or told anything.
    used: Instant,
    era: u64,
    down: Option<Down>,
}

enum State {
    Closed,
    /// A probe may go from `until` on, or is on its way.
    Open {
        until: Instant,
        probing: bool,
    },
}

impl Breaker {
    pub(super) fn new(cooldown: Duration, give_up: Duration, has_answered: bool) -> Self {
        let cooldown = cooldown.clamp(SHORTEST, LONGEST);
        Self {
            cooldown,
            give_up,
            next_cooldown: cooldown,
            state: State::Closed,
            failures: 0,
            failing: None,
            has_answered,
            is_broken: false,
            stalls: 0,
            used: Instant::now(),
            era: 0,
            down: None,
        }
    }

    /// Counts how often it opened and closed. Who asked in an earlier era tells of that one only.
    pub(super) fn era(&self) -> u64 {
        self.era
    }

    /// Forgets since when the endpoint has been down, if nobody has asked it for a while. To be called
    /// when a request is the only one.
    pub(super) fn rested(&mut self, now: Instant) {
        if now.saturating_duration_since(self.used) > IDLE {
            self.failing = None;
        }
    }

    /// When to give up, while it is open. Closed, requests may pass, and each is a chance.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Closed => None,
            State::Open { .. } => self.failing?.checked_add(self.give_up),
        }
    }

    /// Gives up if it is time to: for good, or only a question that `has_stalled` before.
    pub(super) fn check(&mut self, now: Instant, has_stalled: bool) -> Result<(), Down> {
        self.used = now;
        let is_late = self.deadline().is_some_and(|deadline| deadline <= now);
        if let (None, Some(failing), true) = (self.down, self.failing, is_late) {
            let is_final = !self.has_answered || self.is_broken || self.stalls >= STALLS;
            let down = Down { since: now - failing, is_final };
            if is_final {
                self.down = Some(down);
            } else if has_stalled {
                return Err(down);
            }
        }
        self.down.map_or(Ok(()), Err)
    }

    pub(super) fn clear(&self, now: Instant) -> Result<(), Wait> {
        match self.state {
            State::Open { probing: true, .. } => Err(Wait::Turn),
            State::Open { until, .. } if until > now => Err(Wait::Until(until)),
            _ => Ok(()),
        }
    }

    /// Whether the request that is sent now is the probe.
    pub(super) fn sent(&mut self) -> bool {
        let State::Open { probing, .. } = &mut self.state else { return false };
        *probing = true;
        true
    }

    /// Closes, whoever succeeded: the endpoint works now.
    pub(super) fn succeeded(&mut self, now: Instant) {
        self.used = now;
        self.close();
        (self.failures, self.failing) = (0, None);
        (self.has_answered, self.is_broken, self.stalls) = (true, false, 0);
        self.next_cooldown = self.cooldown;
    }

    /// Somebody is there, so a probe closes, but the next failure opens again.
    pub(super) fn busy(&mut self, now: Instant, pass: Pass) {
        self.used = now;
        // Throttled for hours is not down: the clock starts anew with the next failure.
        self.failing = None;
        if self.is_news_of_probe(pass) {
            self.close();
            self.failures = FAILURES - 1;
        }
    }

    pub(super) fn broken(&mut self, now: Instant, pass: Pass) {
        self.is_broken |= pass.health == self.era;
        self.failed(now, pass);
    }

    /// Nothing came back of a question; `again` says that this is no news of it.
    pub(super) fn stalled(&mut self, now: Instant, pass: Pass, again: bool) {
        if !again {
            self.stalls += 1;
            self.failed(now, pass);
        } else if self.is_news_of_probe(pass) {
            self.failed(now, pass);
        } else {
            self.used = now;
        }
    }

    fn failed(&mut self, now: Instant, pass: Pass) {
        self.used = now;
        if pass.health != self.era {
            return;
        }
        self.failing.get_or_insert(now);
        self.failures += 1;
        if pass.probe || self.failures >= FAILURES {
            self.open(now);
            // Those who wait are told by the next of them to look.
            let _ = self.check(now, false);
        }
    }

    /// Lets another probe go if this one ended without an answer.
    pub(super) fn unknown(&mut self, pass: Pass) {
        if self.is_news_of_probe(pass)
            && let State::Open { probing, .. } = &mut self.state
        {
            *probing = false;
        }
    }

    fn is_news_of_probe(&self, pass: Pass) -> bool {
        pass.probe && pass.health == self.era
    }

    fn open(&mut self, now: Instant) {
        self.state = State::Open { until: now + self.next_cooldown, probing: false };
        self.next_cooldown = (self.next_cooldown * 2).min(LONGEST);
        self.failures = 0;
        self.era += 1;
    }

    fn close(&mut self) {
        if matches!(self.state, State::Open { .. }) {
            self.state = State::Closed;
            self.era += 1;
        }
    }
}
