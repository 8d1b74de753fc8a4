//! Opens NCCL at run time. Nothing here decides what is sent.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::OnceLock;

use cudarc::nccl::sys::{cudaStream_t, ncclComm_t, ncclDataType_t, ncclRedOp_t, ncclUniqueId};
use libloading::os::unix::{self, RTLD_LOCAL, RTLD_NOW};

use super::{ID_BYTES, NcclError};

/// The first is what PyTorch's wheels and the packages of distributions have, and what libtorch's
/// CUDA part has loaded already; the second is that of development packages.
const NAMES: [&str; 2] = ["libnccl.so.2", "libnccl.so"];

// Results are plain numbers here: a newer NCCL may return one that an enum does not have.
type AllReduce = unsafe extern "C" fn(
    *const c_void,
    *mut c_void,
    usize,
    ncclDataType_t,
    ncclRedOp_t,
    ncclComm_t,
    cudaStream_t,
) -> c_int;
type AllGather = unsafe extern "C" fn(
    *const c_void,
    *mut c_void,
    usize,
    ncclDataType_t,
    ncclComm_t,
    cudaStream_t,
) -> c_int;
type Broadcast = unsafe extern "C" fn(
    *const c_void,
    *mut c_void,
    usize,
    ncclDataType_t,
    c_int,
    ncclComm_t,
    cudaStream_t,
) -> c_int;

/// NCCL's functions, as far as they are called.
#[derive(Debug)]
pub(super) struct Library {
    pub(super) all_reduce: AllReduce,
    pub(super) all_gather: AllGather,
    pub(super) broadcast: Broadcast,
    version: unsafe extern "C" fn(*mut c_int) -> c_int,
    unique_id: unsafe extern "C" fn(*mut ncclUniqueId) -> c_int,
    join: unsafe extern "C" fn(*mut ncclComm_t, c_int, ncclUniqueId, c_int) -> c_int,
    destroy: unsafe extern "C" fn(ncclComm_t) -> c_int,
    abort: unsafe extern "C" fn(ncclComm_t) -> c_int,
    error: unsafe extern "C" fn(c_int) -> *const c_char,
}

impl Library {
    /// The one of this process; a failure is remembered too.
    pub(super) fn get() -> Result<&'static Self, NcclError> {
        static LIBRARY: OnceLock<Result<Library, String>> = OnceLock::new();
        LIBRARY.get_or_init(Self::open).as_ref().map_err(|problem| NcclError::Load(problem.clone()))
    }

    fn open() -> Result<Self, String> {
        let mut problems = Vec::new();
        for name in NAMES {
            // SAFETY: NCCL's initialisers expect nothing of the caller.
            match unsafe { unix::Library::open(Some(name), RTLD_NOW | RTLD_LOCAL) } {
                Ok(opened) => return Self::look_up(opened),
                Err(error) => problems.push(crate::words(&error)),
            }
        }
        Err(problems.join("; "))
    }

    fn look_up(opened: unix::Library) -> Result<Self, String> {
        // SAFETY: the signatures are those of nccl.h, unchanged since 2.0.
        let library = unsafe {
            Self {
                all_reduce: symbol(&opened, "ncclAllReduce")?,
                all_gather: symbol(&opened, "ncclAllGather")?,
                broadcast: symbol(&opened, "ncclBroadcast")?,
                version: symbol(&opened, "ncclGetVersion")?,
                unique_id: symbol(&opened, "ncclGetUniqueId")?,
                join: symbol(&opened, "ncclCommInitRank")?,
                destroy: symbol(&opened, "ncclCommDestroy")?,
                abort: symbol(&opened, "ncclCommAbort")?,
                error: symbol(&opened, "ncclGetErrorString")?,
            }
        };
        // The functions point into it, so it must stay until the process ends.
        std::mem::forget(opened);
        Ok(library)
    }

    pub(super) fn version(&self) -> Result<i32, NcclError> {
        let mut version = 0;
        // SAFETY: NCCL writes one number.
        self.check("ncclGetVersion", unsafe { (self.version)(&mut version) })?;
        Ok(version)
    }

    pub(super) fn unique_id(&self) -> Result<[u8; ID_BYTES], NcclError> {
        let mut id = ncclUniqueId { internal: [0; ID_BYTES] };
        // SAFETY: NCCL writes `ID_BYTES` bytes.
        self.check("ncclGetUniqueId", unsafe { (self.unique_id)(&mut id) })?;
        Ok(id.internal.map(|byte| byte as u8))
    }

    /// Joins a group.
    ///
    /// # Safety
    /// The thread's current GPU is the one to use, and `id` came from [`Self::unique_id`].
    pub(super) unsafe fn join(
        &self,
        id: &[u8; ID_BYTES],
        rank: usize,
        world: usize,
    ) -> Result<ncclComm_t, NcclError> {
        let mut group: ncclComm_t = std::ptr::null_mut();
        let id = ncclUniqueId { internal: id.map(|byte| byte as c_char) };
        // SAFETY: the caller's word.
        let result = unsafe { (self.join)(&mut group, world as c_int, id, rank as c_int) };
        self.check("ncclCommInitRank", result)?;
        Ok(group)
    }

    /// Leaves a group: at once where the process is failing, else when all work is done.
    ///
    /// # Safety
    /// `group` came from [`Self::join`] and is not used again.
    pub(super) unsafe fn leave(&self, group: ncclComm_t, at_once: bool) {
        let leave = if at_once { self.abort } else { self.destroy };
        // SAFETY: the caller's word. What it returns can help nobody any more.
        unsafe { leave(group) };
    }

    /// Turns a result into words.
    pub(super) fn check(&self, call: &'static str, result: c_int) -> Result<(), NcclError> {
        if result == 0 {
            return Ok(());
        }
        // SAFETY: NCCL answers any number with a text of its own that is never freed.
        let text = unsafe { CStr::from_ptr((self.error)(result)) };
        Err(NcclError::Call { call, problem: text.to_string_lossy().into_owned() })
    }
}

/// Looks up one function.
///
/// # Safety
/// `T` is the type of the function called `name`.
unsafe fn symbol<T: Copy>(library: &unix::Library, name: &str) -> Result<T, String> {
    // SAFETY: the caller's word.
    let found = unsafe { library.get::<T>(name) };
    found
        .map(|symbol| *symbol)
        .map_err(|error| format!("it has no {name}: {}", crate::words(&error)))
}
