//! One layout a place: what varies between spots comes from the generator that is handed in.

use super::{building, bush, foliage, grass, ground, light, ridge, strokes};
use crate::rng::Rng;
use crate::scene::canvas::{Canvas, Rgb};
use crate::scene::{Scene, Season, Time};

/// The harbour.
pub fn harbour(c: &mut Canvas, scene: &Scene, rng: &mut Rng) {
    ridge(c, rng, 54.0, 16.0, 9, ground(Rgb(104, 128, 118), scene.season));
    let mut x = rng.between(-4.0, 2.0);
    while x < c.width() {
        let (width, height) = (rng.between(9.0, 17.0), rng.between(10.0, 24.0));
        building(c, rng, x, 57.0, (width, height), scene);
        x += width + rng.between(0.0, 4.0);
    }
    let water = match scene.season {
        Season::Winter => Rgb(124, 146, 160),
        Season::Autumn => Rgb(86, 112, 120),
        _ => Rgb(52, 112, 150),
    };
    let width = c.width();
    c.rect(0.0, 56.0, width, 3.0, ground(Rgb(112, 104, 96), scene.season));
    c.gradient(0.0, 59.0, width, 42.0, water.shade(1.2), water.shade(0.7));
    strokes(c, rng, 60.0, 330, water.mix(Rgb(230, 240, 245), 0.35), (5.0, 0.0));
    let pier = rng.between(0.05, 0.75) * width;
    c.polygon(
        &[(pier, 59.0), (pier + 6.0, 59.0), (pier + 22.0, 101.0), (pier - 2.0, 101.0)],
        ground(Rgb(126, 96, 68), scene.season),
    );
    if scene.season == Season::Winter {
        for _ in 0..26 {
            let (x, y) = (rng.between(0.0, width), rng.between(61.0, 99.0));
            c.ellipse(x, y, rng.between(3.0, 8.0), rng.between(0.6, 1.5), Rgb(236, 243, 248));
        }
    }
}

/// The forest.
pub fn forest(c: &mut Canvas, scene: &Scene, rng: &mut Rng) {
    let haze = Rgb(190, 205, 205);
    let width = c.width();
    let floor = ground(Rgb(104, 108, 62).mix(grass(scene.season), 0.4), scene.season);
    ridge(c, rng, 58.0, 4.0, 10, floor.shade(0.7).mix(haze, 0.25));
    for layer in 0..3 {
        let depth = layer as f32 / 2.0;
        let (foot, height) = (60.0 + 9.0 * depth, 42.0 + 16.0 * depth);
        for _ in 0..(17 - 4 * layer) {
            let x = rng.between(0.0, width);
            let leaf =
                foliage(scene.season).shade(rng.between(0.6, 1.0)).mix(haze, 0.5 - 0.25 * depth);
            let tall = height * rng.between(0.7, 1.1);
            c.rect(
                x - 0.8,
                foot - tall * 0.7,
                1.6 + depth,
                tall * 0.7,
                Rgb(84, 64, 50).mix(haze, 0.4 - 0.2 * depth),
            );
            for k in 0..4 {
                let y = foot - tall + k as f32 * tall * 0.17;
                let half = tall * (0.09 + 0.045 * k as f32);
                c.polygon(
                    &[
                        (x, y - tall * 0.16),
                        (x + half, y + tall * 0.13),
                        (x - half, y + tall * 0.13),
                    ],
                    leaf,
                );
            }
        }
    }
    ridge(c, rng, 69.0, 4.0, 12, floor);
    strokes(c, rng, 66.0, 700, floor.shade(0.85), (0.7, -2.6));
}

/// The street.
pub fn street(c: &mut Canvas, scene: &Scene, rng: &mut Rng) {
    let mut x = rng.between(-6.0, 0.0);
    let width = c.width();
    while x < width {
        let (wide, high) = (rng.between(14.0, 26.0), rng.between(26.0, 52.0));
        building(c, rng, x, 66.0, (wide, high), scene);
        x += wide;
    }
    let (pavement, road) =
        (ground(Rgb(168, 160, 150), scene.season), ground(Rgb(92, 92, 98), scene.season));
    c.rect(0.0, 66.0, width, 8.0, pavement);
    c.rect(0.0, 74.0, width, 27.0, road);
    strokes(c, rng, 67.0, 420, pavement.mix(road, 0.6), (1.6, 0.0));
    for k in 0..8 {
        let x = k as f32 * 22.0 + 4.0;
        c.polygon(
            &[(x, 92.0), (x + 10.0, 92.0), (x + 9.0, 94.0), (x - 1.0, 94.0)],
            Rgb(225, 222, 205),
        );
    }
    for k in 0..3 {
        let x = (k as f32 + rng.between(0.2, 0.8)) * width / 3.0;
        c.line(&[(x, 70.0), (x, 36.0), (x + 4.0, 34.0)], 0.9, Rgb(48, 50, 54));
        if matches!(scene.time, Time::Evening | Time::Night) {
            c.glow(x + 4.0, 35.0, 7.0, Rgb(255, 220, 140));
        }
        bush(c, rng, x + 8.0, 62.0, 7.0, foliage(scene.season));
    }
}

