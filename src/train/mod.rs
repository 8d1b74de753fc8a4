//! Training, of which only the ground is there yet: libtorch is found, CUDA is picked up at run time
//! where there is one, and tensors are computed with.

use magiclens_torch::{Backend, LoadError};
use tch::{Device, Tensor};
use thiserror::Error;

/// libtorch does not work as it should.
#[derive(Debug, Error)]
pub enum ProbeError {
    /// The CUDA part of libtorch could not be picked up.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// libtorch refused.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
    /// libtorch computed something else.
    #[error("libtorch multiplied to {got:?} where {expected:?} is right")]
    Wrong {
        /// What came out.
        got: Vec<f32>,
        /// What should have.
        expected: Vec<f32>,
    },
}

/// What training would run on.
#[derive(Debug)]
pub struct Probe {
    /// Which libtorch, and whether with CUDA.
    pub backend: Backend,
    /// Where tensors live.
    pub device: Device,
}

/// Picks up CUDA and proves the device with a product. Comes before anything else done with tensors.
pub fn probe() -> Result<Probe, ProbeError> {
    let backend = magiclens_torch::load_cuda()?;
    let device = magiclens_torch::device()?;
    let got = multiply(device)?;
    let expected = vec![58.0, 64.0, 139.0, 154.0];
    if got != expected {
        return Err(ProbeError::Wrong { got, expected });
    }
    Ok(Probe { backend, device })
}

/// The product of a 2×3 and a 3×2 matrix of the numbers 1 to 12, row by row.
fn multiply(device: Device) -> Result<Vec<f32>, tch::TchError> {
    let left = Tensor::from_slice(&[1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let right = Tensor::from_slice(&[7.0_f32, 8.0, 9.0, 10.0, 11.0, 12.0]);
    let left = left.f_reshape([2, 3])?.f_to_device(device)?;
    let right = right.f_reshape([3, 2])?.f_to_device(device)?;
    let product = left.f_matmul(&right)?.f_to_device(Device::Cpu)?.f_reshape([-1])?;
    Vec::<f32>::try_from(&product)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libtorch_multiplies_two_tensors() {
        magiclens_torch::load_cuda().unwrap();
        let product = multiply(Device::Cpu).unwrap();
        let row = |a: [f32; 3], b: [f32; 3]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        let (rows, columns) = ([[1., 2., 3.], [4., 5., 6.]], [[7., 9., 11.], [8., 10., 12.]]);
        let expected: Vec<f32> =
            rows.iter().flat_map(|&r| columns.iter().map(move |&c| row(r, c))).collect();
        assert_eq!(product, expected);
    }

    #[test]
    fn the_probe_names_the_libtorch_it_was_built_for() {
        let probe = probe().unwrap();
        assert!(probe.backend.version().unwrap().starts_with("2.11.0"));
        assert!(probe.backend.folder().is_dir());
    }
}
