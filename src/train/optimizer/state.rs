//! The optimizer's state as safetensors, bit for bit
//! (<https://github.com/huggingface/safetensors#format>).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensorError, SafeTensors, View};
use tch::{Device, Kind, TchError, Tensor, no_grad};
use thiserror::Error;

use super::{AdamW, Member};

/// Name of the count of updates.
const UPDATES: &str = "updates";

/// A state was not written or does not fit.
#[derive(Debug, Error)]
pub enum StateError {
    /// The file could not be read.
    #[error("cannot read {}: {problem}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What was in the way.
        problem: String,
    },
    /// The file could not be written.
    #[error("cannot write {}: {problem}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What was in the way.
        problem: SafeTensorError,
    },
    /// A tensor is not there.
    #[error("the state has no {0}")]
    Missing(String),
    /// A tensor belongs to nothing here.
    #[error("the state has {0}, which no weight asks for")]
    Unexpected(String),
    /// A tensor is of another kind or shape.
    #[error("{name} is {found}, where {wanted} is right")]
    Form {
        /// The tensor.
        name: String,
        /// Its kind and shape.
        found: String,
        /// Those of the weight.
        wanted: String,
    },
    /// libtorch refused.
    #[error("libtorch: {0}")]
    Torch(#[from] TchError),
}

impl AdamW {
    /// Everything that a restart needs beside the weights, by name: shares memory with the
    /// optimizer.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        let members = self.groups.iter().flat_map(|group| &group.members);
        let means = members.flat_map(|member| {
            let [first, second] = member.names();
            [(first, member.first.shallow_clone()), (second, member.second.shallow_clone())]
        });
        let updates = (UPDATES.to_owned(), Tensor::from(self.updates as i64));
        means.chain([updates]).collect()
    }

    /// Takes over a state of the same weights, from whatever device. Changes nothing where it does
    /// not fit.
    pub fn restore(&mut self, mut state: BTreeMap<String, Tensor>) -> Result<(), StateError> {
        let mut copies = Vec::new();
        for (name, own) in self.state() {
            let saved = state.remove(&name).ok_or_else(|| StateError::Missing(name.clone()))?;
            let (found, wanted) = (form(&saved), form(&own));
            if found != wanted {
                return Err(StateError::Form { name, found, wanted });
            }
            copies.push((own, saved));
        }
        if let Some((name, _)) = state.pop_first() {
            return Err(StateError::Unexpected(name));
        }
        let (_, updates) = copies.last().expect("the count of updates is always there");
        self.updates = updates.int64_value(&[]) as u64;
        copies.iter_mut().try_for_each(|(own, saved)| no_grad(|| own.f_copy_(saved)))?;
        Ok(())
    }
}

impl Member {
    fn names(&self) -> [String; 2] {
        ["exp_avg", "exp_avg_sq"].map(|mean| format!("{mean}.{}", self.name))
    }
}

fn form(tensor: &Tensor) -> String {
    format!("{:?} {:?}", tensor.kind(), tensor.size())
}

/// Writes tensors, of whatever device, into one file: first beside it, then renamed, so that there
/// is a whole file or none.
pub fn write_tensors(path: &Path, tensors: &[(String, Tensor)]) -> Result<(), StateError> {
    let views = tensors.iter().map(|(name, tensor)| Ok((name, Bytes::new(name, tensor)?)));
    let views = views.collect::<Result<Vec<_>, StateError>>()?;
    let failed = |problem| StateError::Write { path: path.to_owned(), problem };
    // The library makes files that nobody else may read, so the mode is that of a new one.
    let made = std::fs::File::create(path).and_then(|file| file.metadata());
    let mode = made.map_err(|error| failed(error.into()))?.permissions();
    safetensors::serialize_to_file(views, None, path).map_err(failed)?;
    std::fs::set_permissions(path, mode).map_err(|error| failed(error.into()))
}

/// Reads all tensors of a file onto the CPU.
pub fn read_tensors(path: &Path) -> Result<BTreeMap<String, Tensor>, StateError> {
    let failed = |problem| StateError::Read { path: path.to_owned(), problem };
    let bytes = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|error| failed(error.to_string()))?;
    let tensor = |(name, view): (String, safetensors::tensor::TensorView)| {
        let kind = kind_of(view.dtype())
            .ok_or_else(|| failed(format!("{name} is of type {:?}", view.dtype())))?;
        let size: Vec<i64> = view.shape().iter().map(|&side| side as i64).collect();
        Ok((name, Tensor::f_from_data_size(view.data(), &size, kind)?))
    };
    file.tensors().into_iter().map(tensor).collect()
}

const KINDS: [(Kind, Dtype); 6] = [
    (Kind::Float, Dtype::F32),
    (Kind::Double, Dtype::F64),
    (Kind::BFloat16, Dtype::BF16),
    (Kind::Half, Dtype::F16),
    (Kind::Int64, Dtype::I64),
    (Kind::Uint8, Dtype::U8),
];

fn kind_of(dtype: Dtype) -> Option<Kind> {
    KINDS.iter().find(|(_, other)| *other == dtype).map(|(kind, _)| *kind)
}

/// A tensor as safetensors wants it; brought to the CPU when its turn comes.
struct Bytes<'a> {
    tensor: &'a Tensor,
    dtype: Dtype,
    shape: Vec<usize>,
}

impl<'a> Bytes<'a> {
    fn new(name: &str, tensor: &'a Tensor) -> Result<Self, StateError> {
        let found = KINDS.iter().find(|(kind, _)| *kind == tensor.kind());
        let (_, dtype) = found.ok_or_else(|| StateError::Form {
            name: name.to_owned(),
            found: form(tensor),
            wanted: "a kind that safetensors has".to_owned(),
        })?;
        let shape = tensor.size().iter().map(|&side| side as usize).collect();
        Ok(Self { tensor, dtype: *dtype, shape })
    }
}

impl View for Bytes<'_> {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let tensor = self.tensor.detach().to_device(Device::Cpu).contiguous();
        let mut bytes = vec![0; self.data_len()];
        tensor.copy_data_u8(&mut bytes, tensor.numel());
        Cow::Owned(bytes)
    }

    fn data_len(&self) -> usize {
        self.tensor.numel() * self.tensor.kind().elt_size_in_bytes()
    }
}
