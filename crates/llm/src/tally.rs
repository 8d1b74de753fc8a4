//! What was spent, and the cap that no request may cross.
//!
//! A request reserves what it may cost at most before it is sent, and settles what it did cost after
//! it. The sum survives in the replies themselves: each names its tokens.

use std::sync::{Arc, Mutex, MutexGuard};

use magiclens_common::config::{Budget, Price};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::ask::Usage;

/// A cap that the next request would cross.
#[derive(Clone, Debug, PartialEq, Error)]
#[error(
    "{key} = {cap} would be passed: {spent} spent, {reserved} asked for now; raise it and run again \
     to resume"
)]
pub struct BudgetSpent {
    key: &'static str,
    cap: f64,
    spent: f64,
    reserved: f64,
}

/// Calls, tokens and cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Totals {
    /// Requests that were answered.
    pub calls: u64,
    /// Tokens read by models.
    pub input: u64,
    /// Tokens written by models.
    pub output: u64,
    /// In the unit of `budget.prices`.
    pub cost: f64,
}

impl Totals {
    /// Adds what another has.
    pub fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.input += other.input;
        self.output += other.output;
        self.cost += other.cost;
    }
}

/// The spending of a whole run.
#[derive(Clone, Debug)]
pub struct Tally {
    budget: Budget,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    spent: Totals,
    reserved_tokens: u64,
    reserved_cost: f64,
}

/// What requests may cost at most; given back when dropped.
#[derive(Debug)]
pub struct Reservation {
    state: Arc<Mutex<State>>,
    tokens: u64,
    cost: f64,
}

impl Tally {
    /// Goes on from what earlier runs spent.
    pub fn new(budget: &Budget, spent: Totals) -> Self {
        let state = State { spent, ..State::default() };
        Self { budget: budget.clone(), state: Arc::new(Mutex::new(state)) }
    }

    /// The price of a model; nothing where none is listed.
    pub fn price(&self, model: &str) -> Price {
        self.budget.prices.get(model).copied().unwrap_or_default()
    }

    /// Sets aside what a request may use at most.
    pub fn reserve(&self, price: Price, usage: Usage) -> Result<Reservation, BudgetSpent> {
        let (tokens, cost) = (usage.input + usage.output, cost(price, usage));
        let state = lock(&self.state);
        let spent_tokens = state.spent.input + state.spent.output + state.reserved_tokens;
        let spent_cost = state.spent.cost + state.reserved_cost;
        let Budget { max_tokens, max_cost, .. } = self.budget;
        if max_tokens > 0 && spent_tokens + tokens > max_tokens {
            let (cap, spent) = (max_tokens as f64, spent_tokens as f64);
            return Err(BudgetSpent {
                key: "budget.max_tokens",
                cap,
                spent,
                reserved: tokens as f64,
            });
        }
        if max_cost > 0.0 && spent_cost + cost > max_cost {
            let (cap, spent) = (max_cost, spent_cost);
            return Err(BudgetSpent { key: "budget.max_cost", cap, spent, reserved: cost });
        }
        Ok(self.held(state, tokens, cost))
    }

    /// Sets aside what was sent already and may be answered, whatever the caps say by now.
    pub fn set_aside(&self, price: Price, usage: Usage) -> Reservation {
        self.held(lock(&self.state), usage.input + usage.output, cost(price, usage))
    }

    fn held(&self, mut state: MutexGuard<'_, State>, tokens: u64, cost: f64) -> Reservation {
        state.reserved_tokens += tokens;
        state.reserved_cost += cost;
        Reservation { state: Arc::clone(&self.state), tokens, cost }
    }

    /// Counts an answered request.
    pub fn settle(&self, price: Price, usage: Usage) -> Totals {
        let Usage { input, output } = usage;
        let totals = Totals { calls: 1, input, output, cost: cost(price, usage) };
        lock(&self.state).spent.add(&totals);
        totals
    }

    /// All of it so far.
    pub fn spent(&self) -> Totals {
        lock(&self.state).spent
    }
}

impl Reservation {
    /// Takes another of the same tally in.
    pub fn join(&mut self, mut other: Self) {
        self.tokens += std::mem::take(&mut other.tokens);
        self.cost += std::mem::take(&mut other.cost);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        state.reserved_tokens -= self.tokens;
        state.reserved_cost = (state.reserved_cost - self.cost).max(0.0);
    }
}

/// What so many tokens cost.
pub fn cost(price: Price, usage: Usage) -> f64 {
    (usage.input as f64 * price.input + usage.output as f64 * price.output) / 1e6
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().expect("no holder of this lock panics")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn usage(input: u64, output: u64) -> Usage {
        Usage { input, output }
    }

    #[test]
    fn no_request_may_pass_the_cap_not_even_all_in_flight_together() {
        let budget = Budget { max_tokens: 100, ..Budget::default() };
        let tally = Tally::new(&budget, Totals { input: 20, ..Totals::default() });
        let first = tally.reserve(Price::default(), usage(30, 10)).unwrap();
        let error = tally.reserve(Price::default(), usage(30, 11)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "budget.max_tokens = 100 would be passed: 60 spent, 41 asked for now; raise it and run \
             again to resume"
        );
        tally.settle(Price::default(), usage(10, 2));
        drop(first);
        assert!(tally.reserve(Price::default(), usage(60, 8)).is_ok());
        assert!(tally.reserve(Price::default(), usage(60, 9)).is_err());
        let mut held = tally.set_aside(Price::default(), usage(60, 9));
        held.join(tally.set_aside(Price::default(), usage(1000, 0)));
        assert!(tally.reserve(Price::default(), usage(1, 0)).is_err());
        drop(held);
        assert!(tally.reserve(Price::default(), usage(60, 8)).is_ok());
    }

    #[test]
    fn cost_is_by_the_million() {
        let price = Price { input: 0.5, output: 2.0 };
        let prices = BTreeMap::from([("m".to_owned(), price)]);
        let tally = Tally::new(&Budget { max_cost: 1.0, max_tokens: 0, prices }, Totals::default());
        assert_eq!((tally.price("m"), tally.price("other")), (price, Price::default()));
        let held = tally.reserve(price, usage(1_000_000, 200_000)).unwrap();
        assert!(tally.reserve(price, usage(200_001, 0)).is_err());
        tally.settle(price, usage(1_000_000, 100_000));
        drop(held);
        assert!((tally.spent().cost - 0.7).abs() < 1e-9);
        assert!(tally.reserve(price, usage(600_000, 0)).is_ok());
    }
}