/// The kitchen.
pub fn kitchen(c: &mut Canvas, scene: &Scene, rng: &mut Rng) {
    let walls = [Rgb(232, 222, 198), Rgb(205, 222, 214), Rgb(226, 205, 196), Rgb(206, 214, 228)];
    let width = c.width();
    let wall = rng.pick(&walls);
    let window_x = rng.between(0.1, 0.55) * width;
    let (left, right) = (window_x, window_x + 40.0);
    ridge(c, rng, 44.0, 5.0, 8, grass(scene.season));
    bush(c, rng, left + 9.0, 36.0, 9.0, foliage(scene.season));
    bush(c, rng, right - 8.0, 37.0, 7.0, foliage(scene.season));
    // Lamps are on: indoors never gets as dark as outside.
    c.set_light(light(scene.time).map(|part| 0.35 + 0.65 * part));
    c.rect(0.0, 0.0, left, 70.0, wall);
    c.rect(right, 0.0, width - right, 70.0, wall);
    c.rect(left - 0.5, 0.0, 41.0, 12.0, wall.shade(1.05));
    c.rect(left - 0.5, 47.0, 41.0, 23.0, wall.shade(0.92));
    for x in [left, left + 20.0, right] {
        c.line(&[(x, 12.0), (x, 47.0)], 1.6, Rgb(246, 244, 238));
    }
    c.line(&[(left, 12.0), (right, 12.0)], 1.6, Rgb(246, 244, 238));
    c.line(&[(left - 3.0, 47.0), (right + 3.0, 47.0)], 2.2, Rgb(246, 244, 238));
    for row in 0..4 {
        for column in 0..(width / 6.0) as usize + 1 {
            let tile = wall.mix(Rgb(250, 250, 248), rng.between(0.3, 0.7));
            c.rect(column as f32 * 6.0, 50.0 + row as f32 * 5.0, 5.6, 4.6, tile);
        }
    }
    shelf(c, rng, if left > width - right { 4.0 } else { right + 5.0 });
    c.rect(0.0, 69.0, width, 32.0, Rgb(150, 106, 70));
    strokes(c, rng, 71.0, 260, Rgb(128, 88, 58), (9.0, 0.0));
    c.rect(0.0, 68.0, width, 2.0, Rgb(178, 132, 92));
}

fn shelf(c: &mut Canvas, rng: &mut Rng, left: f32) {
    c.rect(left, 31.0, 38.0, 2.0, Rgb(120, 84, 56));
    let jars = [Rgb(190, 70, 60), Rgb(90, 130, 90), Rgb(220, 180, 90), Rgb(90, 110, 150)];
    for k in 0..6 {
        let (x, high) = (left + 2.0 + k as f32 * 6.0, rng.between(5.0, 11.0));
        c.rect(x, 31.0 - high, 4.4, high, rng.pick(&jars));
        c.rect(x + 0.5, 30.0 - high, 3.4, 1.4, Rgb(200, 195, 185));
    }
}

/// The beach.
pub fn beach(c: &mut Canvas, scene: &Scene, rng: &mut Rng) {
    let sea = if scene.season == Season::Winter { Rgb(98, 124, 142) } else { Rgb(38, 130, 168) };
    let width = c.width();
    c.gradient(0.0, 46.0, width, 24.0, sea.shade(0.85), sea.shade(1.3));
    strokes(c, rng, 47.0, 120, sea.mix(Rgb(240, 248, 250), 0.4), (6.0, 0.0));
    let sand = ground(Rgb(226, 198, 148), scene.season);
    ridge(c, rng, 67.0, 5.0, 10, Rgb(238, 244, 246));
    ridge(c, rng, 69.0, 4.0, 10, sand);
    strokes(c, rng, 67.0, 700, sand.shade(0.88), (0.9, 0.2));
    let palm = rng.between(0.05, 0.9) * width;
    let lean = rng.between(-9.0, 9.0);
    c.line(&[(palm, 74.0), (palm + lean * 0.4, 52.0), (palm + lean, 32.0)], 2.0, Rgb(120, 92, 62));
    for k in 0..7 {
        let (sin, cos) = (k as f32 * 0.52).sin_cos();
        let tip = (palm + lean + 15.0 * cos, 34.0 - 11.0 * sin + 7.0);
        c.polygon(
            &[(palm + lean, 32.0), (palm + lean + 9.0 * cos, 27.0 - 8.0 * sin), tip],
            foliage(scene.season).shade(0.9),
        );
    }
    for _ in 0..3 {
        let x = rng.between(0.0, width);
        bush(c, rng, x, 71.0, 3.0, ground(Rgb(128, 122, 116), scene.season));
    }
}

