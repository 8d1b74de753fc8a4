//! The eight EXIF orientations: <https://www.cipa.jp/std/documents/e/DC-X008-Translation-2019-E.pdf>,
//! tag 0x0112.

use super::Bitmap;

/// Exif orientation of the encoded pixels, 1 to 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Orientation(u8);

impl Orientation {
    /// As encoded.
    pub const UPRIGHT: Self = Self(1);

    /// The tag's value; anything unknown counts as upright, as browsers have it.
    pub fn from_tag(value: u32) -> Self {
        match value {
            2..=8 => Self(value as u8),
            _ => Self::UPRIGHT,
        }
    }

    /// Returns true if width and height change places.
    pub fn swaps_sides(self) -> bool {
        self.0 >= 5
    }
}

/// Turns and mirrors the pixels so that they are seen as they were meant.
pub(super) fn upright(bitmap: Bitmap, orientation: Orientation) -> Bitmap {
    if orientation == Orientation::UPRIGHT {
        return bitmap;
    }
    let (source_width, source_height) = (bitmap.width as usize, bitmap.height as usize);
    let (width, height) = if orientation.swaps_sides() {
        (source_height, source_width)
    } else {
        (source_width, source_height)
    };
    let (right, bottom) = (source_width - 1, source_height - 1);
    let source = bitmap.rgb.as_chunks::<3>().0;
    let mut rgb = Vec::with_capacity(bitmap.rgb.len());
    for y in 0..height {
        for x in 0..width {
            let (from_x, from_y) = match orientation.0 {
                2 => (right - x, y),
                3 => (right - x, bottom - y),
                4 => (x, bottom - y),
                5 => (y, x),
                6 => (y, bottom - x),
                7 => (right - y, bottom - x),
                _ => (right - y, x),
            };
            rgb.extend(source[from_y * source_width + from_x]);
        }
    }
    Bitmap { width: width as u32, height: height as u32, rgb }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One letter a pixel.
    fn bitmap(rows: &[&str]) -> Bitmap {
        let rgb = rows.concat().bytes().flat_map(|letter| [letter; 3]).collect();
        Bitmap { width: rows[0].len() as u32, height: rows.len() as u32, rgb }
    }

    #[test]
    fn each_of_the_eight_comes_out_upright() {
        let wanted = bitmap(&["abc", "def"]);
        let encoded: [&[&str]; 8] = [
            &["abc", "def"],
            &["cba", "fed"],
            &["fed", "cba"],
            &["def", "abc"],
            &["ad", "be", "cf"],
            &["cf", "be", "ad"],
            &["fc", "eb", "da"],
            &["da", "eb", "fc"],
        ];
        for (rows, tag) in encoded.iter().zip(1..) {
            assert_eq!(upright(bitmap(rows), Orientation::from_tag(tag)), wanted, "tag {tag}");
        }
        assert_eq!(Orientation::from_tag(9), Orientation::UPRIGHT);
    }
}
