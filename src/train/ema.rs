//! A moving average of the weights, which often retrieves better than the weights themselves.

use std::collections::BTreeMap;

use magiclens_torch::shim;
use tch::{Tensor, no_grad};

use super::optimizer::StateError;
use super::parameter::Parameter;

/// Averages beside the weights. On every rank the same.
#[derive(Debug)]
pub struct Ema {
    decay: f64,
    names: Vec<String>,
    weights: Vec<Tensor>,
    averages: Vec<Tensor>,
}

impl Ema {
    /// Starts at the weights as they are; each update keeps the share `decay`, such as 0.999.
    pub fn new(parameters: &[Parameter], decay: f64) -> Self {
        Self {
            decay,
            names: parameters.iter().map(|parameter| parameter.name.clone()).collect(),
            weights: parameters.iter().map(|parameter| parameter.tensor.shallow_clone()).collect(),
            averages: parameters.iter().map(|parameter| parameter.tensor.detach().copy()).collect(),
        }
    }

    /// Moves the averages towards the weights. To be called after each update of the weights.
    pub fn update(&mut self) {
        let averages: Vec<&Tensor> = self.averages.iter().collect();
        let weights: Vec<&Tensor> = self.weights.iter().collect();
        shim::lerp(&averages, &weights, 1.0 - self.decay)
            .expect("averages have the shape, kind and device of their weights");
    }

    /// Runs `work` with the averages as the model's weights, and puts the weights back.
    pub fn with_averages<T>(&mut self, work: impl FnOnce() -> T) -> T {
        self.swap();
        let result = work();
        self.swap();
        result
    }

    /// Whether a weight of this name is averaged.
    pub fn has(&self, name: &str) -> bool {
        self.names.iter().any(|own| own == name)
    }

    /// The averages by the weights' names, for a checkpoint.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        let averages = self.averages.iter().map(Tensor::shallow_clone);
        self.names.iter().cloned().zip(averages).collect()
    }

    /// Takes over averages of the same weights. Changes nothing where they do not fit.
    pub fn restore(&mut self, mut state: BTreeMap<String, Tensor>) -> Result<(), StateError> {
        let mut copies = Vec::new();
        for (name, own) in self.state() {
            let saved = state.remove(&name).ok_or_else(|| StateError::Missing(name.clone()))?;
            if saved.size() != own.size() {
                let (found, wanted) = (format!("{:?}", saved.size()), format!("{:?}", own.size()));
                return Err(StateError::Form { name, found, wanted });
            }
            copies.push((own, saved));
        }
        if let Some((name, _)) = state.pop_first() {
            return Err(StateError::Unexpected(name));
        }
        copies.iter_mut().try_for_each(|(own, saved)| no_grad(|| own.f_copy_(saved)))?;
        Ok(())
    }

    /// Exchanges contents, so that whoever holds the weights sees the averages in their place.
    fn swap(&mut self) {
        no_grad(|| {
            for (weight, average) in self.weights.iter_mut().zip(&mut self.averages) {
                let held = weight.copy();
                weight.copy_(average);
                average.copy_(&held);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameter(value: f32) -> Parameter {
        let tensor = Tensor::from_slice(&[value]).set_requires_grad(true);
        Parameter { name: "w".to_owned(), tensor, new: true, decay: true }
    }

    fn set(parameter: &Parameter, value: f64) {
        let _ = no_grad(|| parameter.tensor.shallow_clone().fill_(value));
    }

    fn value(tensor: &Tensor) -> f64 {
        tensor.double_value(&[0])
    }

    #[test]
    fn the_average_follows_and_stands_in_for_the_weights() {
        let parameters = [parameter(0.0)];
        let mut ema = Ema::new(&parameters, 0.75);
        set(&parameters[0], 8.0);
        ema.update();
        ema.update();
        let seen = ema.with_averages(|| value(&parameters[0].tensor));
        assert_eq!(seen, 3.5, "8 · (1 − 0.75²)");
        assert_eq!(value(&parameters[0].tensor), 8.0);
        assert_eq!(value(&ema.state()[0].1), 3.5);
        assert!(parameters[0].tensor.requires_grad());
    }

    #[test]
    fn averages_can_be_saved_and_taken_over() {
        let parameters = [parameter(2.0)];
        let (ema, mut resumed) = (Ema::new(&parameters, 0.5), Ema::new(&[parameter(0.0)], 0.5));
        resumed.restore(ema.state().into_iter().collect()).unwrap();
        assert_eq!(value(&resumed.state()[0].1), 2.0);
        let error = resumed.restore(BTreeMap::new()).unwrap_err();
        assert!(matches!(error, StateError::Missing(name) if name == "w"));
    }
}
