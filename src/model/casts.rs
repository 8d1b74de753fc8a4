//! Weights in what layers compute in, made once for many passes.
//!
//! A step in chunks passes over the same weights many times. To cast them each time takes thousands of
//! small kernels, which a GPU waits for: so they can be held for as long as they do not change. A held
//! weight takes gradients of its own, in its kind; [`Casts::collect`] adds them up in float32 where they
//! belong, after each backward pass.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use magiclens_torch::shim;
use tch::{Kind, Tensor, no_grad};

/// What layers ask for their weights; all clones share what is held.
#[derive(Clone, Debug, Default)]
pub(crate) struct Casts(Arc<Mutex<Option<Held>>>);

/// The weights that are held.
#[derive(Debug)]
struct Held {
    kind: Kind,
    /// In the order in which they were asked for, so that sums are in the same order in each run.
    all: Vec<Cast>,
    places: HashMap<Key, usize>,
}

/// Address of the first part, number of parts, bits of gain and offset.
type Key = (usize, usize, u64, u64);

/// One weight, or several one after the other.
#[derive(Debug)]
struct Cast {
    parts: Vec<Tensor>,
    gain: f64,
    leaf: Tensor,
}

/// What is done to weights before they are cast: `gain · weight + offset`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change {
    pub gain: f64,
    pub offset: f64,
}

impl Change {
    /// As they are.
    pub const NONE: Self = Self { gain: 1.0, offset: 0.0 };

    fn of(self, parts: &[&Tensor]) -> Tensor {
        let all = match parts {
            [one] => one.shallow_clone(),
            parts => Tensor::cat(parts, 0),
        };
        let scaled = if self.gain == 1.0 { all } else { all * self.gain };
        if self.offset == 0.0 { scaled } else { scaled + self.offset }
    }
}

impl Casts {
    /// Weights one after the other, changed, in a kind: held ones where there are.
    pub fn get(&self, parts: &[&Tensor], change: Change, kind: Kind) -> Tensor {
        let mut held = self.lock();
        let Some(held) = held.as_mut().filter(|held| held.kind == kind) else {
            return change.of(parts).to_kind(kind);
        };
        let Change { gain, offset } = change;
        let key = (parts[0].data_ptr() as usize, parts.len(), gain.to_bits(), offset.to_bits());
        let all = &mut held.all;
        let place = *held.places.entry(key).or_insert_with(|| {
            let leaf = no_grad(|| change.of(parts).to_kind(kind).detach());
            let leaf = leaf.set_requires_grad(parts.iter().any(|part| part.requires_grad()));
            let parts = parts.iter().map(|part| part.shallow_clone()).collect();
            all.push(Cast { parts, gain, leaf });
            all.len() - 1
        });
        all[place].leaf.shallow_clone()
    }

    /// Holds what is asked for in this kind from now on, until the guard goes. Weights must not change
    /// meanwhile, or old ones are computed with.
    pub fn hold(&self, kind: Kind) -> Hold<'_> {
        *self.lock() = Some(Held { kind, all: Vec::new(), places: HashMap::new() });
        Hold(self)
    }

    /// Adds the gradients of held weights to those of the weights that they were made of.
    pub fn collect(&self) {
        let mut held = self.lock();
        let Some(held) = held.as_mut() else { return };
        let with_gradient = |cast: &&Cast| cast.leaf.grad().defined();
        let casts: Vec<&Cast> = held.all.iter().filter(with_gradient).collect();
        let (mut weights, mut gradients, mut gains) = (Vec::new(), Vec::new(), Vec::new());
        for cast in &casts {
            let gradient = cast.leaf.grad();
            let mut start = 0;
            for part in &cast.parts {
                let rows = part.size()[0];
                weights.push(part);
                gradients.push(gradient.narrow(0, start, rows));
                gains.push(cast.gain);
                start += rows;
            }
        }
        let gradients: Vec<&Tensor> = gradients.iter().collect();
        shim::add_gradients(&weights, &gradients, &gains).expect("gradients fit their weights");
        let leaves: Vec<&Tensor> = casts.iter().map(|cast| &cast.leaf).collect();
        shim::drop_gradients(&leaves).expect("held weights are leaves");
    }

    fn lock(&self) -> MutexGuard<'_, Option<Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Weights are held while this lives.
#[derive(Debug)]
pub struct Hold<'m>(&'m Casts);

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        *self.0.lock() = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weight(values: &[f32]) -> Tensor {
        Tensor::from_slice(values).set_requires_grad(true)
    }

    fn values(tensor: &Tensor) -> Vec<f32> {
        Vec::<f32>::try_from(&tensor.to_kind(Kind::Float)).unwrap()
    }

    #[test]
    fn what_is_held_is_made_once_and_gives_its_gradients_back() {
        let (a, b) = (weight(&[1.0, 2.0]), weight(&[3.0]));
        let change = Change { gain: 2.0, offset: 1.0 };
        let casts = Casts::default();
        for kind in [Kind::Float, Kind::BFloat16] {
            let hold = casts.hold(kind);
            for pass in 1..=3 {
                let both = casts.get(&[&a, &b], change, kind);
                assert_eq!((values(&both), both.kind()), (vec![3.0, 5.0, 7.0], kind));
                let alone = casts.get(&[&a], Change::NONE, kind);
                assert_eq!(values(&alone), [1.0, 2.0]);
                let loss = both * Tensor::from_slice(&[1_f32, 10.0, 100.0]).to_kind(kind);
                (loss.sum(kind) + alone.sum(kind) * 0.5).backward();
                casts.collect();
                // Twice what the changed weights have, and the plain one's share.
                let times = |value: f32| value * pass as f32;
                assert_eq!(values(&a.grad()), [times(2.5), times(20.5)]);
                assert_eq!(values(&b.grad()), [times(200.0)]);
                assert_eq!(a.grad().kind(), Kind::Float);
            }
            drop(hold);
            shim::drop_gradients(&[&a, &b]).unwrap();
        }
    }

    #[test]
    fn nothing_is_held_of_another_kind_or_after_the_guard() {
        let a = weight(&[1.0]);
        let casts = Casts::default();
        let hold = casts.hold(Kind::BFloat16);
        let float = casts.get(&[&a], Change { gain: 3.0, offset: 0.0 }, Kind::Float);
        float.backward();
        assert_eq!((values(&float), values(&a.grad())), (vec![3.0], vec![3.0]));
        let _ = casts.get(&[&a], Change::NONE, Kind::BFloat16);
        drop(hold);
        let _ = no_grad(|| a.shallow_clone().fill_(5.0));
        assert_eq!(values(&casts.get(&[&a], Change::NONE, Kind::BFloat16)), [5.0]);
    }
}
