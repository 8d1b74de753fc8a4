//! What `flax.serialization.to_bytes` writes: nested maps whose leaves are arrays in msgpack's
//! extension type 1. <https://github.com/google/flax/blob/main/flax/serialization.py>
//!
//! For files that nobody vouches for: no recursion, depth and count are capped, nothing is
//! allocated for a length that a file merely states.

use rmp::Marker;
use rmp::decode;
use tch::Kind;

use super::safetensors::make;
use super::source::Named;

/// Maps within maps. The released checkpoints have seven.
const DEEPEST: usize = 32;
/// Arrays of a file. The released checkpoints have 666 at most.
const MOST_ARRAYS: usize = 1 << 16;
/// Bytes of an array's whole path. Below a hundred in the released checkpoints.
const LONGEST_PATH: usize = 1024;
/// Dimensions of an array.
const MOST_DIMENSIONS: usize = 8;
const ARRAY: i8 = 1;
/// A number of its own type, written like an array of none.
const SCALAR: i8 = 3;

/// Says what was found in the place of what should be there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("flax msgpack: byte {at}: {problem}")]
pub(super) struct MsgpackError {
    at: usize,
    problem: String,
}

/// All arrays by their paths, `params/clip/…`, as float32.
pub(super) fn tensors(bytes: &[u8]) -> Result<Named, MsgpackError> {
    let mut tensors = Named::new();
    walk(bytes, |reader, path, payload| {
        let array =
            Array::parse(payload).map_err(|problem| reader.error(format!("{path}: {problem}")))?;
        let tensor = make(path, &array.shape, array.kind, array.bytes);
        let tensor = tensor.map_err(|problem| reader.error(problem))?;
        match tensors.insert(path.to_owned(), tensor) {
            Some(_) => Err(reader.error(format!("{path} comes twice"))),
            None => Ok(()),
        }
    })?;
    Ok(tensors)
}

/// Goes through the maps and hands over each array's path and payload.
fn walk<'a>(
    bytes: &'a [u8],
    mut array: impl FnMut(&Reader<'a>, &str, &'a [u8]) -> Result<(), MsgpackError>,
) -> Result<(), MsgpackError> {
    let mut reader = Reader { all: bytes, rest: bytes };
    let mut open = vec![Level { left: reader.map()?, path_length: 0 }];
    let (mut path, mut count) = (String::new(), 0);
    while let Some(level) = open.last_mut() {
        path.truncate(level.path_length);
        if level.left == 0 {
            open.pop();
            continue;
        }
        level.left -= 1;
        let key = reader.string()?;
        if !path.is_empty() {
            path.push('/');
        }
        path.push_str(key);
        if path.len() > LONGEST_PATH {
            return Err(reader.error(format!("a path longer than {LONGEST_PATH} bytes")));
        }
        if reader.at_map() {
            if open.len() == DEEPEST {
                return Err(reader.error(format!("maps more than {DEEPEST} deep")));
            }
            open.push(Level { left: reader.map()?, path_length: path.len() });
        } else {
            count += 1;
            if count > MOST_ARRAYS {
                return Err(reader.error(format!("more than {MOST_ARRAYS} arrays")));
            }
            let payload = reader.extension(&path)?;
            array(&reader, &path, payload)?;
        }
    }
    match reader.rest.len() {
        0 => Ok(()),
        more => Err(reader.error(format!("{more} bytes after the end"))),
    }
}

/// A map that is not read to its end.
struct Level {
    left: u32,
    path_length: usize,
}

/// An array's own account of itself, and its numbers.
struct Array<'a> {
    shape: Vec<usize>,
    kind: Kind,
    bytes: &'a [u8],
}

