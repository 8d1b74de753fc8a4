//! Content codings: gzip, deflate, br and zstd, stacked, under a cap. For HTTP and WARC bodies.
//!
//! Layers are chained readers, so what lies between two layers is never held; each layer is capped
//! by itself, so a bomb inside a bomb ends as early as a plain one. Nothing here trusts a declared
//! length.
#![forbid(unsafe_code)]

use std::io::{self, BufRead, BufReader, Cursor, Read};

use flate2::bufread::{DeflateDecoder, GzDecoder, ZlibDecoder};

/// More layers than this are an attack, not a page.
const MAX_LAYERS: usize = 4;
/// RFC 9659: a zstd window in HTTP is at most 8 MB.
const ZSTD_WINDOW_LOG: u32 = 23;
/// A block-compressed body has one gzip member for 64 KB; a body of empty members costs only us.
const MAX_GZIP_MEMBERS: usize = 4096;
const CHUNK: usize = 16 << 10;

/// Error of decoding a body.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Longer than the cap, in the end or between two layers.
    #[error("the decoded body is longer than {0} bytes")]
    TooLarge(usize),
    /// Ends early, or is not what its coding says.
    #[error("broken {coding} body: {source}")]
    Broken {
        /// The Content-Encoding.
        coding: String,
        /// Error of the decoder.
        source: io::Error,
    },
    /// A coding that is not decoded, or too many of them.
    #[error("content coding {0:?} is not supported")]
    Unsupported(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// Undoes `content_encoding` (as in the header: a list in the order of encoding). At most `cap`
/// bytes come out, and decoding stops right behind them.
pub fn decode(raw: Vec<u8>, content_encoding: &str, cap: usize) -> Result<Vec<u8>, DecodeError> {
    let codings = parse(content_encoding)?;
    if raw.len() > cap {
        return Err(DecodeError::TooLarge(cap));
    }
    if codings.is_empty() || raw.is_empty() {
        return Ok(raw);
    }
    let mut out = Vec::new();
    match decode_into(raw, &codings, cap, &mut out) {
        Ok(()) => Ok(out),
        Err(error) if is_over_cap(&error) => Err(DecodeError::TooLarge(cap)),
        Err(source) => Err(DecodeError::Broken { coding: content_encoding.to_owned(), source }),
    }
}

/// Returns true if [`decode`] would change nothing.
pub fn is_identity(content_encoding: &str) -> bool {
    matches!(parse(content_encoding), Ok(codings) if codings.is_empty())
}

fn parse(content_encoding: &str) -> Result<Vec<Coding>, DecodeError> {
    let mut codings = Vec::new();
    for name in content_encoding.split(',') {
        let coding = match name.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => Coding::Gzip,
            "deflate" => Coding::Deflate,
            "br" => Coding::Brotli,
            "zstd" => Coding::Zstd,
            // Not codings, but seen in the wild on bodies that are not encoded.
            "" | "identity" | "none" | "utf-8" | "binary" | "aws-chunked" => continue,
            _ => return Err(DecodeError::Unsupported(name.trim().to_owned())),
        };
        codings.push(coding);
    }
    if codings.len() > MAX_LAYERS {
        return Err(DecodeError::Unsupported(content_encoding.to_owned()));
    }
    Ok(codings)
}

fn decode_into(raw: Vec<u8>, codings: &[Coding], cap: usize, out: &mut Vec<u8>) -> io::Result<()> {
    let mut reader: Box<dyn BufRead> = Box::new(Cursor::new(raw));
    for coding in codings.iter().rev() {
        let layer = Capped { inner: open(*coding, reader)?, left: cap };
        reader = Box::new(BufReader::with_capacity(CHUNK, layer));
    }
    loop {
        let chunk = reader.fill_buf()?;
        if chunk.is_empty() {
            return Ok(());
        }
        let read = chunk.len();
        if out.len() + read > out.capacity() {
            // Grows by doubling, though never past the cap.
            out.reserve_exact((out.len().max(read)).min(cap - out.len()));
        }
        out.extend_from_slice(chunk);
        reader.consume(read);
    }
}

