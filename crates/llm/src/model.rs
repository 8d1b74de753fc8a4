//! One model behind one endpoint: from a question to a reply, a counted failure, or the end of the
//! run.
//!
//! What may pass is tried again, within `retries`, a quota over all calls and `total_timeout_s`; a
//! throttled endpoint is waited for; what no call will be answered for (a wrong key, an unknown
//! model, a spent budget, an endpoint that is down) ends the run, which can be gone on with later.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use magiclens_common::config::{Endpoint, Price, ResponseFormat};
use magiclens_common::telemetry::TimeLimit;
use magiclens_core::Reason;
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use super::ask::{Answer, Ask, Usage};
use super::connection::{Connection, Sent};
use super::estimate::estimate;
use super::pace::quota::{Pauses, RetryQuota};
use super::pace::{Limits, Pace};
use super::tally::{BudgetSpent, Tally, Totals};
use super::trouble::Trouble;
use super::wire::{Manner, Unknown, Wire};

/// Tries that may be in debt over all calls before failures are no longer tried again.
const RETRY_QUOTA: u32 = 500;
/// First pause of an endpoint that stopped answering.
const COOLDOWN: Duration = Duration::from_secs(1);
/// Requests that may be turned down before any is answered.
const MAX_SKIPS: usize = 20;
/// Calls that may fail for good before any is answered.
const MAX_FAILURES: usize = 50;

/// Something to ask, under the hash of all that decides over the answer.
pub struct Question {
    /// sha256, hex.
    pub key: String,
    /// What is asked.
    pub ask: Ask,
}

/// What a call took and met on its way, however it ended.
#[derive(Clone, Copy, Debug, Default)]
pub struct Course {
    /// What was paid for, all tries together.
    pub totals: Totals,
    /// Whether nothing, or half an answer, came back of this question before: of an earlier try, or in
    /// an earlier run. Such a question is no witness against the endpoint.
    pub has_stalled: bool,
    /// Whether it is of a larger question that nothing came back of in all its tries: one further try that
    /// hangs is enough then.
    pub is_part: bool,
}

/// What came of a question.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// The endpoint gave an answer, whatever it is worth.
    Reply {
        /// How it ended.
        ended: super::Ended,
        /// The answer's text, or why there is none.
        text: String,
    },
    /// No answer this time.
    Failed {
        /// Why.
        reason: Reason,
        /// What was seen last.
        detail: String,
        /// Whether that was nothing, or half an answer, so that the question itself may be at fault.
        has_hung: bool,
    },
}

/// Why no further call makes sense.
#[derive(Debug, Error)]
pub enum ModelError {
    /// The configuration cannot be used.
    #[error("{key}: {problem}")]
    Setup {
        /// Dotted key.
        key: String,
        /// Why not.
        problem: String,
    },
    /// The endpoint will answer no call.
    #[error("{url}: {detail}{}", if *.has_key { "" } else { " (no key was sent; see key_env)" })]
    Abort {
        /// The endpoint.
        url: String,
        /// What it said.
        detail: String,
        /// Whether a key was sent.
        has_key: bool,
    },
    /// The endpoint stopped answering.
    #[error("{url}: {problem}; run again to resume (last: {last})")]
    Down {
        /// The endpoint.
        url: String,
        /// For how long.
        problem: String,
        /// The last error.
        last: String,
    },
    /// A cap on money or tokens.
    #[error(transparent)]
    Budget(#[from] BudgetSpent),
    /// Ctrl-C, or another call found one of the above.
    #[error("interrupted; run again with the same --out to resume")]
    Halted,
}

/// Why a question got no turn.
struct Unsent {
    detail: String,
    has_hung: bool,
}

/// Whether nothing, or half an answer, came back.
fn is_stall(reason: Reason) -> bool {
    matches!(reason, Reason::Timeout | Reason::BodyBroken)
}

/// A model that can be asked.
pub struct Model {
    wire: Wire,
    connection: Connection,
    manner: Mutex<Manner>,
    pace: Pace,
    quota: RetryQuota,
    tally: Tally,
    price: Price,
    config: Endpoint,
    last_trouble: Mutex<String>,
    has_answered: AtomicBool,
    skips: AtomicUsize,
    failures: AtomicUsize,
    halt: CancellationToken,
}

impl Model {
    /// Reads the key from the environment and opens the pool of connections. `halt` ends all
    /// waiting; what is in flight then is finished. `has_answered` says that the endpoint answered
    /// an earlier run: then it is the requests that are at fault where it answers none of these.
    pub fn new(
        section: &str,
        wire: Wire,
        config: &Endpoint,
        tally: &Tally,
        has_answered: bool,
        halt: CancellationToken,
    ) -> Result<Self, ModelError> {
        let setup = |key: &str, problem: String| ModelError::Setup {
            key: format!("{section}.endpoint.{key}"),
            problem,
        };
        if config.model.is_empty() {
            return Err(setup("model", format!("the provider {} needs one", wire.name())));
        }
        let connection =
            Connection::open(wire, config).map_err(|(key, problem)| setup(key, problem))?;
        let limits = Limits {
            concurrency: config.concurrency,
            requests_per_minute: config.requests_per_minute,
            tokens_per_minute: config.tokens_per_minute,
            cooldown: COOLDOWN,
            give_up: Duration::from_secs_f64(config.give_up_s),
            has_answered,
        };
        Ok(Self {
            wire,
            connection,
            manner: Mutex::new(Manner::new(config.response_format.into())),
            pace: Pace::new(limits),
            quota: RetryQuota::new(RETRY_QUOTA),
            price: tally.price(&config.model),
            tally: tally.clone(),
            config: config.clone(),
            last_trouble: Mutex::default(),
            has_answered: AtomicBool::new(has_answered),
            skips: AtomicUsize::new(0),
            failures: AtomicUsize::new(0),
            halt,
        })
    }

