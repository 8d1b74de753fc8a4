//! Hostile input: whatever the bytes, an answer or an error, never a panic, and caps that hold.

use image::ImageFormat;
use magiclens_common::config::Fetch;
use magiclens_core::Reason;
use proptest::prelude::*;

use super::{Format, ImageError, decode_rgb, prepare, samples};

const FORMATS: [(ImageFormat, Format); 5] = [
    (ImageFormat::Jpeg, Format::Jpeg),
    (ImageFormat::Png, Format::Png),
    (ImageFormat::WebP, Format::WebP),
    (ImageFormat::Gif, Format::Gif),
    (ImageFormat::Bmp, Format::Bmp),
];

/// Small caps, so that a mutated header cannot make a test slow.
fn limits() -> Fetch {
    Fetch { max_pixels: 1 << 20, max_decode_bytes: 16 << 20, ..Fetch::default() }
}

fn assert_no_panic(bytes: Vec<u8>) {
    match prepare(bytes, &limits()) {
        Err(ImageError::Panicked(message)) => panic!("a decoder panicked: {message}"),
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(prepared) => assert!(decode_rgb(&prepared.bytes, &limits()).is_ok()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_never_panic(
        magic in 0..7usize,
        tail in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        let magics: [&[u8]; 7] = [
            b"", b"\xFF\xD8\xFF", b"\x89PNG\r\n\x1A\n", b"RIFF\xFF\0\0\0WEBPVP8X", b"GIF89a",
            b"BM\0\0\0\0\0\0\0\0\0\0\0\0\x28\0\0\0", b"RIFF\xFF\0\0\0WEBPVP8L",
        ];
        assert_no_panic([magics[magic], &tail].concat());
    }

    #[test]
    fn mutated_images_never_panic(
        format in 0..5usize,
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        header_only in any::<bool>(),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = samples::encode(&samples::scene(40, 30, 3), FORMATS[format].0);
        for (index, value) in edits {
            let reach = if header_only { bytes.len().min(64) } else { bytes.len() };
            let at = index.index(reach);
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        assert_no_panic(bytes);
    }
}

#[test]
fn pixels_are_capped_by_the_header_in_every_format() {
    for (format, sniffed) in FORMATS {
        let bytes = samples::encode(&samples::scene(101, 100, 1), format);
        assert_eq!(Format::sniff(&bytes), Ok(sniffed));
        let at_cap = Fetch { max_pixels: 10_100, ..Fetch::default() };
        assert_eq!(prepare(bytes.clone(), &at_cap).map(|p| (p.width, p.height)), Ok((101, 100)));
        let below = Fetch { max_pixels: 10_099, ..Fetch::default() };
        let error = prepare(bytes.clone(), &below).unwrap_err();
        assert_eq!(error, ImageError::TooManyPixels { width: 101, height: 100, max: 10_099 });
        let tight = Fetch { max_decode_bytes: 20_000, ..Fetch::default() };
        let error = prepare(bytes, &tight).unwrap_err();
        assert!(matches!(error, ImageError::TooMuchMemory { max: 20_000, .. }), "{error}");
        assert_eq!(error.reason(), Reason::TooManyPixels);
    }
}

#[test]
fn a_header_that_promises_the_moon_costs_nothing() {
    let mut bytes = samples::encode(&samples::scene(16, 16, 1), ImageFormat::Png);
    bytes[16..24].copy_from_slice(&[0x7F, 0xFF, 0xFF, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF]);
    let error = prepare(bytes, &Fetch::default()).unwrap_err();
    assert_eq!(error.reason(), Reason::TooManyPixels);
}

#[test]
fn a_truncated_file_is_an_error_not_half_a_picture() {
    for (format, _) in FORMATS {
        let bytes = samples::encode(&samples::photo(120, 90, 1), format);
        let half = bytes[..bytes.len() / 2].to_vec();
        let reason = prepare(half, &Fetch::default()).map(drop).map_err(|error| error.reason());
        assert_eq!(reason, Err(Reason::DecodeError), "{format:?}");
    }
}

#[test]
fn a_truncated_progressive_jpeg_is_an_error_too() {
    let picture = samples::photo(160, 120, 2);
    let mut bytes = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut bytes, 90);
    encoder.set_progressive(true);
    encoder.encode(&picture.rgb, 160, 120, jpeg_encoder::ColorType::Rgb).unwrap();
    assert!(prepare(bytes.clone(), &Fetch::default()).is_ok());
    bytes.truncate(bytes.len() / 2);
    let reason = prepare(bytes, &Fetch::default()).map(drop).map_err(|error| error.reason());
    assert_eq!(reason, Err(Reason::DecodeError));
}

#[test]
fn small_pictures_with_megabytes_of_something_else_are_not_kept() {
    let mut bytes = samples::jpeg(&samples::scene(100, 100, 1), 90);
    assert_eq!(prepare(bytes.clone(), &Fetch::default()).unwrap().bytes, bytes);
    bytes.resize(bytes.len() + (1 << 20), b'x');
    let prepared = prepare(bytes, &Fetch::default()).unwrap();
    assert_eq!(prepared.stored_as, magiclens_core::StoredAs::Reencoded);
    assert!(prepared.bytes.len() < 100_000);
}
