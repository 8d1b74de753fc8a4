//! Images drawn for tests.

use super::Bitmap;

/// Noise that looks the same everywhere: a hash of the coordinates, 0 to 255.
pub fn noise(x: u32, y: u32, seed: u32) -> u8 {
    let mut h =
        x.wrapping_mul(0x9E37_79B1) ^ y.wrapping_mul(0x85EB_CA77) ^ seed.wrapping_mul(0xC2B2_AE3D);
    h ^= h >> 15;
    h = h.wrapping_mul(0x2C1B_3C6D);
    h ^= h >> 12;
    h = h.wrapping_mul(0x297A_2D39);
    (h >> 24) as u8
}

/// Smooth noise of one lattice cell every `1 / cells` of the image, -0.5 to 0.5.
fn smooth(x: f32, y: f32, cells: f32, seed: u32) -> f32 {
    let (x, y) = (x * cells, y * cells);
    let (column, row) = (x.floor(), y.floor());
    let ease = |t: f32| t * t * (3.0 - 2.0 * t);
    let (u, v) = (ease(x - column), ease(y - row));
    let at = |dx: u32, dy: u32| f32::from(noise(column as u32 + dx, row as u32 + dy, seed)) / 255.0;
    let top = at(0, 0) * (1.0 - u) + at(1, 0) * u;
    let bottom = at(0, 1) * (1.0 - u) + at(1, 1) * u;
    top * (1.0 - v) + bottom * v - 0.5
}

/// Draws an image from a function of the position, both coordinates 0 to 1.
pub fn draw(width: u32, height: u32, colour: impl Fn(f32, f32) -> [f32; 3]) -> Bitmap {
    let mut rgb = Vec::with_capacity((width * height * 3) as usize);
    for y in 0..height {
        for x in 0..width {
            let place = |i: u32, n: u32| (i as f32 + 0.5) / n as f32;
            rgb.extend(
                colour(place(x, width), place(y, height)).map(|c| c.clamp(0.0, 255.0) as u8),
            );
        }
    }
    Bitmap { width, height, rgb }
}

/// Draws a photo-like image: octaves of smooth noise in each channel over a gradient.
pub fn photo(width: u32, height: u32, seed: u32) -> Bitmap {
    draw(width, height, |x, y| {
        let octaves = [(3.0, 150.0), (7.0, 80.0), (17.0, 40.0), (41.0, 20.0)];
        let light: f32 =
            octaves.iter().map(|&(cells, gain)| gain * smooth(x, y, cells, seed)).sum();
        let tint = |channel| 50.0 * smooth(x, y, 4.0, seed * 7 + channel);
        let base = 128.0 + 60.0 * (0.5 - y) + light;
        [base + tint(1), base + tint(2), base + tint(3)]
    })
}

/// A drawn scene: sky, ground, a house, a sun; where and how large is the seed's.
pub fn scene(width: u32, height: u32, seed: u32) -> Bitmap {
    let pick = |n, from: f32, to: f32| from + (to - from) * f32::from(noise(n, 77, seed)) / 255.0;
    let horizon = pick(1, 0.4, 0.75);
    let (house_x, house_w, house_h) =
        (pick(2, 0.05, 0.6), pick(3, 0.15, 0.35), pick(4, 0.15, 0.35));
    let (sun_x, sun_y, sun_r) = (pick(5, 0.1, 0.9), pick(6, 0.1, 0.3), pick(7, 0.04, 0.12));
    let wall = [pick(8, 30.0, 250.0), pick(9, 30.0, 250.0), pick(10, 30.0, 250.0)];
    let (night, green) = (pick(11, 0.3, 1.0), pick(12, 80.0, 200.0));
    draw(width, height, |x, y| {
        let in_house = (house_x..house_x + house_w).contains(&x)
            && (horizon - house_h..horizon + 0.05).contains(&y);
        if in_house {
            wall
        } else if (x - sun_x).hypot(y - sun_y) < sun_r {
            [255.0, 230.0, 120.0]
        } else if y < horizon {
            [90.0 * night + 60.0 * y, 150.0 * night + 50.0 * y, 240.0 * night]
        } else {
            [70.0, green * (1.3 - 0.5 * y), 60.0 + 30.0 * x]
        }
    })
}

/// An ellipse of one colour on a flat background.
pub fn object(width: u32, height: u32, colour: [f32; 3]) -> Bitmap {
    draw(width, height, |x, y| {
        if ((x - 0.5) / 0.3).hypot((y - 0.55) / 0.2) < 1.0 { colour } else { [235.0, 235.0, 230.0] }
    })
}

/// As JPEG, 4:2:0.
pub fn jpeg(bitmap: &Bitmap, quality: u8) -> Vec<u8> {
    super::encode::jpeg(bitmap, quality, None).unwrap()
}

/// As any lossless format of the image crate.
pub fn encode(bitmap: &Bitmap, format: image::ImageFormat) -> Vec<u8> {
    let pixels =
        image::RgbImage::from_raw(bitmap.width, bitmap.height, bitmap.rgb.clone()).unwrap();
    let mut bytes = std::io::Cursor::new(Vec::new());
    if format == image::ImageFormat::Gif {
        image::DynamicImage::from(pixels).to_rgba8().write_to(&mut bytes, format).unwrap();
    } else {
        pixels.write_to(&mut bytes, format).unwrap();
    }
    bytes.into_inner()
}