    /// Calls that this process has in flight at most.
    pub fn concurrency(&self) -> usize {
        self.config.concurrency
    }

    /// Whether the endpoint gave an answer, in an earlier run or this one.
    pub fn has_answered(&self) -> bool {
        self.has_answered.load(Ordering::Relaxed)
    }

    /// Asks until there is an answer that `fits`, or tries are spent. An answer that was given and
    /// does not fit is the reply then. What it took and met is noted in `course`, also where the last
    /// try was an error.
    pub async fn ask(
        &self,
        question: &Question,
        fits: impl Fn(&str) -> bool,
        course: &mut Course,
    ) -> Result<Verdict, ModelError> {
        let mut limit = TimeLimit::new(Duration::from_secs_f64(self.config.total_timeout_s));
        let estimate = estimate(&question.ask);
        let mut pauses = Pauses::new(self.config.retries);
        let mut attempt = 0;
        loop {
            let sent = match self.send(question, estimate, attempt, &mut limit, course).await? {
                Ok(sent) => sent,
                Err(Unsent { detail, has_hung }) => {
                    let reason = Reason::Timeout;
                    return Ok(Verdict::Failed { reason, detail, has_hung });
                }
            };
            match sent {
                Sent::Answer(answer) => {
                    let (ended, text) = self.read(answer);
                    let is_last = ended != super::Ended::Said || fits(&text);
                    if is_last || !self.may_retry(&mut pauses, &mut limit).await {
                        return Ok(Verdict::Reply { ended, text });
                    }
                    attempt += 1;
                }
                Sent::Trouble(
                    Trouble::Busy { .. } | Trouble::Format { .. } | Trouble::Dialect { .. },
                    _,
                ) => {}
                Sent::Trouble(Trouble::Skip { refused, detail }, _) => {
                    let text = self.connection.redact(&detail);
                    // Of several inputs one may be to blame; it is the caller who tells which.
                    if !self.wire.asks_several(&question.ask) {
                        self.none_but_skips(&text)?;
                    }
                    if refused {
                        let ended = super::Ended::Refused;
                        return Ok(Verdict::Reply { ended, text });
                    }
                    let reason = Reason::HttpClientError;
                    return Ok(Verdict::Failed { reason, detail: text, has_hung: false });
                }
                Sent::Trouble(Trouble::Abort { detail }, _) => {
                    let detail = self.connection.redact(&detail);
                    let has_key = self.connection.has_key();
                    return Err(ModelError::Abort {
                        url: self.connection.url().to_owned(),
                        detail,
                        has_key,
                    });
                }
                Sent::Trouble(Trouble::Broken { detail, .. }, reason) => {
                    let has_hung = is_stall(reason);
                    let is_spent = has_hung && course.is_part;
                    if is_spent || !self.may_retry(&mut pauses, &mut limit).await {
                        let detail = self.connection.redact(&detail);
                        self.none_but_failures(&detail)?;
                        return Ok(Verdict::Failed { reason, detail, has_hung });
                    }
                    attempt += 1;
                }
            }
        }
    }

