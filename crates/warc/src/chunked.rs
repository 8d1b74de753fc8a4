//! The chunked transfer coding (RFC 9112, 7.1), undone where it is still there.

/// What a body that is said to be chunked was.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Dechunked {
    /// Chunks, put together.
    Whole(Vec<u8>),
    /// No chunks: whoever wrote the record had undone them and left the field.
    Already(Vec<u8>),
    /// Chunks at first, and then none, or an end too early.
    Broken,
}

/// Undoes the coding in place. A body is chunked if its first chunk is one.
pub(super) fn dechunk(mut raw: Vec<u8>) -> Dechunked {
    let (mut at, mut out, mut chunks) = (0, 0, 0u64);
    loop {
        match next_chunk(&raw[at..]) {
            Some((skip, size)) => {
                let from = at + skip;
                raw.copy_within(from..from + size, out);
                out += size;
                at = from + size + line_end(&raw[from + size..]);
                if size == 0 {
                    raw.truncate(out);
                    return Dechunked::Whole(raw);
                }
                chunks += 1;
            }
            None if chunks == 0 => return Dechunked::Already(raw),
            None => return Dechunked::Broken,
        }
    }
}

/// The length of a chunk's first line and of its data, if both are there and end as they must.
fn next_chunk(rest: &[u8]) -> Option<(usize, usize)> {
    let line_end_at = memchr::memchr(b'\n', rest)?;
    let line = rest[..line_end_at].trim_ascii();
    let digits = line.split(|byte| *byte == b';').next()?.trim_ascii();
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let size = usize::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    let data = rest.get(line_end_at + 1..)?;
    let behind = data.get(size..)?;
    // The last chunk may be the end of the block: some writers drop the empty line behind it.
    (size == 0 || line_end(behind) > 0).then_some((line_end_at + 1, size))
}

fn line_end(rest: &[u8]) -> usize {
    match rest {
        [b'\r', b'\n', ..] => 2,
        [b'\n', ..] => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn dechunked(raw: &[u8]) -> Dechunked {
        dechunk(raw.to_vec())
    }

    #[test]
    fn chunks_with_extensions_trailers_and_bare_line_feeds() {
        let whole = Dechunked::Whole(b"hello world".to_vec());
        assert_eq!(dechunked(b"5\r\nhello\r\n6;x=1\r\n world\r\n0\r\n\r\n"), whole);
        assert_eq!(dechunked(b"5\nhello\n006 \n world\n0\n"), whole);
        assert_eq!(dechunked(b"b\r\nhello world\r\n0\r\nExpires: never\r\n\r\n"), whole);
        assert_eq!(dechunked(b"0\r\n\r\n"), Dechunked::Whole(Vec::new()));
    }

    #[test]
    fn a_body_that_is_not_chunked_stays() {
        for body in ["<html>", "", "abc", "abc\r\nsaid he", "5\r\nhello!\r\n", "fffffffff\r\nx"] {
            assert_eq!(dechunked(body.as_bytes()), Dechunked::Already(body.into()), "{body:?}");
        }
    }

    #[test]
    fn an_end_too_early_is_one() {
        for body in ["5\r\nhello\r\n", "5\r\nhello\r\n9\r\nworld", "5\r\nhello\r\nnonsense\r\n"] {
            assert_eq!(dechunked(body.as_bytes()), Dechunked::Broken, "{body:?}");
        }
    }

    proptest! {
        #[test]
        fn what_was_cut_into_chunks_comes_back(
            chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..40), 0..6),
        ) {
            let mut raw = Vec::new();
            for chunk in &chunks {
                raw.extend(format!("{:x}\r\n", chunk.len()).bytes());
                raw.extend(chunk);
                raw.extend(b"\r\n");
            }
            raw.extend(b"0\r\n\r\n");
            prop_assert_eq!(dechunk(raw), Dechunked::Whole(chunks.concat()));
        }

        #[test]
        fn no_bytes_make_it_panic(raw in proptest::collection::vec(any::<u8>(), 0..100)) {
            dechunk(raw);
        }
    }
}
