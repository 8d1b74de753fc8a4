//! How full a GPU is, by its driver's count: all processes', and what libtorch holds in reserve.

use std::sync::Arc;

use cudarc::driver::CudaContext;
use tch::Device;

/// Reads the memory of one GPU.
#[derive(Debug)]
pub struct Gauge {
    context: Arc<CudaContext>,
}

/// Bytes of a GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// What it has.
    pub total: u64,
    /// What is taken.
    pub used: u64,
}

impl Gauge {
    /// `None` on the CPU, and where the driver does not answer.
    pub fn open(device: Device) -> Option<Self> {
        let Device::Cuda(index) = device else { return None };
        Some(Self { context: CudaContext::new(index).ok()? })
    }

    /// Reads it now. The thread's current GPU is this one from then on.
    pub fn read(&self) -> Option<Memory> {
        let (free, total) = self.context.mem_get_info().ok()?;
        Some(Memory { total: total as u64, used: total.saturating_sub(free) as u64 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cpu_has_no_gauge() {
        assert!(Gauge::open(Device::Cpu).is_none());
    }

    #[test]
    fn a_gpu_has_memory_of_which_some_is_taken() {
        let Ok(Device::Cuda(index)) = crate::device() else { return };
        let memory = Gauge::open(Device::Cuda(index)).unwrap().read().unwrap();
        assert!(0 < memory.used && memory.used < memory.total, "{memory:?}");
    }
}
