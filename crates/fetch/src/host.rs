//! Politeness towards one host: rate, concurrency, pauses, budgets, and what it said of itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use magiclens_common::config::Http;
use magiclens_common::telemetry::TokioClock;
use magiclens_core::Reason;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, sleep_until};
use url::Url;

use super::error::FetchError;
use super::fresh::Fresh;
use super::robots::Rules;
use super::tdmrep::Reservations;

type Limiter = RateLimiter<NotKeyed, InMemoryState, TokioClock, NoOpMiddleware<std::time::Instant>>;

/// One host and all limits towards it. A task that works on a host holds its `Arc`.
pub struct Host {
    key: String,
    slots: Arc<Semaphore>,
    max_requests: u64,
    max_time: Duration,
    longest_pause: Duration,
    state: Mutex<State>,
    origins: [Origin; 2],
}

/// Files of one scheme of a host; those of http and https are requested separately.
#[derive(Default)]
pub(super) struct Origin {
    pub(super) robots: Fresh<Rules>,
    pub(super) tdm: Fresh<Reservations>,
}

struct State {
    limiter: Arc<Limiter>,
    gap: Duration,
    paused_until: Option<Instant>,
    requests: u64,
    time: Spent,
    last_used: Instant,
}

/// Time in which at least one wait for a host was under way.
#[derive(Default)]
struct Spent {
    waits: usize,
    since: Option<Instant>,
    before: Duration,
}

impl Spent {
    fn so_far(&self, now: Instant) -> Duration {
        self.before + self.since.map_or(Duration::ZERO, |since| now - since)
    }

    fn begin(&mut self, now: Instant) {
        self.waits += 1;
        self.since.get_or_insert(now);
    }

    fn end(&mut self, now: Instant) {
        self.waits -= 1;
        if self.waits == 0 {
            self.before = self.so_far(now);
            self.since = None;
        }
    }

    fn renew(&mut self, now: Instant) {
        self.before = Duration::ZERO;
        self.since = self.since.map(|_| now);
    }
}

/// A wait for a host.
struct Waiting<'a>(&'a Host);

impl<'a> Waiting<'a> {
    fn begin(host: &'a Host) -> Self {
        host.state().time.begin(Instant::now());
        Self(host)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.state().time.end(Instant::now());
    }
}

impl Host {
    fn new(key: String, http: &Http) -> Self {
        let gap =
            Duration::try_from_secs_f64(1.0 / http.host_rate).unwrap_or(Duration::from_secs(1));
        Self {
            key,
            slots: Arc::new(Semaphore::new(http.host_concurrency.min(Semaphore::MAX_PERMITS))),
            max_requests: http.host_max_requests,
            max_time: Duration::from_secs(http.host_max_seconds),
            longest_pause: super::client::seconds(http.max_backoff_s),
            state: Mutex::new(State {
                limiter: limiter(gap),
                gap,
                paused_until: None,
                requests: 0,
                time: Spent::default(),
                last_used: Instant::now(),
            }),
            origins: Default::default(),
        }
    }

    /// The host key, see [`magiclens_core::host_key`].
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Requests sent to this host so far.
    pub fn requests(&self) -> u64 {
        self.state().requests
    }

    /// Counts requests of an earlier process, so that a resumed run has no larger budget.
    pub fn add_requests(&self, earlier: u64) {
        let mut state = self.state();
        state.requests = state.requests.saturating_add(earlier);
    }

    fn renew_budget(&self) {
        let mut state = self.state();
        state.requests = 0;
        state.time.renew(Instant::now());
    }

    /// Waits until one more request may go out and counts it. The permit is to be dropped with the
    /// request. Fails when a budget is spent, or when the host asked to be left alone for longer than
    /// `http.max_backoff_s`.
    pub async fn admit(&self) -> Result<OwnedSemaphorePermit, FetchError> {
        let slots = Arc::clone(&self.slots);
        let permit = slots.acquire_owned().await.expect("a host's semaphore is never closed");
        // Before any waiting, so that a queue at a spent host empties at once.
        self.check_budget(&self.state())?;
        self.spend(self.wait_as_it_asks()).await?;
        let mut state = self.state();
        self.check_budget(&state)?;
        state.requests += 1;
        state.last_used = Instant::now();
        Ok(permit)
    }

    /// Does what takes this host's time, which is what its budget of time counts: waits for its answers,
    /// its rate and its pauses, and none for our own queues and cores.
    pub(super) async fn spend<F: Future>(&self, work: F) -> F::Output {
        let _waiting = Waiting::begin(self);
        work.await
    }

    async fn wait_as_it_asks(&self) -> Result<(), FetchError> {
        self.wait_out_pause().await?;
        self.wait_for_turn().await;
        // Another request may have been told to wait meanwhile.
        self.wait_out_pause().await
    }

