//! A sign: words on a board before a scene. Two signs of one scene share the whole layout and mean
//! different things, which is what fools hashes.

use font8x8::legacy::BASIC_LEGACY;
use image::RgbImage;
use serde::{Deserialize, Serialize};

use super::canvas::{Canvas, Rgb};
use super::{Scene, finish};

/// Words in front of a scene.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Sign {
    /// What is behind the board.
    pub scene: Scene,
    /// One line each; ASCII, best at up to twelve letters.
    pub lines: Vec<String>,
}

impl Sign {
    /// The true text.
    pub fn alt(&self) -> String {
        format!("A sign saying {} before this: {}", self.lines.join(" "), self.scene.alt())
    }

    /// Draws it, `width` × `height` pixels.
    pub fn render(&self, width: u32, height: u32) -> RgbImage {
        let mut canvas = Canvas::new(width, height);
        self.scene.draw(&mut canvas);
        canvas.place_back();
        canvas.set_light([1.0; 3]);
        let (left, wide) = (canvas.width() * 0.14, canvas.width() * 0.72);
        canvas.rect(left - 1.5, 20.5, wide + 3.0, 47.0, Rgb(84, 58, 40));
        canvas.rect(left, 22.0, wide, 44.0, Rgb(246, 240, 222));
        let height = 38.0 / self.lines.len().max(1) as f32;
        for (index, line) in self.lines.iter().enumerate() {
            let dot = (wide * 0.92 / (line.len().max(1) as f32 * 8.0)).min(height / 9.0);
            let x = left + (wide - dot * 8.0 * line.len() as f32) / 2.0;
            text(&mut canvas, line, (x, 25.0 + height * index as f32), dot);
        }
        finish::photograph(&canvas, self.scene.seed("grain"))
    }
}

fn text(canvas: &mut Canvas, line: &str, (x, y): (f32, f32), dot: f32) {
    for (index, letter) in line.bytes().enumerate() {
        let Some(glyph) = BASIC_LEGACY.get(usize::from(letter)) else { continue };
        for (row, bits) in glyph.iter().enumerate() {
            for column in (0..8).filter(|column| bits >> column & 1 == 1) {
                let left = x + dot * (8 * index + column) as f32;
                canvas.rect(left, y + dot * row as f32, dot * 1.04, dot * 1.04, Rgb(40, 36, 40));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::BOAT;
    use super::*;

    #[test]
    fn other_words_change_some_pixels_only() {
        let sign = |word: &str| Sign { scene: BOAT, lines: vec![word.into()] }.render(300, 200);
        let (open, shut) = (sign("OPEN"), sign("SHUT"));
        let changed = open.pixels().zip(shut.pixels()).filter(|(a, b)| a != b).count();
        assert!((200..15_000).contains(&changed), "{changed} of 60000 pixels");
    }
}
