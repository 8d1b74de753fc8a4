//! NCCL on libtorch's tensors: collectives of ranks that have a GPU each.
//!
//! Types and calls are those of cudarc's bindings; the library is opened by [`library`], since
//! cudarc looks for `libnccl.so` only, and PyTorch's wheels bring `libnccl.so.2`. Work goes to the
//! stream that libtorch computes on, so it is ordered with what comes before and after. See
//! <https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/api.html>.

mod library;

use cudarc::nccl::sys::{ncclComm_t, ncclDataType_t, ncclRedOp_t};
use tch::{Device, Kind, TchError, Tensor};
use thiserror::Error;

use crate::shim;
use library::Library;

/// Length of what [`unique_id`] returns.
pub const ID_BYTES: usize = 128;

/// A collective on GPUs did not work.
#[derive(Debug, Error)]
pub enum NcclError {
    /// There is no NCCL, or one without what is called here.
    #[error("cannot use NCCL: {0}")]
    Load(String),
    /// NCCL refused.
    #[error("NCCL: {call}: {problem}")]
    Call {
        /// The function.
        call: &'static str,
        /// NCCL's words.
        problem: String,
    },
    /// libtorch refused.
    #[error("libtorch: {0}")]
    Torch(#[from] TchError),
    /// A tensor of a kind, layout or device that cannot be sent.
    #[error("cannot send {0}")]
    Tensor(String),
}

/// NCCL's version, as 22809 for 2.28.9.
pub fn version() -> Result<i32, NcclError> {
    Library::get()?.version()
}

/// A name for a new group of ranks: made by one of them, handed to the others by other means.
pub fn unique_id() -> Result<[u8; ID_BYTES], NcclError> {
    Library::get()?.unique_id()
}

/// This process's end of a group of ranks. Leaves the group when dropped.
#[derive(Debug)]
pub struct Communicator {
    library: &'static Library,
    raw: ncclComm_t,
    gpu: usize,
    world: usize,
}

impl Communicator {
    /// Joins the group `id` as `rank` of `world`, with one GPU; waits for all others.
    pub fn new(
        id: &[u8; ID_BYTES],
        rank: usize,
        world: usize,
        device: Device,
    ) -> Result<Self, NcclError> {
        let Device::Cuda(gpu) = device else {
            return Err(NcclError::Tensor(format!("tensors of {device:?} by NCCL")));
        };
        let library = Library::get()?;
        shim::enter_cuda(gpu)?;
        // SAFETY: the GPU that this thread is on exists, and the id is one of NCCL's own.
        let raw = unsafe { library.join(id, rank, world) }?;
        Ok(Self { library, raw, gpu, world })
    }

    /// Adds up `tensor` over the ranks, in place. The order of the sum is NCCL's.
    pub fn all_reduce_sum(&self, tensor: &Tensor) -> Result<(), NcclError> {
        let (kind, count) = self.describe(tensor)?;
        let (data, stream) = (tensor.data_ptr(), shim::enter_cuda(self.gpu)?);
        // SAFETY: `describe` saw contiguous memory of `count` elements on this GPU. libtorch gives
        // freed memory only to work that comes later on the same stream.
        unsafe {
            let call = self.library.all_reduce;
            self.library.check(
                "ncclAllReduce",
                call(data, data, count, kind, ncclRedOp_t::ncclSum, self.raw, stream.cast()),
            )
        }
    }

    /// Writes the ranks' `from` into `into`, one after the other.
    pub fn all_gather(&self, from: &Tensor, into: &Tensor) -> Result<(), NcclError> {
        let (kind, count) = self.describe(from)?;
        let (same, room) = self.describe(into)?;
        if same != kind || room != count * self.world {
            return Err(NcclError::Tensor(format!("{count} elements of each rank into {room}")));
        }
        let stream = shim::enter_cuda(self.gpu)?;
        // SAFETY: as above; `into` has room for all ranks.
        unsafe {
            let call = self.library.all_gather;
            self.library.check(
                "ncclAllGather",
                call(from.data_ptr(), into.data_ptr(), count, kind, self.raw, stream.cast()),
            )
        }
    }