    /// Leaves the whole host alone for `pause` from now.
    pub fn pause(&self, pause: Duration) {
        let until = Instant::now() + pause;
        let mut state = self.state();
        state.paused_until = state.paused_until.max(Some(until));
    }

    /// Makes `gap` the least time between two requests, unless it is longer already: Crawl-delay.
    pub fn slow_down(&self, gap: Duration) {
        let mut state = self.state();
        if gap > state.gap {
            state.gap = gap;
            state.limiter = limiter(gap);
            // The request that told us counts as the first.
            let _ = state.limiter.check();
        }
    }

    pub(super) fn origin(&self, url: &Url) -> &Origin {
        &self.origins[usize::from(url.scheme() == "https")]
    }

    async fn wait_for_turn(&self) {
        loop {
            let limiter = Arc::clone(&self.state().limiter);
            match limiter.check() {
                Ok(()) => return,
                Err(not_until) => sleep(not_until.wait_time_from(TokioClock.now())).await,
            }
        }
    }

    async fn wait_out_pause(&self) -> Result<(), FetchError> {
        loop {
            let now = Instant::now();
            let Some(until) = self.state().paused_until.filter(|until| *until > now) else {
                return Ok(());
            };
            let left = until - now;
            if left > self.longest_pause {
                let detail = format!("the host asked for a pause, {} s of it left", left.as_secs());
                return Err(FetchError::new(Reason::HttpServerError, detail));
            }
            sleep_until(until).await;
        }
    }

    fn check_budget(&self, state: &State) -> Result<(), FetchError> {
        let spent = |what: String| Err(FetchError::new(Reason::HostBudget, what));
        if state.requests >= self.max_requests {
            return spent(format!("{} requests (http.host_max_requests)", state.requests));
        }
        if state.time.so_far(Instant::now()) >= self.max_time {
            return spent(format!("{} s (http.host_max_seconds)", self.max_time.as_secs()));
        }
        Ok(())
    }

