//! Who gets a turn, and when.

use std::sync::{Arc, Mutex};

use tokio::task::JoinSet;
use tokio::time::{advance, sleep, timeout};

use super::*;

fn is_shared<T: Send + Sync>(_: &T) {}

#[tokio::test(start_paused = true)]
async fn slots_bound_the_requests_in_flight() {
    let pace = pace(2);
    is_shared(&pace);
    let (first, second) = (take(&pace).await, take(&pace).await);
    is_shared(&first);
    assert!(holds(&pace, 3600).await);
    assert_eq!((pace.in_flight(), pace.limit()), (2, 2));
    drop(first);
    take(&pace).await.succeeded();
    second.succeeded();
    assert_eq!(pace.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn two_thousand_wait_in_order() {
    let pace = Arc::new(pace(10));
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut callers = JoinSet::new();
    for number in 0..2000 {
        let (pace, order) = (Arc::clone(&pace), Arc::clone(&order));
        callers.spawn(async move {
            let turn = take(&pace).await;
            order.lock().unwrap().push(number);
            sleep(SECOND).await;
            turn.succeeded();
        });
    }
    let start = Instant::now();
    callers.join_all().await;
    assert_eq!(start.elapsed().as_secs(), 200);
    assert!(order.lock().unwrap().is_sorted());
}

#[test]
fn one_who_waits_costs_little() {
    let pace = pace(1);
    let bytes = size_of_val(&pace.turn(1));
    assert!(bytes <= 512, "{bytes} bytes, of which 2,000 make no difference");
}

#[tokio::test(start_paused = true)]
async fn who_stops_waiting_leaves_nothing_behind() {
    let pace = pace(1);
    let turn = take(&pace).await;
    // The head of the line and those behind it, some of them while a turn is being handed over.
    for millis in [1, 5, 10] {
        let waits = (0..100).map(|_| timeout(Duration::from_millis(millis), pace.turn(1)));
        let mut waits: Vec<_> = waits.map(Box::pin).collect();
        for wait in &mut waits {
            assert!(wait.await.is_err());
        }
    }
    let mut woken = Box::pin(pace.turn(1));
    assert!(timeout(SECOND, &mut woken).await.is_err());
    turn.succeeded();
    drop(woken);
    assert_eq!(pace.in_flight(), 0);
    assert_eq!(timed(&pace).await.1, 0.0, "the wake-up was not lost with the one it was meant for");
}

#[tokio::test(start_paused = true)]
async fn busy_holds_everyone_for_as_long_as_it_said() {
    let pace = pace(8);
    let turns = [take(&pace).await, take(&pace).await, take(&pace).await];
    for (turn, seconds) in turns.into_iter().zip([5, 20, 10]) {
        turn.busy(Some(seconds * SECOND));
    }
    assert_eq!(pace.limit(), 4, "one burst halves once");
    let (turn, seconds) = timed(&pace).await;
    assert!((20.0..20.1).contains(&seconds), "{seconds}");
    turn.busy(Some(86_400 * SECOND));
    let (_, seconds) = timed(&pace).await;
    assert!((600.0..600.1).contains(&seconds), "{seconds}");
}

#[tokio::test(start_paused = true)]
async fn busy_without_a_time_doubles_until_a_success() {
    let pace = pace(1);
    take(&pace).await.busy(None);
    for expected in [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 24.0, 24.0] {
        let (turn, seconds) = timed(&pace).await;
        assert!((expected..=expected * 1.26).contains(&seconds), "{seconds}, not {expected}");
        turn.busy(None);
    }
    take(&pace).await.succeeded();
    // After a pause, requests are apart for a while.
    sleep(3 * SECOND).await;
    take(&pace).await.busy(None);
    assert!(timed(&pace).await.1 < 0.7);
}

#[tokio::test(start_paused = true)]
async fn busy_alone_never_gives_up() {
    let pace = pace(4);
    let start = Instant::now();
    while start.elapsed() < 7200 * SECOND {
        take(&pace).await.busy(None);
    }
    assert_eq!(pace.limit(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_minute_is_kept_by_all_together() {
    let limits = Limits { requests_per_minute: 600, tokens_per_minute: 60_000, ..limits(2000) };
    for (tokens, requests) in [(1, 600.0), (1000, 60.0)] {
        let pace = Pace::new(limits);
        let start = Instant::now();
        let mut sent = 0.0;
        while start.elapsed() < 600 * SECOND {
            pace.turn(tokens).await.unwrap().succeeded();
            sent += 1.0;
        }
        let share = sent / 10.0 / requests;
        assert!((0.99..1.03).contains(&share), "{share} of {requests} a minute");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_outlasts_what_ends_meanwhile() {
    let pace = pace(100);
    let mut turns = Vec::new();
    for _ in 0..50 {
        turns.push(take(&pace).await);
    }
    take(&pace).await.busy(Some(10 * SECOND));
    turns.into_iter().for_each(Turn::succeeded);
    assert!(holds(&pace, 9).await);
    advance(2 * SECOND).await;
    assert!(!holds(&pace, 1).await);
}

#[test]
fn threads_lose_nothing() {
    let threads =
        tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_time().build();
    threads.unwrap().block_on(async {
        let pace = Arc::new(pace(7));
        let mut callers = JoinSet::new();
        for caller in 0..200 {
            let pace = Arc::clone(&pace);
            callers.spawn(async move {
                for round in 0..50 {
                    let wait =
                        Duration::from_micros(if (caller + round) % 3 == 0 { 1 } else { u64::MAX });
                    let Ok(Ok(turn)) = timeout(wait, pace.turn(1)).await else { continue };
                    assert!(pace.in_flight() <= 7);
                    tokio::task::yield_now().await;
                    if round % 2 == 0 { turn.succeeded() } else { drop(turn) }
                }
            });
        }
        callers.join_all().await;
        assert_eq!((pace.in_flight(), pace.limit()), (0, 7));
    });
}