    /// Waits for a turn, sends one request and counts what it took; or says why there is no turn for
    /// this question.
    async fn send(
        &self,
        question: &Question,
        estimate: Usage,
        attempt: u64,
        limit: &mut TimeLimit,
        course: &mut Course,
    ) -> Result<Result<Sent, Unsent>, ModelError> {
        let tokens = estimate.input + estimate.output;
        let turn = tokio::select! {
            biased;
            () = self.halt.cancelled() => return Err(ModelError::Halted),
            turn = limit.run(self.pace.turn_of(tokens, course.has_stalled)) => turn,
        };
        let turn = match turn {
            Err(_) => {
                let detail = "no turn within total_timeout_s".to_owned();
                return Ok(Err(Unsent { detail, has_hung: false }));
            }
            Ok(Ok(turn)) => turn,
            Ok(Err(down)) if !down.is_final => {
                return Ok(Err(Unsent { detail: down.to_string(), has_hung: true }));
            }
            Ok(Err(down)) => {
                let last = self.last_trouble.lock().expect("no holder panics").clone();
                let (url, problem) = (self.connection.url().to_owned(), down.to_string());
                return Err(ModelError::Down { url, problem, last });
            }
        };
        // Held until what it was for is counted: between the two nobody else may spend it.
        let reserved = self.tally.reserve(self.price, estimate)?;
        let manner = *self.manner.lock().expect("no holder panics");
        let body = self.wire.body(&question.ask, &self.config, manner, attempt);
        let sent = limit.count(self.connection.exchange(&question.ask, body)).await;
        if let Some(usage) = sent.usage(estimate) {
            course.totals.add(&self.tally.settle(self.price, usage));
        }
        drop(reserved);
        match &sent {
            Sent::Answer(_) => {
                self.has_answered.store(true, Ordering::Relaxed);
                self.quota.succeeded();
                turn.succeeded();
            }
            Sent::Trouble(Trouble::Busy { after, .. }, _) => turn.busy(*after),
            Sent::Trouble(Trouble::Broken { detail, .. }, reason) => {
                *self.last_trouble.lock().expect("no holder panics") =
                    self.connection.redact(detail);
                match reason {
                    // It works, and fails at this request: no reason to stop asking others.
                    Reason::ReplyUnusable => turn.succeeded(),
                    reason if is_stall(*reason) => {
                        turn.stalled(course.has_stalled);
                        course.has_stalled = true;
                    }
                    _ => turn.broken(),
                }
            }
            Sent::Trouble(trouble, _) => {
                turn.succeeded();
                if let Some(unknown) = trouble.unknown() {
                    self.adapt(manner, unknown, trouble.detail())?;
                }
            }
        }
        Ok(Ok(sent))
    }

    /// Asks for less from now on, where the endpoint did not know what was asked for.
    fn adapt(&self, sent: Manner, unknown: Unknown, detail: &str) -> Result<(), ModelError> {
        let mut manner = self.manner.lock().expect("no holder panics");
        // Another call may have found out at the same time.
        if *manner != sent {
            return Ok(());
        }
        let is_free = self.config.response_format == ResponseFormat::Auto;
        match sent.without(unknown, is_free) {
            Some(weaker) => {
                tracing::warn!(asked = ?sent, now = ?weaker, "the endpoint wants less: {}", self.connection.redact(detail));
                *manner = weaker;
                Ok(())
            }
            None => {
                let (url, has_key) = (self.connection.url().to_owned(), self.connection.has_key());
                Err(ModelError::Abort { url, detail: self.connection.redact(detail), has_key })
            }
        }
    }

    /// Ends the run where an endpoint turns down one request after the other and has answered none:
    /// it is not this request that it does not like.
    fn none_but_skips(&self, detail: &str) -> Result<(), ModelError> {
        let skips = self.skips.fetch_add(1, Ordering::Relaxed) + 1;
        if skips < MAX_SKIPS || self.has_answered() {
            return Ok(());
        }
        let detail = format!("none of the first {skips} requests was taken: {detail}");
        Err(ModelError::Abort { url: self.connection.url().to_owned(), detail, has_key: true })
    }

    /// Ends the run where call after call failed for good and none was ever answered: an endpoint that
    /// answers each with an error is as good as down.
    fn none_but_failures(&self, last: &str) -> Result<(), ModelError> {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed) + 1;
        if failures < MAX_FAILURES || self.has_answered() {
            return Ok(());
        }
        let problem = format!("all of the first {failures} calls failed");
        Err(ModelError::Down {
            url: self.connection.url().to_owned(),
            problem,
            last: last.to_owned(),
        })
    }

    /// Returns true if a retry is allowed, after waiting for the backoff.
    async fn may_retry(&self, pauses: &mut Pauses, limit: &mut TimeLimit) -> bool {
        let Some(pause) = pauses.next() else { return false };
        if !self.quota.try_take(1) || pause >= limit.left() {
            return false;
        }
        tokio::select! {
            () = limit.count(tokio::time::sleep(pause)) => true,
            () = self.halt.cancelled() => true,
        }
    }

    fn read(&self, answer: Answer) -> (super::Ended, String) {
        match answer {
            Answer::Said { text, .. } => (super::Ended::Said, self.connection.mask(text)),
            Answer::Cut { text, .. } => (super::Ended::Cut, self.connection.mask(text)),
            Answer::Refused { detail, .. } => {
                (super::Ended::Refused, self.connection.redact(&detail))
            }
        }
    }
}
