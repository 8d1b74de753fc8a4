//! Photo-like JPEGs for benches, drawn from noise: the same for the same number.

use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

/// A JPEG of any size, 4:2:0 as the store writes them.
pub fn jpeg(width: u16, height: u16, quality: u8, seed: u32) -> Vec<u8> {
    let rgb = photo(u32::from(width), u32::from(height), seed);
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, quality);
    encoder.set_sampling_factor(SamplingFactor::R_4_2_0);
    encoder.encode(&rgb, width, height, ColorType::Rgb).expect("a JPEG in memory");
    bytes
}

/// Octaves of smooth noise in each channel, strongest where large, as photographs have it.
fn photo(width: u32, height: u32, seed: u32) -> Vec<u8> {
    let octaves = [(3.0, 140.0), (9.0, 70.0), (27.0, 40.0), (81.0, 26.0), (190.0, 14.0)];
    let mut rgb = Vec::with_capacity((width * height * 3) as usize);
    for y in 0..height {
        for x in 0..width {
            let (u, v) = (x as f32 / width as f32, y as f32 / height as f32);
            let light: f32 =
                octaves.iter().map(|&(cells, gain)| gain * smooth(u, v, cells, seed)).sum();
            for channel in 1..=3 {
                let tint = 60.0 * smooth(u, v, 5.0, seed * 7 + channel);
                rgb.push((128.0 + 50.0 * (0.5 - v) + light + tint).clamp(0.0, 255.0) as u8);
            }
        }
    }
    rgb
}

/// Noise on a lattice of `cells` a side, eased between the points, -0.5 to 0.5.
fn smooth(x: f32, y: f32, cells: f32, seed: u32) -> f32 {
    let (x, y) = (x * cells, y * cells);
    let (column, row) = (x.floor(), y.floor());
    let ease = |t: f32| t * t * (3.0 - 2.0 * t);
    let (u, v) = (ease(x - column), ease(y - row));
    let at = |dx: u32, dy: u32| lattice(column as u32 + dx, row as u32 + dy, seed);
    let top = at(0, 0) * (1.0 - u) + at(1, 0) * u;
    let bottom = at(0, 1) * (1.0 - u) + at(1, 1) * u;
    top * (1.0 - v) + bottom * v - 0.5
}

fn lattice(x: u32, y: u32, seed: u32) -> f32 {
    let mut h = x.wrapping_mul(0x9E37_79B1)
        ^ y.wrapping_mul(0x85EB_CA77)
        ^ seed.wrapping_add(1).wrapping_mul(0xC2B2_AE3D);
    h ^= h >> 15;
    h = h.wrapping_mul(0x2C1B_3C6D);
    h ^= h >> 12;
    h = h.wrapping_mul(0x297A_2D39);
    (h >> 8) as f32 / 16_777_216.0
}
