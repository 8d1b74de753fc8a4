//! Safetensors files as named float32 tensors and back: <https://huggingface.co/docs/safetensors>.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensors, TensorView, View};
use tch::{Kind, Tensor};

use super::error::WeightsError;
use super::source::{Named, read_error};

/// Reads a file of floating-point tensors, float32 on the CPU, by name.
pub fn read_tensors(path: &Path) -> Result<BTreeMap<String, Tensor>, WeightsError> {
    let bytes = std::fs::read(path).map_err(|source| read_error(path, source))?;
    tensors(&bytes).map_err(|problem| WeightsError::Format { path: path.to_owned(), problem })
}

/// Writes tensors as float32 so that the file is either the old or the new one, whole, whatever
/// happens: to a temporary file, which is synced and renamed, and then the folder is.
///
/// One tensor at a time is copied from its device. `metadata` is what the header's `__metadata__`
/// says.
pub fn write_tensors<'a>(
    path: &Path,
    named: impl IntoIterator<Item = (&'a str, &'a Tensor)>,
    metadata: HashMap<String, String>,
) -> Result<(), WeightsError> {
    let views = named.into_iter().map(|(name, tensor)| (name, OnDevice::new(tensor)));
    replace(path, |temporary| {
        safetensors::serialize_to_file(views, Some(metadata), temporary)
            .map_err(|error| error.to_string())
    })
}

/// Has `write` fill a temporary file, then puts it in the place of `path`.
pub(super) fn replace(
    path: &Path,
    write: impl FnOnce(&Path) -> Result<(), String>,
) -> Result<(), WeightsError> {
    let failed = |problem| WeightsError::Write { path: path.to_owned(), problem };
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let temporary = Temporary::beside(path, folder).map_err(|error| failed(error.to_string()))?;
    write(&temporary.path).map_err(failed)?;
    temporary.settle(path, folder).map_err(|error| failed(error.to_string()))
}

/// A file that is removed unless it got its final name.
struct Temporary {
    path: PathBuf,
    permissions: std::fs::Permissions,
}

impl Temporary {
    fn beside(path: &Path, folder: &Path) -> std::io::Result<Self> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let path = folder.join(format!(".{name}.{}.tmp", std::process::id()));
        let file = OpenOptions::new().create(true).truncate(true).write(true).open(&path)?;
        // The library that fills it makes files that nobody else may read.
        Ok(Self { permissions: file.metadata()?.permissions(), path })
    }

    fn settle(self, path: &Path, folder: &Path) -> std::io::Result<()> {
        std::fs::set_permissions(&self.path, self.permissions.clone())?;
        File::open(&self.path)?.sync_all()?;
        std::fs::rename(&self.path, path)?;
        File::open(folder)?.sync_all()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // Gone already where it was renamed.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The tensors of a whole file in memory. Nothing is made before the sizes agree with the bytes.
pub(super) fn tensors(bytes: &[u8]) -> Result<Named, String> {
    let file = SafeTensors::deserialize(bytes).map_err(|error| format!("safetensors: {error}"))?;
    let weights = file.iter().filter(|(name, _)| !is_no_weight(name));
    weights.map(|(name, view)| Ok((name.to_owned(), to_tensor(name, &view)?))).collect()
}

/// Buffers and sizes that some files of CLIP carry along.
pub(super) fn is_no_weight(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    matches!(
        last,
        "position_ids" | "attn_mask" | "input_resolution" | "context_length" | "vocab_size"
    )
}

fn to_tensor(name: &str, view: &TensorView) -> Result<Tensor, String> {
    let kind = match view.dtype() {
        Dtype::F16 => Kind::Half,
        Dtype::BF16 => Kind::BFloat16,
        Dtype::F32 => Kind::Float,
        Dtype::F64 => Kind::Double,
        other => return Err(format!("{name} is of {other:?}, not floating point")),
    };
    make(name, view.shape(), kind, view.data())
}

/// A float32 tensor of little-endian bytes.
pub(super) fn make(
    name: &str,
    shape: &[usize],
    kind: Kind,
    bytes: &[u8],
) -> Result<Tensor, String> {
    let count = shape.iter().try_fold(1usize, |count, &size| count.checked_mul(size));
    let needed = count.and_then(|count| count.checked_mul(kind.elt_size_in_bytes()));
    if needed != Some(bytes.len()) {
        return Err(format!("{name} of shape {shape:?} ({kind:?}) has {} bytes", bytes.len()));
    }
    let sizes: Result<Vec<i64>, _> = shape.iter().map(|&size| i64::try_from(size)).collect();
    let sizes = sizes.map_err(|_| format!("{name} has the impossible shape {shape:?}"))?;
    let tensor = Tensor::f_from_data_size(bytes, &sizes, kind);
    let tensor = tensor.and_then(|tensor| tensor.f_to_kind(Kind::Float));
    tensor.map_err(|error| format!("{name} of shape {shape:?}: {error}"))
}

/// A tensor that is copied to the CPU when its turn comes.
struct OnDevice<'a> {
    tensor: &'a Tensor,
    shape: Vec<usize>,
}

impl<'a> OnDevice<'a> {
    fn new(tensor: &'a Tensor) -> Self {
        Self { tensor, shape: tensor.size().iter().map(|&size| size as usize).collect() }
    }
}

impl View for OnDevice<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let here =
            self.tensor.detach().to_device(tch::Device::Cpu).to_kind(Kind::Float).contiguous();
        let mut bytes = vec![0; self.data_len()];
        here.copy_data_u8(&mut bytes, here.numel());
        Cow::Owned(bytes)
    }

    fn data_len(&self) -> usize {
        self.tensor.numel() * Kind::Float.elt_size_in_bytes()
    }
}
