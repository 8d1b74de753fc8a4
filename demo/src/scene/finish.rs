//! The camera: patchy light, vignette and film grain make pixels that compress like a photograph's.

use image::RgbImage;

use super::canvas::Canvas;
use crate::rng::Rng;

const CELL: usize = 24;

/// Takes the picture.
pub fn photograph(canvas: &Canvas, seed: u64) -> RgbImage {
    let pixmap = canvas.pixmap();
    let (width, height) = (pixmap.width() as usize, pixmap.height() as usize);
    let mut rng = Rng::new(seed);
    let patches = Patches::new(width, height, &mut rng);
    let mut out = Vec::with_capacity(width * height * 3);
    for (y, row) in pixmap.data().chunks_exact(width * 4).enumerate() {
        for (x, pixel) in row.chunks_exact(4).enumerate() {
            let light = 1.0 + patches.at(x, y) - vignette(x, y, width, height);
            let noise = rng.bits();
            // The sum of two bytes is a triangle around 0: close enough to film.
            let grain = ((noise & 0xff) as f32 + (noise >> 8 & 0xff) as f32 - 255.0) / 24.0;
            for (channel, &value) in pixel[..3].iter().enumerate() {
                let tint = ((noise >> (16 + 8 * channel) & 0xff) as f32 - 127.5) / 40.0;
                out.push((f32::from(value) * light + grain + tint).clamp(0.0, 255.0) as u8);
            }
        }
    }
    RgbImage::from_raw(width as u32, height as u32, out).expect("three bytes were made per pixel")
}

fn vignette(x: usize, y: usize, width: usize, height: usize) -> f32 {
    let (dx, dy) = (x as f32 / width as f32 - 0.5, y as f32 / height as f32 - 0.5);
    0.45 * (dx * dx + dy * dy)
}

/// Value noise on a coarse grid.
struct Patches {
    grid: Vec<f32>,
    columns: usize,
}

impl Patches {
    fn new(width: usize, height: usize, rng: &mut Rng) -> Self {
        let columns = width / CELL + 2;
        let grid = (0..columns * (height / CELL + 2)).map(|_| rng.between(-0.07, 0.07)).collect();
        Self { grid, columns }
    }

    fn at(&self, x: usize, y: usize) -> f32 {
        let (column, row) = (x / CELL, y / CELL);
        let (fx, fy) = ((x % CELL) as f32 / CELL as f32, (y % CELL) as f32 / CELL as f32);
        let corner = |c: usize, r: usize| self.grid[r * self.columns + c];
        let top = corner(column, row) * (1.0 - fx) + corner(column + 1, row) * fx;
        let foot = corner(column, row + 1) * (1.0 - fx) + corner(column + 1, row + 1) * fx;
        top * (1.0 - fy) + foot * fy
    }
}
