//! What holds whatever happens.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use proptest::prelude::*;
use tokio::time::advance;

use super::*;
use crate::pace::Down;

type Waiting<'a> = Pin<Box<dyn Future<Output = Result<Turn<'a>, Down>> + 'a>>;

#[derive(Clone, Debug)]
enum Event {
    Ask(u64),
    /// Polls all who wait.
    Look,
    Cancel(usize),
    Succeed(usize),
    Busy(usize, Option<u64>),
    Break(usize),
    Stall(usize, bool),
    /// Ten at once.
    BreakMany,
    Drop(usize),
    Sleep(u64),
}

fn event() -> impl Strategy<Value = Event> {
    let which = 0_usize..64;
    prop_oneof![
        6 => (0_u64..5000).prop_map(Event::Ask),
        4 => Just(Event::Look),
        1 => which.clone().prop_map(Event::Cancel),
        4 => which.clone().prop_map(Event::Succeed),
        2 => (which.clone(), proptest::option::of(0_u64..100)).prop_map(|(n, s)| Event::Busy(n, s)),
        2 => which.clone().prop_map(Event::Break),
        2 => (which.clone(), any::<bool>()).prop_map(|(n, again)| Event::Stall(n, again)),
        1 => Just(Event::BreakMany),
        1 => which.prop_map(Event::Drop),
        4 => (0_u64..20_000).prop_map(Event::Sleep),
    ]
}

struct World<'a> {
    pace: &'a Pace,
    cap: usize,
    waiting: Vec<Waiting<'a>>,
    turns: Vec<Turn<'a>>,
}

impl World<'_> {
    fn look(&mut self) {
        let mut still = Vec::new();
        for mut wait in std::mem::take(&mut self.waiting) {
            match wait.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Pending => still.push(wait),
                Poll::Ready(Err(_)) => {}
                Poll::Ready(Ok(turn)) => {
                    self.turns.push(turn);
                    assert!(self.pace.in_flight() <= self.pace.limit());
                }
            }
        }
        self.waiting = still;
    }

    async fn happen(&mut self, event: Event) {
        match event {
            Event::Ask(tokens) => {
                let turn = self.pace.turn_of(tokens, tokens.is_multiple_of(3));
                self.waiting.push(Box::pin(turn));
            }
            Event::Look => self.look(),
            Event::Cancel(n) => drop(pick(&mut self.waiting, n)),
            Event::Succeed(n) => pick(&mut self.turns, n).into_iter().for_each(Turn::succeeded),
            Event::Busy(n, after) => {
                let after = after.map(Duration::from_secs);
                pick(&mut self.turns, n).into_iter().for_each(|turn| turn.busy(after));
            }
            Event::Break(n) => pick(&mut self.turns, n).into_iter().for_each(Turn::broken),
            Event::Stall(n, again) => {
                pick(&mut self.turns, n).into_iter().for_each(|turn| turn.stalled(again));
            }
            Event::BreakMany => {
                let many = self.turns.len().min(10);
                self.turns.drain(..many).for_each(Turn::broken);
            }
            Event::Drop(n) => drop(pick(&mut self.turns, n)),
            Event::Sleep(millis) => advance(Duration::from_millis(millis)).await,
        }
        assert!((1..=self.cap).contains(&self.pace.limit()), "{}", self.pace.limit());
        assert_eq!(self.pace.in_flight(), self.turns.len());
    }
}

fn pick<T>(from: &mut Vec<T>, n: usize) -> Option<T> {
    (!from.is_empty()).then(|| from.remove(n % from.len()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn no_slot_is_lost_and_none_is_given_too_many(
        cap in 1_usize..40,
        rates in (prop_oneof![Just(0_u32), 1_u32..1000], prop_oneof![Just(0_u32), 1_u32..100_000]),
        events in prop::collection::vec(event(), 0..300),
    ) {
        paused().block_on(async {
            let (requests_per_minute, tokens_per_minute) = rates;
            let pace = Pace::new(Limits { requests_per_minute, tokens_per_minute, ..limits(cap) });
            let mut world = World { pace: &pace, cap, waiting: Vec::new(), turns: Vec::new() };
            for event in events {
                world.happen(event).await;
            }
            drop(world);
            assert_eq!(pace.in_flight(), 0);
            // Longer than any pause and any bill: whoever asks now is served, or told why not.
            let turn = tokio::time::timeout(900 * SECOND, pace.turn(100)).await;
            if let Ok(turn) = turn.expect("a slot, a probe or the line was lost") {
                turn.succeeded();
                assert_eq!(pace.in_flight(), 0);
            }
        });
    }
}
