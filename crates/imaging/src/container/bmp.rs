//! The size in a Windows bitmap's header.

use super::{Container, u16_le, u32_le};
use crate::ImageError;
use crate::error::bad_header;

pub(super) fn read(bytes: &[u8]) -> Result<Container<'_>, ImageError> {
    let (width, height) = size(bytes).ok_or_else(bad_header("bmp"))?;
    Ok(Container { width, height, bytes_per_pixel: 4 + 3, ..Container::default() })
}

/// A negative height means rows from the top; the oldest headers have 16-bit sizes.
fn size(bytes: &[u8]) -> Option<(u32, u32)> {
    if u32_le(bytes, 14)? == 12 {
        return Some((u16_le(bytes, 18)?.into(), u16_le(bytes, 20)?.into()));
    }
    let signed = |at| Some(u32_le(bytes, at)?.cast_signed());
    Some((signed(18)?.unsigned_abs(), signed(22)?.unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_negative_height_counts_rows_from_the_top() {
        let mut bytes = b"BM".to_vec();
        bytes.resize(14, 0);
        for number in [40i32, 7, -5] {
            bytes.extend(number.to_le_bytes());
        }
        let container = read(&bytes).unwrap();
        assert_eq!((container.width, container.height), (7, 5));
    }
}
