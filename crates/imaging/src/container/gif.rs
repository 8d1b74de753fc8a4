//! GIF blocks: <https://www.w3.org/Graphics/GIF/spec-gif89a.txt>.

use super::{Container, u16_le};
use crate::ImageError;
use crate::error::bad_header;

pub(super) fn read(bytes: &[u8]) -> Result<Container<'_>, ImageError> {
    let size = u16_le(bytes, 6).zip(u16_le(bytes, 8)).ok_or_else(bad_header("gif"))?;
    let (mut width, mut height) = (u32::from(size.0), u32::from(size.1));
    let mut frames = frames(bytes);
    if let Some((frame_width, frame_height)) = frames.next() {
        // Some writers leave the screen at zero, and a frame larger than it is decoded whole.
        (width, height) = (width.max(frame_width), height.max(frame_height));
    }
    Ok(Container {
        width,
        height,
        bytes_per_pixel: 4 + 4 + 3,
        plain: true,
        animated: frames.next().is_some(),
        ..Container::default()
    })
}

/// Size of each image descriptor.
fn frames(bytes: &[u8]) -> impl Iterator<Item = (u32, u32)> {
    let mut at = bytes.get(10).map(|&flags| 13 + colour_table(flags));
    std::iter::from_fn(move || {
        loop {
            let block = at?;
            match bytes.get(block)? {
                0x21 => at = skip_sub_blocks(bytes, block + 2),
                0x2C => {
                    let size = (u16_le(bytes, block + 5)?, u16_le(bytes, block + 7)?);
                    let flags = *bytes.get(block + 9)?;
                    at = skip_sub_blocks(bytes, block + 11 + colour_table(flags));
                    return Some((size.0.into(), size.1.into()));
                }
                0x3B => return None,
                _ => at = Some(block + 1),
            }
        }
    })
}

/// Bytes of the colour table that the flags announce.
fn colour_table(flags: u8) -> usize {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
}

fn skip_sub_blocks(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *bytes.get(at)? {
            0 => return Some(at + 1),
            length => at += 1 + usize::from(length),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(frames: usize) -> Vec<u8> {
        let mut file = b"GIF89a\x04\0\x03\0\x80\0\0......".to_vec();
        for _ in 0..frames {
            file.extend(b"\x21\xF9\x02ab\0");
            file.extend(b"\x2C\0\0\0\0\x04\0\x03\0\0\x02\x02zz\0");
        }
        file.push(0x3B);
        file
    }

    #[test]
    fn counts_frames_past_extensions() {
        let one = file(1);
        let container = read(&one).unwrap();
        assert_eq!((container.width, container.height, container.animated), (4, 3, false));
        assert!(read(&file(2)).unwrap().animated);
        assert!(!read(&file(2)[..30]).unwrap().animated);
    }
}