fn open(coding: Coding, mut reader: Box<dyn BufRead>) -> io::Result<Box<dyn Read>> {
    Ok(match coding {
        Coding::Gzip => Box::new(Gzip { member: Some(GzDecoder::new(reader)), members: 1 }),
        Coding::Deflate => {
            let mut head = Vec::new();
            reader.by_ref().take(2).read_to_end(&mut head)?;
            let zlib = is_zlib(&head);
            let whole = Cursor::new(head).chain(reader);
            if zlib {
                Box::new(ZlibDecoder::new(whole))
            } else {
                Box::new(DeflateDecoder::new(whole))
            }
        }
        Coding::Brotli => Box::new(brotli::Decompressor::new(reader, CHUNK)),
        Coding::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(reader)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG)?;
            Box::new(decoder)
        }
    })
}

/// `deflate` means zlib by the RFC and raw deflate by some servers: the header's checksum tells.
fn is_zlib(head: &[u8]) -> bool {
    let [cmf, flags] = head else { return false };
    cmf & 0x0f == 8 && cmf >> 4 <= 7 && u16::from_be_bytes([*cmf, *flags]) % 31 == 0
}

/// Gzip members one after another; what follows the last and is no member is ignored, as browsers do.
struct Gzip {
    /// `None` behind the last.
    member: Option<GzDecoder<Box<dyn BufRead>>>,
    members: usize,
}

impl Read for Gzip {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let read = member.read(buf)?;
            if read > 0 || buf.is_empty() {
                return Ok(read);
            }
            self.open_next()?;
        }
        Ok(0)
    }
}

impl Gzip {
    fn open_next(&mut self) -> io::Result<()> {
        let Some(member) = self.member.take() else { return Ok(()) };
        let mut rest = member.into_inner();
        if rest.fill_buf()?.first() != Some(&0x1f) {
            return Ok(());
        }
        self.members += 1;
        if self.members > MAX_GZIP_MEMBERS {
            return Err(io::Error::other("too many gzip members"));
        }
        self.member = Some(GzDecoder::new(rest));
        Ok(())
    }
}

/// Marks the error of [`Capped`].
#[derive(Debug, thiserror::Error)]
#[error("over the cap")]
struct OverCap;

fn is_over_cap(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<OverCap>())
}

/// Lets `left` bytes through and fails at the next.
struct Capped<R> {
    inner: R,
    left: usize,
}

