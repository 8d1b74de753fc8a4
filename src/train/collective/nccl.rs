//! Ranks with a GPU each: NCCL for what lies on GPUs, TCP for what lies on CPUs.
//!
//! A group of one was run on an H100; no machine with several GPUs was at hand. Small tensors of the
//! CPU that go around in every step also show that all ranks live, which NCCL's kernels would wait for
//! without end.

use magiclens_torch::nccl::{Communicator, ID_BYTES, unique_id};
use tch::{Device, Tensor};

use super::{Collective, CollectiveError, Tcp};

/// A group of ranks on GPUs.
#[derive(Debug)]
pub struct Nccl {
    tcp: Tcp,
    gpu: Communicator,
}

impl Nccl {
    /// Forms the group over ranks that are connected already; waits for all of them.
    pub fn new(tcp: Tcp, device: Device) -> Result<Self, CollectiveError> {
        let mut id = [0_u8; ID_BYTES];
        if tcp.rank() == 0 {
            id = unique_id()?;
        }
        let mut carrier = Tensor::from_slice(&id);
        tcp.broadcast(&mut carrier, 0)?;
        carrier.f_copy_data(&mut id, ID_BYTES)?;
        let gpu = Communicator::new(&id, tcp.rank(), tcp.world(), device)?;
        Ok(Self { tcp, gpu })
    }
}

impl Collective for Nccl {
    fn rank(&self) -> usize {
        self.tcp.rank()
    }

    fn world(&self) -> usize {
        self.tcp.world()
    }

    fn all_gather(&self, tensor: &Tensor) -> Result<Tensor, CollectiveError> {
        if tensor.device() == Device::Cpu {
            return self.tcp.all_gather(tensor);
        }
        let tensor = tensor.detach().contiguous();
        let mut size = tensor.size();
        size[0] *= self.world() as i64;
        let all = Tensor::f_empty(&size, (tensor.f_kind()?, tensor.device()))?;
        self.gpu.all_gather(&tensor, &all)?;
        Ok(all)
    }

    fn all_reduce_sum(&self, tensor: &mut Tensor) -> Result<(), CollectiveError> {
        if tensor.device() == Device::Cpu {
            return self.tcp.all_reduce_sum(tensor);
        }
        Ok(self.gpu.all_reduce_sum(tensor)?)
    }

    fn broadcast(&self, tensor: &mut Tensor, root: usize) -> Result<(), CollectiveError> {
        if tensor.device() == Device::Cpu {
            return self.tcp.broadcast(tensor, root);
        }
        Ok(self.gpu.broadcast(tensor, root)?)
    }

    fn barrier(&self) -> Result<(), CollectiveError> {
        self.tcp.barrier()
    }
}