impl<'a> Array<'a> {
    /// `[shape, type, little-endian bytes]`.
    fn parse(payload: &'a [u8]) -> Result<Self, String> {
        let mut reader = Reader { all: payload, rest: payload };
        let parts = reader.list().map_err(|error| error.problem)?;
        if parts != 3 {
            return Err(format!("an array of {parts} parts, not shape, type and bytes"));
        }
        let shape = Self::shape(&mut reader).map_err(|error| error.problem)?;
        let kind = match reader.text().map_err(|error| error.problem)? {
            b"float32" => Kind::Float,
            b"float16" => Kind::Half,
            b"bfloat16" => Kind::BFloat16,
            b"float64" => Kind::Double,
            other => return Err(format!("of type {:?}", String::from_utf8_lossy(other))),
        };
        let bytes = reader.text().map_err(|error| error.problem)?;
        Ok(Self { shape, kind, bytes })
    }

    fn shape(reader: &mut Reader) -> Result<Vec<usize>, MsgpackError> {
        let dimensions = reader.list()? as usize;
        if dimensions > MOST_DIMENSIONS {
            return Err(reader.error(format!("{dimensions} dimensions")));
        }
        (0..dimensions).map(|_| reader.size()).collect()
    }
}

/// What is left of the bytes, read by msgpack's rules without copying.
struct Reader<'a> {
    all: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn error(&self, problem: String) -> MsgpackError {
        MsgpackError { at: self.all.len() - self.rest.len(), problem }
    }

    /// For what was read at `before`: says what is there instead.
    fn instead(&self, before: &[u8], expected: &str) -> MsgpackError {
        let at = self.all.len() - before.len();
        let found = before
            .first()
            .map_or_else(|| "the end".to_owned(), |&byte| format!("{:?}", Marker::from_u8(byte)));
        MsgpackError { at, problem: format!("{found}, not {expected}") }
    }

    fn read<T, E>(
        &mut self,
        expected: &str,
        read: impl FnOnce(&mut &'a [u8]) -> Result<T, E>,
    ) -> Result<T, MsgpackError> {
        let before = self.rest;
        read(&mut self.rest).map_err(|_| self.instead(before, expected))
    }

    fn take(&mut self, length: u32) -> Result<&'a [u8], MsgpackError> {
        let taken =
            usize::try_from(length).ok().and_then(|length| self.rest.split_at_checked(length));
        let Some((taken, rest)) = taken else {
            let left = self.rest.len();
            return Err(self.error(format!("{length} bytes stated, {left} there")));
        };
        self.rest = rest;
        Ok(taken)
    }

    fn at_map(&self) -> bool {
        let marker = self.rest.first().map(|&byte| Marker::from_u8(byte));
        matches!(marker, Some(Marker::FixMap(_) | Marker::Map16 | Marker::Map32))
    }

    fn map(&mut self) -> Result<u32, MsgpackError> {
        self.read("a map", decode::read_map_len)
    }

    fn list(&mut self) -> Result<u32, MsgpackError> {
        self.read("a list", decode::read_array_len)
    }

    fn size(&mut self) -> Result<usize, MsgpackError> {
        self.read("a size", decode::read_int)
    }

    fn string(&mut self) -> Result<&'a str, MsgpackError> {
        let length = self.read("a name", decode::read_str_len)?;
        let bytes = self.take(length)?;
        std::str::from_utf8(bytes).map_err(|_| self.error("a name that is not UTF-8".to_owned()))
    }

    /// A string or bytes.
    fn text(&mut self) -> Result<&'a [u8], MsgpackError> {
        let marker = self.rest.first().map(|&byte| Marker::from_u8(byte));
        let length = match marker {
            Some(Marker::Bin8 | Marker::Bin16 | Marker::Bin32) => {
                self.read("bytes", decode::read_bin_len)?
            }
            _ => self.read("a string or bytes", decode::read_str_len)?,
        };
        self.take(length)
    }

    /// The payload of an array.
    fn extension(&mut self, path: &str) -> Result<&'a [u8], MsgpackError> {
        let before = self.rest;
        let meta = decode::read_ext_meta(&mut self.rest)
            .map_err(|_| self.instead(before, &format!("an array at {path}")))?;
        if meta.typeid != ARRAY && meta.typeid != SCALAR {
            return Err(self.error(format!("{path} is of extension type {}", meta.typeid)));
        }
        self.take(meta.size)
    }
}
