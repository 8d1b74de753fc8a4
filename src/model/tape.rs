//! Gradients through a stack of layers that keeps only what goes into each stretch of it, and computes
//! the stretch again when its gradient is asked for. arXiv 1604.06174.
//!
//! A graph ends where such a stack begins and another begins where it ends: so whoever used a tape has it
//! run [`Tape::backward`] after the gradient of what came out of the stacks.

use std::fmt;
use std::ops::Range;

use tch::{Kind, Tensor, no_grad};

/// Layers of a stretch, applied to `[B·T, width]`; must give the same when called again.
type Run<'m> = Box<dyn Fn(Range<usize>, &Tensor) -> Tensor + 'm>;

/// What is to be computed again, and how far apart inputs are kept.
#[derive(Debug)]
pub struct Tape<'m> {
    every: usize,
    stacks: Vec<Stack<'m>>,
}

/// One stack of layers.
struct Stack<'m> {
    /// With the graph of whatever made it.
    source: Tensor,
    /// What went into each stretch, in order.
    inputs: Vec<(Range<usize>, Tensor)>,
    output: Tensor,
    run: Run<'m>,
}

impl fmt::Debug for Stack<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stack").field("stretches", &self.inputs.len()).finish_non_exhaustive()
    }
}

impl<'m> Tape<'m> {
    /// Keeps the input of each `every` layers; of 0 the tape stays empty and graphs are whole.
    pub fn new(every: usize) -> Self {
        Self { every, stacks: Vec::new() }
    }

    /// Applies `layers` layers to `x`: as `run` says, in stretches if the tape is to keep anything.
    pub(super) fn apply(
        &mut self,
        layers: usize,
        x: Tensor,
        run: impl Fn(Range<usize>, &Tensor) -> Tensor + 'm,
    ) -> Tensor {
        if self.every == 0 {
            return run(0..layers, &x);
        }
        let leaf = |tensor: &Tensor| tensor.detach().set_requires_grad(true);
        let (mut inputs, mut at) = (Vec::new(), leaf(&x));
        for first in (0..layers).step_by(self.every) {
            let stretch = first..(first + self.every).min(layers);
            let next = no_grad(|| run(stretch.clone(), &at));
            inputs.push((stretch, std::mem::replace(&mut at, leaf(&next))));
        }
        let output = at.shallow_clone();
        self.stacks.push(Stack { source: x, inputs, output: at, run: Box::new(run) });
        output
    }

    /// Takes the gradients that the outputs of all stacks have to the weights of their layers, and to
    /// those behind what went into the stacks.
    pub fn backward(self) {
        self.stacks.into_iter().for_each(Stack::backward);
    }
}

impl Stack<'_> {
    fn backward(self) {
        let mut gradient = self.output.grad();
        drop(self.output);
        for (stretch, input) in self.inputs.into_iter().rev() {
            push(&(self.run)(stretch, &input), &gradient);
            gradient = input.grad();
        }
        push(&self.source, &gradient);
    }
}

/// Gives a tensor's graph the gradient that the tensor has: that of `tensor · gradient` by the tensor is
/// just `gradient`.
pub fn push(tensor: &Tensor, gradient: &Tensor) {
    (tensor * gradient).sum(Kind::Float).backward();
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::model::tests::bounds::{F32, assert_within, likely};

    fn weights() -> Vec<Tensor> {
        [0.3_f32, -0.7, 1.1, 0.9, -0.2]
            .map(|value| Tensor::from_slice(&[value, 1.0 - value]).set_requires_grad(true))
            .into()
    }

    /// Gradients of the weights before and in the stack, and how often each stretch ran.
    fn gradients(every: usize) -> (Vec<Vec<f32>>, Vec<Range<usize>>) {
        let (weights, calls) = (weights(), RefCell::new(Vec::new()));
        let before = Tensor::from_slice(&[0.5_f32, -1.5]).set_requires_grad(true);
        let run = |stretch: Range<usize>, x: &Tensor| {
            calls.borrow_mut().push(stretch.clone());
            let layer = |x: Tensor, weight: &Tensor| (x * weight).tanh() + weight;
            weights[stretch].iter().fold(x.shallow_clone(), layer)
        };
        let mut tape = Tape::new(every);
        let output = tape.apply(weights.len(), before.exp(), run);
        (output.square()).sum(Kind::Float).backward();
        tape.backward();
        let of = |tensor: &Tensor| Vec::<f32>::try_from(&tensor.grad()).unwrap();
        let all = weights.iter().chain([&before]).map(of).collect();
        (all, calls.into_inner())
    }

    #[test]
    fn stretches_have_the_gradients_of_the_whole_and_run_twice() {
        let (whole, calls) = gradients(0);
        assert!(calls.len() == 1 && calls[0] == (0..5), "{calls:?}");
        let sizes = || whole.iter().flatten().map(|value| f64::from(value.abs()));
        // Five layers of a product, a tanh and a sum, there and back.
        let within = likely(F32, 5 * 3 * 2) * sizes().fold(0.0, f64::max);
        assert!(sizes().all(|size| size > 10.0 * within), "one left out is far off: {whole:?}");
        for (every, stretches) in [(1, 5), (2, 3), (4, 2), (9, 1)] {
            let (ours, calls) = gradients(every);
            for (ours, whole) in ours.iter().flatten().zip(whole.iter().flatten()) {
                assert_within(f64::from((ours - whole).abs()), within, format!("every {every}"));
            }
            assert_eq!(calls.len(), 2 * stretches);
            let (forward, backward) = calls.split_at(stretches);
            assert!(forward.iter().eq(backward.iter().rev()), "{calls:?}");
        }
    }
}