impl<R: Read> Read for Capped<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        // One byte more than is left, to tell "just fits" from "too long".
        let want = buf.len().min(self.left.saturating_add(1));
        let read = self.inner.read(&mut buf[..want])?;
        match self.left.checked_sub(read) {
            Some(left) => self.left = left,
            None => return Err(io::Error::other(OverCap)),
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use magiclens_testing::{conformance, shared};

    use super::*;

    const BOMB: usize = 11_511_612;

    fn corpus(name: &str) -> Option<Vec<u8>> {
        let path = shared(&format!("corpora/http/{name}"))?;
        Some(std::fs::read(path).unwrap())
    }

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn bombs_stop_at_the_cap() {
        let bombs = [
            ("bomb-br.bin", "br"),
            ("bomb-deflate.bin", "deflate"),
            ("bomb-gzip.bin", "gzip"),
            ("bomb-zstd.bin", "zstd"),
        ];
        for (name, coding) in bombs {
            let Some(raw) = corpus(name) else { return };
            for cap in [50_000, 1 << 20, BOMB - 1] {
                let mut out = Vec::new();
                let codings = parse(coding).unwrap();
                let error = decode_into(raw.clone(), &codings, cap, &mut out).unwrap_err();
                assert!(is_over_cap(&error), "{name}: {error}");
                assert!(out.len() <= cap && out.capacity() <= cap + cap / 10, "{name} at {cap}");
                let error = decode(raw.clone(), coding, cap).unwrap_err();
                assert!(matches!(error, DecodeError::TooLarge(_)), "{name}: {error}");
            }
            assert_eq!(decode(raw, coding, BOMB).unwrap().len(), BOMB, "{name}: just fits");
        }
        conformance("http-bombs", bombs.len());
    }

    #[test]
    fn a_layer_between_is_capped_like_the_last() {
        // 8 MB of empty stored blocks: nothing comes out of the last layer, however long it runs.
        let blocks = [0, 0, 0, 0xff, 0xff].repeat((8 << 20) / 5);
        let error = decode(gzip(&blocks), "deflate, gzip", 1 << 20).unwrap_err();
        assert!(matches!(error, DecodeError::TooLarge(_)), "{error}");
    }

    #[test]
    fn every_coding_gives_the_same_page() {
        let Some(br) = corpus("html-br.bin") else { return };
        // The pages name their coding in one sentence and are the same from there on.
        let table = |body: Vec<u8>| {
            let text = String::from_utf8(body).unwrap();
            text.split_once("</em>").map(|(_, table)| table.to_owned()).unwrap()
        };
        let page = table(decode(br, "br", 1 << 20).unwrap());
        assert!(page.ends_with("</html>\n"));
        let others = [
            ("html-gzip.bin", "x-gzip"),
            ("html-rawdeflate.bin", "deflate"),
            ("html-zlibdeflate.bin", "Deflate"),
            ("html-gzip-deflate.bin", "gzip, deflate"),
            ("html-gzip-deflate-gzip.bin", "gzip,deflate , gzip"),
            ("html-zstd-static-content-size.bin", "zstd"),
            ("html-zstd-static-no-content-size.bin", "zstd"),
            ("html-zstd-streaming-no-content-size.bin", "identity, ZSTD"),
        ];
        for (name, coding) in others {
            let Some(raw) = corpus(name) else { return };
            let decoded = decode(raw, coding, 1 << 20).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert!(table(decoded) == page, "{name}");
        }
        conformance("http-codings", 1 + others.len());
    }

    #[test]
    fn truncated_bodies_are_broken() {
        let truncated =
            ["truncated-crc-error-short.gz", "truncated-crc-error.gz", "unexpected-eof.gz"];
        for name in truncated {
            let Some(raw) = corpus(name) else { return };
            let error = decode(raw, "gzip", 64 << 20).unwrap_err();
            assert!(matches!(error, DecodeError::Broken { .. }), "{name}: {error}");
        }
        let whole = [
            ("html-br.bin", "br"),
            ("html-zlibdeflate.bin", "deflate"),
            ("html-rawdeflate.bin", "deflate"),
            ("html-zstd-static-content-size.bin", "zstd"),
        ];
        for (name, coding) in whole {
            let Some(mut raw) = corpus(name) else { return };
            raw.truncate(raw.len() / 2);
            let error = decode(raw, coding, 64 << 20).unwrap_err();
            assert!(matches!(error, DecodeError::Broken { .. }), "{name}: {error}");
        }
        conformance("http-truncated", truncated.len() + whole.len());
    }

    #[test]
    fn gzip_members_are_joined_and_rubbish_behind_them_is_ignored() {
        let mut raw = [gzip(b"one "), gzip(b"two")].concat();
        assert_eq!(decode(raw.clone(), "gzip", 100).unwrap(), b"one two");
        raw.extend_from_slice(&[0; 512]);
        assert_eq!(decode(raw, "gzip", 1000).unwrap(), b"one two");
        let endless = gzip(b"").repeat(MAX_GZIP_MEMBERS + 1);
        assert!(matches!(decode(endless, "gzip", 1 << 20), Err(DecodeError::Broken { .. })));
    }

    #[test]
    fn a_zstd_window_past_8_mb_is_refused() {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(27).unwrap();
        encoder.write_all(b"small").unwrap();
        let raw = encoder.finish().unwrap();
        let error = decode(raw, "zstd", 1 << 20).unwrap_err();
        assert!(matches!(error, DecodeError::Broken { .. }), "{error}");
    }

    #[test]
    fn identity_is_capped_and_the_unknown_is_refused() {
        assert_eq!(decode(vec![1; 9], "", 9).unwrap(), [1; 9]);
        assert!(matches!(decode(vec![1; 9], "identity", 8), Err(DecodeError::TooLarge(8))));
        assert_eq!(decode(Vec::new(), "gzip", 8).unwrap(), b"");
        assert!(matches!(decode(vec![1], "compress", 8), Err(DecodeError::Unsupported(_))));
        let five = "gzip,gzip,gzip,gzip,gzip";
        assert!(matches!(decode(vec![1], five, 8), Err(DecodeError::Unsupported(_))));
        assert!(matches!(decode(vec![1; 4], "gzip", 8), Err(DecodeError::Broken { .. })));
    }

    proptest::proptest! {
        #[test]
        fn rubbish_never_panics(raw: Vec<u8>, coding in "(gzip|deflate|br|zstd)(, (gzip|deflate))?") {
            if let Ok(out) = decode(raw, &coding, 4096) {
                assert!(out.len() <= 4096);
            }
        }
    }
}