    /// Overwrites `tensor` with that of rank `root`.
    pub fn broadcast(&self, tensor: &Tensor, root: usize) -> Result<(), NcclError> {
        let (kind, count) = self.describe(tensor)?;
        if root >= self.world {
            return Err(NcclError::Tensor(format!("from rank {root} of {}", self.world)));
        }
        let (data, stream) = (tensor.data_ptr(), shim::enter_cuda(self.gpu)?);
        // SAFETY: as above, and the root is one of the ranks.
        unsafe {
            let call = self.library.broadcast;
            self.library.check(
                "ncclBroadcast",
                call(data, data, count, kind, root as i32, self.raw, stream.cast()),
            )
        }
    }

    /// Kind and number of elements of a tensor that lies on this GPU without gaps.
    fn describe(&self, tensor: &Tensor) -> Result<(ncclDataType_t, usize), NcclError> {
        let kind = match tensor.f_kind()? {
            Kind::Float => ncclDataType_t::ncclFloat32,
            Kind::Double => ncclDataType_t::ncclFloat64,
            Kind::BFloat16 => ncclDataType_t::ncclBfloat16,
            Kind::Half => ncclDataType_t::ncclFloat16,
            Kind::Int64 => ncclDataType_t::ncclInt64,
            Kind::Int => ncclDataType_t::ncclInt32,
            Kind::Uint8 => ncclDataType_t::ncclUint8,
            other => return Err(NcclError::Tensor(format!("elements of kind {other:?}"))),
        };
        if tensor.device() != Device::Cuda(self.gpu) || !tensor.is_contiguous() {
            let device = tensor.device();
            return Err(NcclError::Tensor(format!("a tensor with gaps, or of {device:?}")));
        }
        Ok((kind, tensor.numel()))
    }
}

impl Drop for Communicator {
    fn drop(&mut self) {
        // SAFETY: `raw` came from `join`, and nobody has it after this.
        unsafe { self.library.leave(self.raw, std::thread::panicking()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cpu_has_no_place_in_a_group() {
        let error = Communicator::new(&[0; ID_BYTES], 0, 1, Device::Cpu).unwrap_err();
        assert!(error.to_string().contains("Cpu"), "{error}");
    }

    /// With one GPU a group of one is all there can be: it shows that library, calls and streams fit.
    #[test]
    fn a_group_of_one_on_a_gpu_keeps_its_numbers() {
        let Ok(device @ Device::Cuda(_)) = crate::device() else { return };
        let group = Communicator::new(&unique_id().unwrap(), 0, 1, device).unwrap();
        for kind in [Kind::Float, Kind::BFloat16] {
            let numbers =
                Tensor::arange(1 << 20, (Kind::Float, device)).remainder(251.0).to_kind(kind);
            let (sum, all) = (numbers.copy(), numbers.zeros_like());
            group.all_reduce_sum(&sum).unwrap();
            group.all_gather(&numbers, &all).unwrap();
            group.broadcast(&sum, 0).unwrap();
            assert!(sum.equal(&numbers) && all.equal(&numbers), "{kind:?}");
        }
        assert!(group.broadcast(&Tensor::zeros([2], (Kind::Float, device)), 1).is_err());
        assert!(group.all_reduce_sum(&Tensor::zeros([2], tch::kind::FLOAT_CPU)).is_err());
    }

    /// NCCL names its groups without a GPU; joining needs one.
    #[test]
    fn nccl_is_found_or_the_error_names_the_files_that_were_tried() {
        match version() {
            Ok(version) => {
                assert!(version > 20_000, "{version}");
                assert_ne!(unique_id().unwrap(), unique_id().unwrap());
            }
            Err(error) => assert!(error.to_string().contains("libnccl.so.2"), "{error}"),
        }
    }
}
