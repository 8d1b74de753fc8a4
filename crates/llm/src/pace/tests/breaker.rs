//! The breaker alone, told what happened and when.

use super::*;
use crate::pace::breaker::{Breaker, STALLS};
use crate::pace::{Down, Pass, Wait};

fn breaker() -> Breaker {
    Breaker::new(SECOND, 300 * SECOND, false)
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
    assert_eq!(breaker.check(late, false), Ok(()), "the next request may succeed");
    fail(&mut breaker, 1, late);
    let down = Down { since: 301 * SECOND, is_final: true };
    assert_eq!(breaker.check(late, false), Err(down));
    breaker.succeeded(late);
    assert_eq!(breaker.check(late + SECOND, false), Err(down));
    assert_eq!(down.to_string(), "the endpoint gave no answer for 301 s");
}

#[test]
fn time_in_which_nobody_asked_is_no_outage() {
    let start = Instant::now();
    let mut breaker = breaker();
    fail(&mut breaker, 10, start);
    let late = start + 3600 * SECOND;
    breaker.rested(late);
    assert_eq!(breaker.check(late, false), Ok(()));
    fail(&mut breaker, 1, late);
    assert_eq!(breaker.check(late + 299 * SECOND, false), Ok(()));
    breaker.rested(late + 300 * SECOND);
    assert!(breaker.check(late + 300 * SECOND, false).is_err());
    let mut never = Breaker::new(Duration::MAX, Duration::MAX, false);
    fail(&mut never, 10, start);
    assert_eq!(never.check(late, false), Ok(()));
}

/// Reports that `times` questions stalled for the first time.
fn stall(breaker: &mut Breaker, times: u32, now: Instant) {
    for _ in 0..times {
        let pass = pass(breaker);
        breaker.stalled(now, pass, false);
    }
}

#[test]
fn a_question_that_stalls_again_and_again_counts_once() {
    let now = Instant::now();
    let mut breaker = breaker();
    stall(&mut breaker, 3, now);
    for _ in 0..1000 {
        let pass = pass(&mut breaker);
        breaker.stalled(now, pass, true);
    }
    assert_eq!(breaker.clear(now), Ok(()));
    stall(&mut breaker, 7, now);
    assert_eq!(open_for(&breaker, now), 1);
    let probe = pass(&mut breaker);
    breaker.stalled(now, probe, true);
    assert_eq!(open_for(&breaker, now), 2, "it is no probe that speaks for the endpoint");
}

#[test]
fn a_few_questions_that_stall_are_given_up_and_not_the_endpoint() {
    let start = Instant::now();
    let late = start + 301 * SECOND;
    let partial = Err(Down { since: 301 * SECOND, is_final: false });
    let full = Err(Down { since: 301 * SECOND, is_final: true });
    for (answers, stalls, breaks, of_one, of_others) in [
        (1, 12, 0, partial, Ok(())),
        (0, 12, 0, full, full),
        (1, STALLS, 0, full, full),
        (1, 12, 1, full, full),
    ] {
        let mut breaker = breaker();
        (0..answers).for_each(|_| breaker.succeeded(start));
        fail(&mut breaker, breaks, start);
        stall(&mut breaker, stalls, start);
        assert_eq!(breaker.check(start + 299 * SECOND, true), Ok(()));
        assert_eq!(breaker.check(late, true), of_one, "{stalls} stalls, {breaks} failures");
        assert_eq!(breaker.check(late, false), of_others, "{stalls} stalls, {breaks} failures");
    }
}
