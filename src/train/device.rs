//! The device that a rank computes on: which one it is, how fast it multiplies, how full it is.

use std::time::Instant;

use magiclens_torch::LoadError;
use magiclens_torch::memory::{Gauge, Memory};
use tch::{Cuda, Device, Kind, Tensor};

use super::collective::World;

/// Rounds of which the fastest counts: a GPU needs some to wake up.
const ROUNDS: usize = 5;

/// A device with what is known of it.
#[derive(Debug)]
pub struct Machine {
    /// FLOP/s of large matrix products, measured: what utilisation is a share of.
    pub peak: f64,
    gauge: Option<Gauge>,
}

impl Machine {
    /// Measures a device. Takes less than a second on a GPU, and draws no random numbers.
    pub fn measure(device: Device, kind: Kind) -> Self {
        Self { peak: matmul_rate(device, kind), gauge: Gauge::open(device) }
    }

    /// Its memory; `None` on a CPU.
    pub fn memory(&self) -> Option<Memory> {
        self.gauge.as_ref()?.read()
    }
}

/// This rank's GPU, or the CPU where there is none.
pub fn of(world: &World) -> Result<Device, LoadError> {
    Ok(match magiclens_torch::device()? {
        Device::Cuda(_) => Device::Cuda(world.local_rank),
        device => device,
    })
}

/// Multiplies square matrices and gives the FLOP/s of the fastest round.
fn matmul_rate(device: Device, kind: Kind) -> f64 {
    let (side, products) = match device {
        Device::Cuda(_) => (8192, 4),
        _ => (512, 1),
    };
    let numbers = Tensor::arange(side * side, (Kind::Float, device)).sin();
    let matrix = numbers.reshape([side, side]).to_kind(kind);
    let flops = 2.0 * (side as f64).powi(3) * f64::from(products);
    let round = || {
        let began = Instant::now();
        for _ in 0..products {
            let _ = matrix.matmul(&matrix);
        }
        if let Device::Cuda(index) = device {
            Cuda::synchronize(index as i64);
        }
        flops / began.elapsed().as_secs_f64()
    };
    (0..ROUNDS).map(|_| round()).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cpu_multiplies_and_has_no_gauge() {
        let machine = Machine::measure(Device::Cpu, Kind::Float);
        assert!(machine.peak.is_finite() && machine.peak > 0.0);
        assert_eq!(machine.memory(), None);
    }
}
