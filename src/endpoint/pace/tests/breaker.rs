//! The breaker alone, told what happened and when.

use super::*;
use crate::endpoint::pace::breaker::Breaker;
use crate::endpoint::pace::{Down, Pass, Wait};

fn breaker() -> Breaker {
    Breaker::new(SECOND, 300 * SECOND)
}

fn pass(breaker: &mut Breaker) -> Pass {
    Pass { probe: breaker.sent(), health: breaker.era(), calm: 0 }
}

fn fail(breaker: &mut Breaker, times: u32, now: Instant) {
    for _ in 0..times {
        let pass = pass(breaker);
        breaker.broken(now, pass);
    }
}

/// Seconds until a probe may go.
fn open_for(breaker: &Breaker, now: Instant) -> u64 {
    match breaker.clear(now) {
        Err(Wait::Until(until)) => (until - now).as_secs(),
        _ => 0,
    }
}

#[test]
fn ten_in_a_row_open_it() {
    let now = Instant::now();
    let mut breaker = breaker();
    fail(&mut breaker, 9, now);
    breaker.succeeded(now);
    fail(&mut breaker, 9, now);
    let busy = pass(&mut breaker);
    breaker.busy(now, busy);
    assert_eq!(breaker.clear(now), Ok(()), "busy is no failure");
    fail(&mut breaker, 1, now);
    assert_eq!(open_for(&breaker, now), 1, "and no success");
}

#[test]
fn one_probe_decides_and_the_time_doubles() {
    let mut now = Instant::now();
    let mut breaker = breaker();
    fail(&mut breaker, 10, now);
    for seconds in [1, 2, 4, 8, 16, 30, 30] {
        assert_eq!(open_for(&breaker, now), seconds);
        now += Duration::from_secs(seconds);
        assert_eq!(breaker.clear(now), Ok(()));
        let probe = pass(&mut breaker);
        assert_eq!(breaker.clear(now), Err(Wait::Turn), "one is on its way");
        breaker.broken(now, probe);
    }
    now += 30 * SECOND;
    let probe = pass(&mut breaker);
    breaker.unknown(probe);
    assert_eq!(breaker.clear(now), Ok(()), "a probe that was cancelled frees its place");
    breaker.succeeded(now);
    fail(&mut breaker, 10, now);
    assert_eq!(open_for(&breaker, now), 1, "a success resets the time");
}

#[test]
fn late_answers_of_a_burst_are_no_news() {
    let mut now = Instant::now();
    let mut breaker = breaker();
    let old = pass(&mut breaker);
    fail(&mut breaker, 10, now);
    (0..1000).for_each(|_| breaker.broken(now, old));
    assert_eq!(open_for(&breaker, now), 1);
    now += SECOND;
    let probe = pass(&mut breaker);
    breaker.unknown(old);
    breaker.broken(now, old);
    assert_eq!(breaker.clear(now), Err(Wait::Turn), "only the probe's answer counts");
    breaker.succeeded(now);
    assert_eq!(breaker.clear(now), Ok(()), "or any success");
    breaker.broken(now, probe);
    (0..1000).for_each(|_| breaker.broken(now, old));
    assert_eq!(breaker.clear(now), Ok(()));
}

#[test]
fn a_busy_probe_closes_it_on_trial() {
    let mut now = Instant::now();
    let mut breaker = breaker();
    fail(&mut breaker, 10, now);
    now += SECOND;
    let probe = pass(&mut breaker);
    breaker.busy(now, probe);
    assert_eq!(breaker.clear(now), Ok(()));
    fail(&mut breaker, 1, now);
    assert_eq!(open_for(&breaker, now), 2);
}

#[test]
fn it_gives_up_while_open_only_and_for_good() {
    let start = Instant::now();
    let mut breaker = breaker();
    fail(&mut breaker, 9, start);
    let late = start + 301 * SECOND;
    assert_eq!(breaker.check(late), Ok(()), "the next request may succeed");
    fail(&mut breaker, 1, late);
    let down = Down { since: 301 * SECOND };
    assert_eq!(breaker.check(late), Err(down));
    breaker.succeeded(late);
    assert_eq!(breaker.check(late + SECOND), Err(down));
    assert_eq!(down.to_string(), "the endpoint gave no answer for 301 s");
}

#[test]
fn time_in_which_nobody_asked_is_no_outage() {
    let start = Instant::now();
    let mut breaker = breaker();
    fail(&mut breaker, 10, start);
    let late = start + 3600 * SECOND;
    breaker.rested(late);
    assert_eq!(breaker.check(late), Ok(()));
    fail(&mut breaker, 1, late);
    assert_eq!(breaker.check(late + 299 * SECOND), Ok(()));
    breaker.rested(late + 300 * SECOND);
    assert!(breaker.check(late + 300 * SECOND).is_err());
    let mut never = Breaker::new(Duration::MAX, Duration::MAX);
    fail(&mut never, 10, start);
    assert_eq!(never.check(late), Ok(()));
}
