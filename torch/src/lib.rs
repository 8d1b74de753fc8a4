//! What has to call shared objects by hand: the run-time pick-up of CUDA, kernels of libtorch that
//! tch does not reach ([`shim`]), NCCL ([`nccl`]), and the driver's count of memory ([`memory`]). With it
//! the other places where Rust wants `unsafe`: mapped files ([`map`]) and the inner loops of exact search
//! ([`products`]). There is none elsewhere.
//!
//! One binary serves CPU and CUDA. It is linked against `libtorch_cpu.so` alone; where a CUDA build
//! of libtorch is found at run time (`LD_LIBRARY_PATH` at PyTorch's `torch/lib`, say), the rest of
//! it lies in the same folder and registers itself with libtorch once it is loaded.

pub mod map;
mod maps;
pub mod memory;
pub mod nccl;
pub mod products;
pub mod shim;

use std::error::Error as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
use tch::Device;
use thiserror::Error;

const CPU_LIBRARY: &str = "libtorch_cpu.so";
const CUDA_LIBRARY: &str = "libtorch_cuda.so";

/// Which libtorch the process runs on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backend {
    /// The CUDA part is loaded from this file. Whether there is a GPU is another question: see
    /// [`device`].
    Cuda(PathBuf),
    /// The folder of libtorch has no CUDA part.
    Cpu(PathBuf),
}

impl Backend {
    /// The folder that libtorch was loaded from.
    pub fn folder(&self) -> &Path {
        match self {
            Self::Cuda(library) => library.parent().unwrap_or(library),
            Self::Cpu(folder) => folder,
        }
    }

    /// The version that the folder states, as `2.11.0`; libtorch itself has no call for it.
    pub fn version(&self) -> Option<String> {
        let root = self.folder().parent()?;
        let read = |name: &str| std::fs::read_to_string(root.join(name)).ok();
        let plain = read("build-version").map(|text| text.trim().to_owned());
        plain.or_else(|| python_version(&read("version.py")?))
    }
}

/// Why CUDA could not be picked up. The CPU still works.
#[derive(Clone, Debug, Error)]
pub enum LoadError {
    /// The list of mapped files could not be read.
    #[error("cannot read /proc/self/maps: {0}")]
    Maps(String),
    /// This process does not use libtorch at all.
    #[error("{CPU_LIBRARY} is not loaded in this process")]
    NotMapped,
    /// The CUDA part is there and does not load: a library it needs is missing, or of another
    /// version.
    #[error("cannot load {}: {problem}", library.display())]
    Open {
        /// The file that was tried.
        library: PathBuf,
        /// The loader's words.
        problem: String,
    },
}

/// Loads the CUDA part of libtorch where there is one; further calls give the first one's answer.
///
/// Must come before any tensor, any `tch::Cuda` call and any seed: libtorch looks for CUDA once, at
/// the first of them, and keeps the answer.
pub fn load_cuda() -> Result<Backend, LoadError> {
    static ANSWER: OnceLock<Result<Backend, LoadError>> = OnceLock::new();
    ANSWER.get_or_init(|| pick_up(&mapped_folder()?)).clone()
}

/// The device to compute on: the first GPU where CUDA was picked up and finds one, else the CPU.
pub fn device() -> Result<Device, LoadError> {
    Ok(match load_cuda()? {
        Backend::Cuda(_) => Device::cuda_if_available(),
        Backend::Cpu(_) => Device::Cpu,
    })
}

/// The folder of the `libtorch_cpu.so` that this process runs on, whoever chose it.
fn mapped_folder() -> Result<PathBuf, LoadError> {
    let text = std::fs::read_to_string("/proc/self/maps")
        .map_err(|error| LoadError::Maps(error.to_string()))?;
    maps::folder_of(&text, CPU_LIBRARY).ok_or(LoadError::NotMapped)
}

fn pick_up(folder: &Path) -> Result<Backend, LoadError> {
    let library = folder.join(CUDA_LIBRARY);
    if !library.exists() {
        return Ok(Backend::Cpu(folder.to_owned()));
    }
    match open_for_good(&library) {
        Ok(()) => Ok(Backend::Cuda(library)),
        Err(error) => Err(LoadError::Open { library, problem: words(&error) }),
    }
}

fn open_for_good(library: &Path) -> Result<(), libloading::Error> {
    // SAFETY: the file's initialisers run here. They are those of the libtorch that is mapped
    // already and that the operator chose; they register CUDA with it and expect nothing of the
    // caller.
    let opened = unsafe { Library::open(Some(library), RTLD_NOW | RTLD_GLOBAL) }?;
    // What it registered points into it, so it must stay until the process ends.
    std::mem::forget(opened);
    Ok(())
}

/// An error of the loader in full: what it says of itself is only which call failed.
fn words(error: &libloading::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

/// `__version__ = '2.11.0+cu130'` as `2.11.0+cu130`.
fn python_version(text: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with("__version__"))?;
    line.split(['\'', '"']).nth(1).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Links libtorch into this test process, which would not be mapped otherwise.
    fn touch_libtorch() {
        tch::set_num_threads(1);
    }

    #[test]
    fn finds_the_libtorch_of_this_process_and_says_which_it_is() {
        touch_libtorch();
        let backend = load_cuda().unwrap();
        assert!(backend.folder().join(CPU_LIBRARY).is_file());
        assert!(backend.version().unwrap().starts_with("2.11.0"), "{:?}", backend.version());
        let has_cuda = backend.folder().join(CUDA_LIBRARY).exists();
        assert_eq!(matches!(backend, Backend::Cuda(_)), has_cuda);
        assert_eq!(load_cuda().unwrap(), backend);
    }

    #[test]
    fn without_a_cuda_part_the_cpu_is_used() {
        touch_libtorch();
        if let Backend::Cpu(_) = load_cuda().unwrap() {
            assert_eq!(device().unwrap(), Device::Cpu);
            assert!(!tch::Cuda::is_available());
        }
    }

    #[test]
    fn a_cuda_part_that_does_not_load_is_an_error_and_not_silence() {
        let folder = std::env::temp_dir().join(format!("magiclens-torch-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(CUDA_LIBRARY), "not a shared object").unwrap();
        let error = pick_up(&folder).unwrap_err();
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(matches!(error, LoadError::Open { .. }), "{error}");
        assert!(error.to_string().contains(CUDA_LIBRARY), "{error}");
    }

    /// Any shared object that registers nothing will do to see that one is loaded.
    #[test]
    fn a_cuda_part_that_loads_is_mapped() {
        touch_libtorch();
        let folder =
            std::env::temp_dir().join(format!("magiclens-torch-so-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let text = std::fs::read_to_string("/proc/self/maps").unwrap();
        let stand_in = maps::folder_of(&text, "libgcc_s.so.1").unwrap().join("libgcc_s.so.1");
        std::fs::copy(stand_in, folder.join(CUDA_LIBRARY)).unwrap();
        let backend = pick_up(&folder);
        let text = std::fs::read_to_string("/proc/self/maps").unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(backend.unwrap(), Backend::Cuda(folder.join(CUDA_LIBRARY)));
        // Beside another one where this machine has a GPU.
        let mapped = folder.join(CUDA_LIBRARY);
        assert!(text.contains(&*mapped.to_string_lossy()), "{text}");
    }

    #[test]
    fn reads_the_version_of_a_python_installation() {
        let text = "from typing import Optional\n__version__ = '2.11.0+cu130'\ndebug = False\n";
        assert_eq!(python_version(text).as_deref(), Some("2.11.0+cu130"));
        assert_eq!(python_version("debug = False"), None);
    }
}