/// The mountains.
pub fn mountains(c: &mut Canvas, scene: &Scene, rng: &mut Rng) {
    let snowline = if scene.season == Season::Winter { 0.75 } else { 0.3 };
    let width = c.width();
    for layer in 0..3 {
        let depth = layer as f32 / 2.0;
        let rock = Rgb(104, 108, 122).mix(Rgb(178, 192, 212), 0.55 - 0.27 * depth);
        for _ in 0..4 {
            let (x, high) = (rng.between(0.0, width), rng.between(24.0, 44.0) - 8.0 * depth);
            let (foot, half) = (66.0, high * rng.between(0.7, 1.0));
            let peak = (x, foot - high);
            c.polygon(&[peak, (x + half, foot), (x - half, foot)], rock);
            c.polygon(&[peak, (x + half, foot), (x + half * 0.15, foot)], rock.shade(0.8));
            let (dx, dy) = (half * snowline, high * snowline);
            let cap = [
                peak,
                (x + dx, peak.1 + dy),
                (x + dx * 0.3, peak.1 + dy * 0.75),
                (x, peak.1 + dy * 1.1),
                (x - dx * 0.4, peak.1 + dy * 0.7),
                (x - dx, peak.1 + dy),
            ];
            c.polygon(&cap, Rgb(244, 247, 251));
        }
    }
    ridge(c, rng, 66.0, 5.0, 7, grass(scene.season).shade(0.8));
    for _ in 0..9 {
        let x = rng.between(0.0, width);
        let size = rng.between(2.0, 4.5);
        bush(c, rng, x, 66.0, size, foliage(scene.season).shade(0.8));
    }
    ridge(c, rng, 72.0, 4.0, 9, grass(scene.season));
    strokes(c, rng, 69.0, 650, grass(scene.season).shade(0.86), (0.6, -2.2));
}

/// The garden.
pub fn garden(c: &mut Canvas, scene: &Scene, rng: &mut Rng) {
    let width = c.width();
    for _ in 0..12 {
        let (x, y) = (rng.between(0.0, width), rng.between(34.0, 52.0));
        let size = rng.between(7.0, 14.0);
        bush(c, rng, x, y, size, foliage(scene.season).shade(0.8));
    }
    let fence = ground(Rgb(232, 226, 212), scene.season);
    for k in 0..(width / 3.2) as usize + 1 {
        let x = k as f32 * 3.2;
        c.polygon(
            &[(x, 66.0), (x, 52.0), (x + 1.1, 50.0), (x + 2.2, 52.0), (x + 2.2, 66.0)],
            fence,
        );
    }
    ridge(c, rng, 67.0, 3.0, 9, grass(scene.season));
    let path = rng.between(0.2, 0.8) * width;
    c.polygon(
        &[(path, 65.0), (path + 5.0, 65.0), (path + 24.0, 101.0), (path - 14.0, 101.0)],
        ground(Rgb(186, 168, 140), scene.season),
    );
    strokes(c, rng, 66.0, 500, grass(scene.season).shade(0.82), (0.5, -2.0));
    let flowers = [Rgb(225, 60, 90), Rgb(245, 205, 60), Rgb(245, 245, 245), Rgb(170, 90, 200)];
    let number = match scene.season {
        Season::Spring => 90,
        Season::Summer => 130,
        Season::Autumn => 25,
        Season::Winter => 0,
    };
    for _ in 0..number {
        let (x, y) = (rng.between(0.0, width), rng.between(67.0, 99.0));
        c.circle(x, y, 0.5 + (y - 62.0) / 55.0, rng.pick(&flowers));
    }
}

/// The desert.
pub fn desert(c: &mut Canvas, scene: &Scene, rng: &mut Rng) {
    let sand = ground(
        match scene.season {
            Season::Spring => Rgb(214, 186, 120),
            Season::Autumn => Rgb(190, 122, 72),
            _ => Rgb(222, 164, 96),
        },
        scene.season,
    );
    let mesa = rng.between(0.0, 0.7) * c.width();
    c.polygon(
        &[(mesa, 60.0), (mesa + 6.0, 36.0), (mesa + 30.0, 36.0), (mesa + 38.0, 60.0)],
        sand.mix(Rgb(150, 70, 50), 0.6),
    );
    for layer in 0..3 {
        let y = 58.0 + 6.0 * layer as f32;
        ridge(c, rng, y, 9.0 - 2.0 * layer as f32, 5, sand.shade(0.84 + 0.08 * layer as f32));
    }
    strokes(c, rng, 66.0, 420, sand.shade(0.86), (5.0, 0.6));
    let width = c.width();
    for _ in 0..4 {
        let (x, high) = (rng.between(0.0, width), rng.between(10.0, 22.0));
        let y = 72.0;
        let green = foliage(scene.season).mix(Rgb(70, 120, 80), 0.5);
        c.line(&[(x, y), (x, y - high)], 3.2, green);
        c.line(
            &[(x, y - high * 0.4), (x + 5.0, y - high * 0.45), (x + 5.0, y - high * 0.8)],
            2.2,
            green,
        );
        c.line(
            &[(x, y - high * 0.3), (x - 5.0, y - high * 0.35), (x - 5.0, y - high * 0.6)],
            2.2,
            green,
        );
    }
}
