//! A group of one: nothing is sent.

use tch::Tensor;

use super::{Collective, CollectiveError};

/// The only rank.
#[derive(Clone, Copy, Debug)]
pub struct Alone;

impl Collective for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn world(&self) -> usize {
        1
    }

    fn all_gather(&self, tensor: &Tensor) -> Result<Tensor, CollectiveError> {
        Ok(tensor.detach())
    }

    fn all_reduce_sum(&self, _: &mut Tensor) -> Result<(), CollectiveError> {
        Ok(())
    }

    fn broadcast(&self, _: &mut Tensor, _: usize) -> Result<(), CollectiveError> {
        Ok(())
    }

    fn barrier(&self) -> Result<(), CollectiveError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_rank_keeps_what_it_has() {
        let mut tensor = Tensor::from_slice(&[1_f32, 2.0]);
        Alone.all_reduce_sum(&mut tensor).unwrap();
        Alone.broadcast(&mut tensor, 0).unwrap();
        Alone.barrier().unwrap();
        assert_eq!(Alone.all_gather(&tensor).unwrap(), Tensor::from_slice(&[1_f32, 2.0]));
        assert_eq!((Alone.rank(), Alone.world()), (0, 1));
    }
}
