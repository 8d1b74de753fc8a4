//! What a file looks like that is no WARC file, for a message that helps.

/// How many first bytes tell.
pub(super) const LOOK: usize = 512;

const MAGIC: &[(&[u8], &str)] = &[
    (b"\x04\x22\x4d\x18", "it looks like lz4; compress it with gzip, a record a member"),
    (b"\x28\xb5\x2f\xfd", "it looks like zstd; compress it with gzip, a record a member"),
    (b"BZh", "it looks like bzip2; compress it with gzip, a record a member"),
    (b"\xfd7zXZ\0", "it looks like xz; compress it with gzip, a record a member"),
    (b"PK\x03\x04", "it looks like a zip or WACZ file; unpack the WARC files that are in it"),
    (b"PAR1", "it looks like Parquet; a table of image URLs is given with --table"),
    (b"filedesc:", "it looks like an ARC file; convert it, such as with `warcio recompress`"),
    (b"\x7fELF", "it looks like a program"),
    (b"%PDF", "it looks like a PDF file"),
    (b"\x89PNG", "it looks like an image"),
    (b"\xff\xd8\xff", "it looks like an image"),
];

/// Names what a file that begins like this is taken for.
pub(super) fn describe(start: &[u8]) -> String {
    if start.is_empty() {
        return "it is empty".into();
    }
    if let Some((_, found)) = MAGIC.iter().find(|(magic, _)| start.starts_with(magic)) {
        return (*found).into();
    }
    let line = start.split(|byte| matches!(byte, b'\n' | b'\r')).next().unwrap_or_default();
    let line = String::from_utf8_lossy(&line[..line.len().min(80)]).into_owned();
    let lower = line.trim_start().to_ascii_lowercase();
    if lower.starts_with("<!doctype") || lower.starts_with("<html") || lower.starts_with("<?xml") {
        return "it looks like HTML or XML".into();
    }
    if lower.contains(".warc") {
        return format!(
            "it looks like a list of WARC files ({line:?}); a list has a name that ends in .txt, \
             .paths or .paths.gz"
        );
    }
    format!("it begins with {line:?} instead of \"WARC/1\"")
}
