//! The envelope of the released checkpoints: a pickle of one `bytes` object. Executes nothing: of
//! pickle's opcodes it knows those that such a file has, <https://peps.python.org/pep-3154/>.

/// The first byte of any pickle since protocol 2.
pub(super) const PROTOCOL: u8 = 0x80;

const FRAME: u8 = 0x95;
const MEMOIZE: u8 = 0x94;
const BINPUT: u8 = b'q';
const LONG_BINPUT: u8 = b'r';
const SHORT_BINBYTES: u8 = b'C';
const BINBYTES: u8 = b'B';
const BINBYTES8: u8 = 0x8e;
const STOP: u8 = b'.';

/// Says why a pickle is not one of a single `bytes` object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PickleError {
    #[error("pickle: byte {at}: ends within what should be there")]
    Short { at: usize },
    #[error("pickle: byte {at}: protocol {version}, not 2 to 5")]
    Version { at: usize, version: u8 },
    #[error(
        "pickle: byte {at}: opcode {opcode:#04x}{}: more than one bytes object, and nothing in a \
         pickle is executed here", name(*opcode)
    )]
    Opcode { at: usize, opcode: u8 },
    #[error("pickle: byte {at}: {} bytes objects, not one", if *many { "several" } else { "no" })]
    Count { at: usize, many: bool },
    #[error("pickle: byte {at}: more bytes after its end")]
    Trailing { at: usize },
}

/// The one object's bytes, where they lie in the file.
pub(super) fn only_bytes(file: &[u8]) -> Result<&[u8], PickleError> {
    let mut cursor = Cursor { file, at: 0 };
    let mut object = None;
    loop {
        let at = cursor.at;
        match cursor.number::<1>()? as u8 {
            PROTOCOL => match cursor.number::<1>()? as u8 {
                2..=5 => {}
                version => return Err(PickleError::Version { at, version }),
            },
            // How the writer cut its output, and where readers may look the object up again.
            FRAME => drop(cursor.number::<8>()?),
            MEMOIZE => {}
            BINPUT => drop(cursor.number::<1>()?),
            LONG_BINPUT => drop(cursor.number::<4>()?),
            opcode @ (SHORT_BINBYTES | BINBYTES | BINBYTES8) => {
                let length = match opcode {
                    SHORT_BINBYTES => cursor.number::<1>()?,
                    BINBYTES => cursor.number::<4>()?,
                    _ => cursor.number::<8>()?,
                };
                if object.replace(cursor.take(length)?).is_some() {
                    return Err(PickleError::Count { at, many: true });
                }
            }
            STOP if cursor.at < file.len() => {
                return Err(PickleError::Trailing { at: cursor.at });
            }
            STOP => return object.ok_or(PickleError::Count { at, many: false }),
            opcode => return Err(PickleError::Opcode { at, opcode }),
        }
    }
}

struct Cursor<'a> {
    file: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// Whatever length a file states, nothing is taken that it has not.
    fn take(&mut self, length: u64) -> Result<&'a [u8], PickleError> {
        let short = PickleError::Short { at: self.at };
        let end = usize::try_from(length).ok().and_then(|length| self.at.checked_add(length));
        let Some(taken) = end.and_then(|end| self.file.get(self.at..end)) else {
            return Err(short);
        };
        self.at += taken.len();
        Ok(taken)
    }

    /// A little-endian number of so many bytes.
    fn number<const N: usize>(&mut self) -> Result<u64, PickleError> {
        let bytes = self.take(N as u64)?;
        Ok(bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }
}

/// What a person may want to know of an opcode that is refused.
fn name(opcode: u8) -> &'static str {
    match opcode {
        b'c' | 0x93 => " (imports code)",
        b'R' | 0x81 | b'b' | b'o' | b'i' => " (calls code)",
        b'}' | b'(' | b']' | b')' => " (begins a collection)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(file: &[u8]) -> String {
        only_bytes(file).unwrap_err().to_string()
    }

    #[test]
    fn every_way_to_pickle_bytes_is_read() {
        // pickle.dumps(b"abc", protocol) for 3, 4 and 5, and a long one by hand.
        assert_eq!(only_bytes(b"\x80\x03C\x03abcq\x00."), Ok(&b"abc"[..]));
        let framed = b"\x80\x04\x95\x07\0\0\0\0\0\0\0C\x03abc\x94.";
        assert_eq!(only_bytes(framed), Ok(&b"abc"[..]));
        assert_eq!(only_bytes(b"\x80\x05B\x03\0\0\0abc\x94."), Ok(&b"abc"[..]));
        assert_eq!(only_bytes(b"\x80\x05\x8e\x03\0\0\0\0\0\0\0abc\x94."), Ok(&b"abc"[..]));
    }

    #[test]
    fn code_is_named_and_not_run() {
        let error = message(b"\x80\x04cos\nsystem\nC\x02lsR.");
        assert!(error.starts_with("pickle: byte 2: opcode 0x63 (imports code)"), "{error}");
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        assert_eq!(
            message(b"\x80\x04B\xff\xff\xff\xffabc"),
            "pickle: byte 7: ends within what should be there"
        );
        assert_eq!(message(b"\x80\x09."), "pickle: byte 0: protocol 9, not 2 to 5");
        assert_eq!(message(b"\x80\x04."), "pickle: byte 2: no bytes objects, not one");
        assert_eq!(message(b"\x80\x04C\0C\0."), "pickle: byte 4: several bytes objects, not one");
        assert_eq!(message(b"\x80\x04C\0.."), "pickle: byte 5: more bytes after its end");
        assert_eq!(message(b""), "pickle: byte 0: ends within what should be there");
        let huge = b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\xffabc";
        assert_eq!(message(huge), "pickle: byte 11: ends within what should be there");
    }

    proptest! {
        #[test]
        fn any_bytes_come_back(payload: Vec<u8>, memoized: bool) {
            let length = (payload.len() as u32).to_le_bytes();
            let end: &[u8] = if memoized { b"\x94." } else { b"." };
            let file = [b"\x80\x04B", &length[..], &payload, end].concat();
            prop_assert_eq!(only_bytes(&file), Ok(&payload[..]));
        }

        #[test]
        fn no_file_makes_it_panic(
            file in prop::collection::vec(prop_oneof![
                any::<u8>(),
                prop::sample::select(&b"\x80\x04\x95\x94qrCB\x8e.\0\x01\x05"[..]),
            ], 0..64),
        ) {
            if let Ok(object) = only_bytes(&file) {
                prop_assert!(object.len() < file.len());
            }
        }
    }
}
