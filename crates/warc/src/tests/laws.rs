//! What holds for all files: what was written is read, a cut file gives its beginning, nothing panics.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::{Extent, Reader, WarcError};
use super::support::{gzip, read, record};

fn blocks() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let block = prop_oneof![
        vec(any::<u8>(), 0..200),
        vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'W')], 0..20),
        Just(b"WARC/1.0\r\n\r\n".to_vec()),
        // More than a buffer.
        any::<u8>().prop_map(|byte| vec![byte; 70_000]),
    ];
    vec(block, 0..6)
}

/// How records lie in a file.
#[derive(Clone, Copy, Debug)]
enum Form {
    Plain,
    Members,
    OneMember,
}

fn forms() -> impl Strategy<Value = Form> {
    prop_oneof![Just(Form::Plain), Just(Form::Members), Just(Form::OneMember)]
}

fn file(blocks: &[Vec<u8>], form: Form) -> Vec<u8> {
    let of = |block: &Vec<u8>| record("resource", "http://a.example/", "text/plain", block);
    let records = blocks.iter().map(of);
    match form {
        Form::Plain => records.flatten().collect(),
        Form::Members => records.flat_map(|record| gzip(&record)).collect(),
        Form::OneMember => gzip(&records.flatten().collect::<Vec<u8>>()),
    }
}

fn found(file: &[u8]) -> (Vec<Vec<u8>>, Option<WarcError>) {
    let read = read(file);
    (read.records.into_iter().map(|(_, block)| block).collect(), read.error)
}

proptest! {
    #[test]
    fn what_was_written_is_read(blocks in blocks(), form in forms()) {
        let (read, error) = found(&file(&blocks, form));
        prop_assert_eq!(&read, &blocks);
        prop_assert_eq!(error.is_some(), blocks.is_empty());
    }

    #[test]
    fn a_cut_file_gives_its_first_records(blocks in blocks(), form in forms(), at in 0.0..1.0f64) {
        let mut bytes = file(&blocks, form);
        bytes.truncate((bytes.len() as f64 * at) as usize);
        let (read, error) = found(&bytes);
        prop_assert!(blocks.starts_with(&read));
        let is_of_file = error.as_ref().is_none_or(WarcError::is_of_file);
        prop_assert!(is_of_file, "{error:?}");
    }

    #[test]
    fn a_record_is_read_by_its_extent_alone(blocks in blocks(), form in forms()) {
        let bytes = file(&blocks, form);
        let Ok(mut reader) = Reader::new(&bytes[..]) else { return Ok(()) };
        let mut seen = 0;
        while let Ok(Some(_)) = reader.next_record() {
            if let Some(Extent { offset, length }) = reader.extent().unwrap() {
                let alone = &bytes[offset as usize..(offset + length) as usize];
                prop_assert_eq!(&found(alone).0, &[blocks[seen].clone()]);
            } else {
                prop_assert!(matches!(form, Form::OneMember), "record {seen} of {form:?}");
            }
            seen += 1;
        }
        prop_assert_eq!(seen, blocks.len());
    }

    #[test]
    fn changed_bytes_make_nothing_panic(
        blocks in blocks(), form in forms(), at in vec((any::<usize>(), any::<u8>()), 1..5),
    ) {
        let mut bytes = file(&blocks, form);
        for (at, byte) in at {
            let length = bytes.len();
            if let Some(place) = bytes.get_mut(at % length.max(1)) {
                *place = byte;
            }
        }
        found(&bytes);
    }

    #[test]
    fn any_bytes_make_nothing_panic(bytes in vec(any::<u8>(), 0..300)) {
        found(&bytes);
        found(&[b"WARC/1.0\r\n", &bytes[..]].concat());
        found(&gzip(&bytes));
    }
}

#[test]
fn a_declared_length_allocates_nothing() {
    let huge = b"WARC/1.0\r\nContent-Length: 18446744073709551615\r\n\r\nshort".to_vec();
    let (read, error) = found(&huge);
    assert_eq!(read, Vec::<Vec<u8>>::new());
    assert!(matches!(error, Some(WarcError::Truncated { .. })), "{error:?}");
    let mut reader = Reader::new(&huge[..]).unwrap();
    reader.next_record().unwrap().unwrap();
    assert_eq!(reader.block(1000).unwrap(), None, "over the cap");
}

#[test]
fn garbage_behind_good_records_is_damage_with_its_place() {
    for form in [Form::Plain, Form::Members] {
        let mut bytes = file(&[b"one".to_vec(), b"two".to_vec()], form);
        let end = bytes.len() as u64;
        bytes.extend(b"\0garbage without an end");
        let (read, error) = found(&bytes);
        assert_eq!(read.len(), 2);
        match error {
            Some(WarcError::Damaged { offset, .. }) => assert_eq!(offset, end, "{form:?}"),
            Some(WarcError::Truncated { offset, .. }) => assert_eq!(offset, bytes.len() as u64),
            other => panic!("{form:?}: {other:?}"),
        }
    }
}

#[test]
fn an_error_of_the_disk_is_none_of_the_file() {
    struct Fails;
    impl std::io::Read for Fails {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("disk"))
        }
    }
    for form in [Form::Plain, Form::Members] {
        let noise = (0..2000u32).map(|n| ((n * n) >> 3) as u8).collect();
        let bytes = file(&[noise, b"two".to_vec()], form);
        let mut reader =
            Reader::new(std::io::Read::chain(&bytes[..bytes.len() - 20], Fails)).unwrap();
        let mut next = reader.next_record();
        while let Ok(Some(_)) = next {
            next = reader.next_record();
        }
        assert!(matches!(next, Err(WarcError::Io(_))), "{form:?}: {next:?}");
    }
}
