//! Any bytes at all through [`magiclens::imaging::prepare`]: no panic, and what is stored decodes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use magiclens::config::Fetch;
use magiclens::imaging::{ImageError, decode_rgb, prepare};

fuzz_target!(|bytes: &[u8]| {
    let limits =
        Fetch { max_pixels: 1 << 22, max_decode_bytes: 64 << 20, max_side: 64, ..Fetch::default() };
    match prepare(bytes.to_vec(), &limits) {
        Ok(prepared) => {
            let stored = decode_rgb(&prepared.bytes, &limits).expect("stored bytes decode");
            assert_eq!(
                (stored.width, stored.height),
                (prepared.stored_width, prepared.stored_height)
            );
        }
        Err(ImageError::Panicked(message)) => panic!("a decoder panicked: {message}"),
        Err(_) => {}
    }
});
