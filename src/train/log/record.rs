//! The framing of TFRecord files: length, its checksum, content, its checksum.
//!
//! Written by hand: the crates for it either download definitions while they build (`tfrecord`) or
//! stopped in 2022 with an `image` and a `protobuf` of their own (`tensorboard-rs`).
//! <https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details>

/// Frames a record.
pub(super) fn frame(content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u64).to_le_bytes();
    let mut framed = Vec::with_capacity(content.len() + 16);
    framed.extend(length);
    framed.extend(masked(&length));
    framed.extend(content);
    framed.extend(masked(content));
    framed
}

/// CRC-32C, turned and moved so that records within records do not look like checksums of their
/// own.
fn masked(bytes: &[u8]) -> [u8; 4] {
    const DELTA: u32 = 0xa282_ead8;
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(DELTA).to_le_bytes()
}

/// Takes framed records apart; `None` where a length or a checksum is wrong.
#[cfg(test)]
pub(super) fn unframe(mut bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_at_checked(8)?;
        let (sum, rest) = rest.split_at_checked(4)?;
        let size = u64::from_le_bytes(length.try_into().ok()?);
        let (content, rest) = rest.split_at_checked(usize::try_from(size).ok()?)?;
        let (end, rest) = rest.split_at_checked(4)?;
        if masked(length) != sum || masked(content) != end {
            return None;
        }
        records.push(content);
        bytes = rest;
    }
    Some(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3720, B.4: CRC-32C of 32 zeros, of 32 ones, and of 0 to 31.
    #[test]
    fn the_checksum_is_the_castagnoli_one() {
        assert_eq!(crc32c::crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c::crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c::crc32c(&(0..32).collect::<Vec<u8>>()), 0x46dd_794e);
    }

    proptest::proptest! {
        #[test]
        fn a_changed_bit_is_found(content: Vec<u8>, at: proptest::sample::Index, bit in 0..8) {
            let mut framed = frame(&content);
            proptest::prop_assert_eq!(unframe(&framed), Some(vec![content.as_slice()]));
            let at = at.index(framed.len());
            framed[at] ^= 1_u8 << bit;
            proptest::prop_assert_eq!(unframe(&framed), None);
        }
    }
}
