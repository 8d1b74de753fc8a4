//! Endpoints that do not work, for a while or for good.

use std::sync::Arc;

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::*;
use crate::pace::Down;

async fn break_it(pace: &Pace) {
    for _ in 0..10 {
        take(pace).await.broken();
    }
}

#[tokio::test(start_paused = true)]
async fn callers_wait_while_it_is_open_and_one_probes() {
    let pace = pace(100);
    break_it(&pace).await;
    let (probe, seconds) = timed(&pace).await;
    assert!((1.0..1.1).contains(&seconds), "{seconds}");
    assert!(holds(&pace, 60).await, "one probe is enough");
    probe.broken();
    let (probe, seconds) = timed(&pace).await;
    assert!((2.0..2.1).contains(&seconds), "{seconds}");
    probe.succeeded();
    let turns = [take(&pace).await, take(&pace).await];
    assert_eq!(pace.in_flight(), 2, "all pass again");
    drop(turns);
    break_it(&pace).await;
    assert!(timed(&pace).await.1 < 1.1, "and the time is reset");
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_probe_frees_its_place() {
    let pace = pace(100);
    break_it(&pace).await;
    for _ in 0..5 {
        let probe = take(&pace).await;
        let mut next = Box::pin(pace.turn(1));
        assert!(timeout(SECOND, &mut next).await.is_err());
        drop(probe);
        drop(timeout(SECOND, next).await.unwrap().unwrap());
    }
    let sent = async {
        let _probe = take(&pace).await;
        sleep(3600 * SECOND).await;
    };
    assert!(timeout(SECOND, sent).await.is_err());
    take(&pace).await.succeeded();
    assert_eq!(pace.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_success_from_before_wakes_those_who_wait() {
    let pace = pace(100);
    let old = take(&pace).await;
    break_it(&pace).await;
    let mut waits = Box::pin(pace.turn(1));
    assert!(timeout(SECOND / 2, &mut waits).await.is_err());
    old.succeeded();
    let start = Instant::now();
    drop(waits.await.unwrap());
    assert_eq!(start.elapsed(), Duration::ZERO);
}

/// Callers who try again for as long as they are let; returns how many requests were sent.
async fn run(pace: &Arc<Pace>, callers: usize, works: fn(f64) -> bool) -> (usize, Vec<Down>) {
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..callers {
        let pace = Arc::clone(pace);
        tasks.spawn(async move {
            let mut sent = 0;
            loop {
                let turn = match pace.turn(1).await {
                    Ok(turn) => turn,
                    Err(down) => return (sent, Some(down)),
                };
                sent += 1;
                sleep(SECOND / 10).await;
                if works(start.elapsed().as_secs_f64()) {
                    turn.succeeded();
                    return (sent, None);
                }
                turn.broken();
            }
        });
    }
    let ended = tasks.join_all().await;
    let sent = ended.iter().map(|(sent, _)| sent).sum();
    (sent, ended.into_iter().filter_map(|(_, down)| down).collect())
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_waited_out_with_few_requests() {
    let pace = Arc::new(pace(100));
    let start = Instant::now();
    let (sent, downs) = run(&pace, 2000, |seconds| seconds > 120.0).await;
    assert!(downs.is_empty(), "{downs:?}");
    assert!(sent < 2000 + 100 + 10, "{sent} requests: the first burst and the probes are spent");
    let seconds = start.elapsed().as_secs_f64();
    assert!(seconds < 155.0, "{seconds}: at most one cooldown is lost");
}

#[tokio::test(start_paused = true)]
async fn everyone_gives_up_at_once() {
    let pace = Arc::new(pace(100));
    let start = Instant::now();
    let (_, downs) = run(&pace, 2000, |_| false).await;
    assert_eq!(downs.len(), 2000);
    assert_eq!(start.elapsed().as_secs(), 300);
    assert!(downs.iter().all(|down| down.since.as_secs() == 300), "{:?}", downs[0]);
    assert!(pace.turn(1).await.is_err() && pace.in_flight() == 0);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_hangs_does_not_put_off_the_end() {
    let pace = pace(100);
    break_it(&pace).await;
    let _probe = take(&pace).await;
    let start = Instant::now();
    assert!(pace.turn(1).await.is_err());
    assert_eq!(start.elapsed().as_secs(), 299);
}

#[tokio::test(start_paused = true)]
async fn an_hour_without_work_is_no_outage() {
    let pace = pace(100);
    break_it(&pace).await;
    sleep(3600 * SECOND).await;
    take(&pace).await.broken();
    take(&pace).await.succeeded();
}