    /// Returns the time of the last request; `None` while the host must be remembered for its rate limit or
    /// backoff.
    fn idle_since(&self, now: Instant) -> Option<Instant> {
        let state = self.state();
        let paused = state.paused_until.is_some_and(|until| until > now);
        (!paused && now >= state.last_used + state.gap).then_some(state.last_used)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All hosts that are worked on, and as many again that were: a redirect to one of those, or the
/// next stage, need not ask for robots.txt again.
pub struct HostPool {
    http: Http,
    hosts: Mutex<HashMap<String, Arc<Host>>>,
}

impl HostPool {
    /// An empty pool whose hosts have the limits of `http`.
    pub fn new(http: &Http) -> Self {
        Self { http: http.clone(), hosts: Mutex::default() }
    }

    /// Begins a stage's work on the host of `key`, with a budget of its own. Hold the result for as long
    /// as there is work for the host: only hosts without holders are forgotten.
    pub fn begin(&self, key: &str) -> Arc<Host> {
        let host = self.get(key);
        host.renew_budget();
        host
    }

    /// The host of `key`.
    pub fn get(&self, key: &str) -> Arc<Host> {
        let mut hosts = self.hosts();
        if let Some(host) = hosts.get(key) {
            return Arc::clone(host);
        }
        if hosts.len() >= self.http.hosts_in_flight.saturating_mul(2) {
            forget_idle(&mut hosts);
        }
        let host = Arc::new(Host::new(key.to_owned(), &self.http));
        hosts.insert(key.to_owned(), Arc::clone(&host));
        host
    }

    /// Hosts in the pool.
    pub fn len(&self) -> usize {
        self.hosts().len()
    }

    /// Returns true if the pool holds no host.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn hosts(&self) -> MutexGuard<'_, HashMap<String, Arc<Host>>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets half of the hosts without holders, those with the oldest requests.
fn forget_idle(hosts: &mut HashMap<String, Arc<Host>>) {
    let now = Instant::now();
    let nobodys = hosts.values().filter(|host| Arc::strong_count(host) == 1);
    let mut idle: Vec<_> = nobodys.filter_map(|host| host.idle_since(now)).collect();
    idle.sort_unstable();
    let Some(&until) = idle.get(idle.len() / 2) else { return };
    hosts.retain(|_, host| {
        Arc::strong_count(host) > 1 || host.idle_since(now).is_none_or(|since| since > until)
    });
}

fn limiter(gap: Duration) -> Arc<Limiter> {
    let quota = Quota::with_period(gap.max(Duration::from_nanos(1))).expect("the gap is not zero");
    Arc::new(RateLimiter::direct_with_clock(quota, TokioClock))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(change: impl FnOnce(&mut Http)) -> Host {
        let mut http = Http { host_rate: 1.0, host_concurrency: 2, ..Http::default() };
        change(&mut http);
        Host::new("a.example".into(), &http)
    }

    async fn seconds_for(host: &Host, requests: usize) -> f64 {
        let start = Instant::now();
        for _ in 0..requests {
            drop(host.admit().await.unwrap());
        }
        start.elapsed().as_secs_f64()
    }

    fn near(seconds: f64, expected: f64) -> bool {
        (seconds - expected).abs() < 0.1
    }

    #[tokio::test(start_paused = true)]
    async fn the_rate_holds_and_a_crawl_delay_lowers_it() {
        let host = host(|http| http.host_rate = 2.0);
        let seconds = seconds_for(&host, 5).await;
        assert!(near(seconds, 2.0), "{seconds}");
        host.slow_down(Duration::from_secs(3));
        host.slow_down(Duration::from_millis(10));
        let seconds = seconds_for(&host, 2).await;
        assert!(near(seconds, 6.0), "{seconds}");
    }

    #[tokio::test(start_paused = true)]
    async fn permits_bound_the_requests_in_flight() {
        let host = host(|http| http.host_rate = 1000.0);
        let first = host.admit().await.unwrap();
        let _second = host.admit().await.unwrap();
        let third = tokio::time::timeout(Duration::from_secs(60), host.admit());
        assert!(third.await.is_err(), "two are in flight");
        drop(first);
        assert!(host.admit().await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_holds_everyone_and_a_long_one_refuses() {
        let host = host(|http| (http.host_rate, http.max_backoff_s) = (1000.0, 60.0));
        host.pause(Duration::from_secs(20));
        host.pause(Duration::from_secs(5));
        let seconds = seconds_for(&host, 1).await;
        assert!(near(seconds, 20.0), "{seconds}");
        host.pause(Duration::from_secs(3600));
        let error = host.admit().await.unwrap_err();
        assert_eq!(error.reason, Reason::HttpServerError);
        tokio::time::advance(Duration::from_secs(3550)).await;
        assert!(host.admit().await.is_ok(), "less than max_backoff_s is left");
    }

    #[tokio::test(start_paused = true)]
    async fn budgets_end_the_work_at_once() {
        let by_count = host(|http| http.host_max_requests = 3);
        by_count.add_requests(1);
        let seconds = seconds_for(&by_count, 2).await;
        assert!(near(seconds, 1.0), "{seconds}");
        let start = Instant::now();
        for _ in 0..1000 {
            assert_eq!(by_count.admit().await.unwrap_err().reason, Reason::HostBudget);
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_of_a_host_is_that_of_waits_for_it() {
        let host = host(|http| (http.host_max_seconds, http.host_rate) = (10, 1000.0));
        let second = Duration::from_secs(1);
        // Our own queues and cores.
        drop(host.admit().await.unwrap());
        tokio::time::advance(100 * second).await;
        // Two answers at the same time take it once.
        tokio::join!(host.spend(sleep(4 * second)), host.spend(sleep(5 * second)));
        assert!(host.admit().await.is_ok());
        host.pause(4 * second);
        assert!(host.admit().await.is_ok());
        host.spend(sleep(2 * second)).await;
        assert_eq!(host.admit().await.unwrap_err().reason, Reason::HostBudget);
        host.renew_budget();
        assert!(host.admit().await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn the_pool_forgets_what_nobody_holds() {
        let pool = HostPool::new(&Http { hosts_in_flight: 4, ..Http::default() });
        let (ours, theirs) = (pool.get("a.example"), pool.get("a.example"));
        assert!(Arc::ptr_eq(&ours, &theirs));
        for name in 0..100 {
            pool.get(&format!("{name}.example"));
            tokio::time::advance(Duration::from_secs(2)).await;
        }
        assert!(pool.len() <= 8, "{}", pool.len());
        assert!(Arc::ptr_eq(&ours, &pool.get("a.example")), "held hosts are never forgotten");
        let latest = pool.get("99.example");
        assert!(latest.state().last_used.elapsed() < Duration::from_secs(3), "the oldest go first");
        let paused = pool.get("paused.example");
        paused.pause(Duration::from_secs(1000));
        drop(paused);
        for name in 100..200 {
            pool.get(&format!("{name}.example"));
            tokio::time::advance(Duration::from_secs(2)).await;
        }
        assert!(pool.hosts().contains_key("paused.example"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stage_has_a_budget_of_its_own() {
        let pool = HostPool::new(&Http { host_max_requests: 1, ..Http::default() });
        let host = pool.begin("a.example");
        assert!(host.admit().await.is_ok());
        assert_eq!(pool.get("a.example").admit().await.unwrap_err().reason, Reason::HostBudget);
        assert!(pool.begin("a.example").admit().await.is_ok());
    }
}
