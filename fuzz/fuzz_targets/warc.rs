//! Any bytes are a WARC file: nothing panics, caps hold, and a record's extent lies in the file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use magiclens::warc::Reader;
use magiclens::warc::payload::Answer;

const CAP: usize = 1 << 16;

fuzz_target!(|bytes: &[u8]| {
    let Ok(mut reader) = Reader::new(bytes) else { return };
    while let Ok(Some(head)) = reader.next_record() {
        if let Ok(Some(answer)) = Answer::read(&mut reader, &head)
            && let Ok(body) = answer.body(&mut reader, CAP)
        {
            assert!(body.len() <= CAP);
        }
        if let Ok(Some(extent)) = reader.extent() {
            assert!(extent.offset + extent.length <= bytes.len() as u64);
        }
    }
});
