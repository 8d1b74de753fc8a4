//! The places: sky, season and time of day, and what all layouts are made of.

mod layout;

use super::canvas::{Canvas, Rgb};
use super::{Place, Scene, Season, Time};
use crate::rng::Rng;

/// Draws the scene's place over the whole canvas.
pub fn draw(canvas: &mut Canvas, scene: &Scene) {
    let mut rng = Rng::new(scene.seed("place"));
    sky(canvas, scene, &mut rng);
    canvas.set_light(light(scene.time));
    match scene.place {
        Place::Harbour => layout::harbour(canvas, scene, &mut rng),
        Place::Forest => layout::forest(canvas, scene, &mut rng),
        Place::Street => layout::street(canvas, scene, &mut rng),
        Place::Kitchen => layout::kitchen(canvas, scene, &mut rng),
        Place::Beach => layout::beach(canvas, scene, &mut rng),
        Place::Mountains => layout::mountains(canvas, scene, &mut rng),
        Place::Garden => layout::garden(canvas, scene, &mut rng),
        Place::Desert => layout::desert(canvas, scene, &mut rng),
    }
    weather(canvas, scene, &mut rng);
}

/// What the time of day multiplies every colour by.
fn light(time: Time) -> [f32; 3] {
    match time {
        Time::Morning => [0.98, 0.94, 0.96],
        Time::Day => [1.0; 3],
        Time::Evening => [0.92, 0.72, 0.62],
        Time::Night => [0.32, 0.36, 0.52],
    }
}

/// The light on objects: dimmer than day at night, but the colour can still be told.
pub fn soft_light(scene: &Scene) -> [f32; 3] {
    light(scene.time).map(|part| 0.45 + 0.55 * part)
}

fn foliage(season: Season) -> Rgb {
    match season {
        Season::Spring => Rgb(150, 200, 95),
        Season::Summer => Rgb(58, 128, 56),
        Season::Autumn => Rgb(208, 122, 42),
        Season::Winter => Rgb(222, 230, 238),
    }
}

fn grass(season: Season) -> Rgb {
    match season {
        Season::Spring => Rgb(136, 186, 88),
        Season::Summer => Rgb(92, 148, 62),
        Season::Autumn => Rgb(168, 138, 72),
        Season::Winter => Rgb(234, 239, 245),
    }
}

/// A ground colour with snow on it in winter.
fn ground(bare: Rgb, season: Season) -> Rgb {
    if season == Season::Winter { bare.mix(Rgb(238, 242, 248), 0.72) } else { bare }
}

fn sky(c: &mut Canvas, scene: &Scene, rng: &mut Rng) {
    let (top, foot) = match scene.time {
        Time::Morning => (Rgb(148, 178, 214), Rgb(250, 216, 200)),
        Time::Day => (Rgb(72, 142, 222), Rgb(196, 224, 245)),
        Time::Evening => (Rgb(92, 70, 126), Rgb(252, 162, 92)),
        Time::Night => (Rgb(10, 15, 40), Rgb(42, 52, 94)),
    };
    let veil = match scene.season {
        Season::Spring => (Rgb(200, 235, 225), 0.16),
        Season::Summer => (Rgb(80, 160, 255), 0.06),
        Season::Autumn => (Rgb(205, 170, 130), 0.24),
        Season::Winter => (Rgb(205, 210, 216), 0.42),
    };
    let dim = if scene.time == Time::Night { 0.25 } else { 1.0 };
    let tint = |colour: Rgb| colour.mix(veil.0.shade(dim), veil.1);
    let width = c.width();
    c.gradient(0.0, 0.0, width, 75.0, tint(top), tint(foot));
    sun_or_moon(c, scene.time, rng);
    let cloud = tint(foot).mix(Rgb(255, 255, 255), 0.45).shade(dim.max(0.5));
    for _ in 0..4 {
        let (x, y) = (rng.between(0.0, width), rng.between(6.0, 30.0));
        for _ in 0..5 {
            let (dx, dy) = (rng.between(-9.0, 9.0), rng.between(-2.0, 2.0));
            c.veil(x + dx, y + dy, rng.between(5.0, 11.0), rng.between(2.0, 4.0), cloud, 0.4);
        }
    }
}

fn sun_or_moon(c: &mut Canvas, time: Time, rng: &mut Rng) {
    let x = rng.between(0.15, 0.85) * c.width();
    match time {
        Time::Morning => c.glow(x, 40.0, 16.0, Rgb(255, 240, 205)),
        Time::Day => c.glow(x, 14.0, 13.0, Rgb(255, 250, 215)),
        Time::Evening => c.glow(x, 50.0, 18.0, Rgb(255, 190, 90)),
        Time::Night => {
            for _ in 0..70 {
                let (x, y) = (rng.between(0.0, c.width()), rng.between(0.0, 55.0));
                c.circle(x, y, rng.between(0.15, 0.45), Rgb(235, 235, 250));
            }
            c.glow(x, 16.0, 11.0, Rgb(190, 200, 235));
            c.circle(x, 16.0, 5.0, Rgb(240, 240, 225));
        }
    }
}

/// Falling snow, falling leaves, petals, shimmer: the season over everything.
fn weather(c: &mut Canvas, scene: &Scene, rng: &mut Rng) {
    let (number, colour, size) = match scene.season {
        Season::Spring => (45, Rgb(250, 195, 215), 0.55),
        Season::Summer => (0, Rgb(255, 255, 255), 0.0),
        Season::Autumn => (55, Rgb(200, 95, 30), 0.7),
        Season::Winter => (190, Rgb(250, 252, 255), 0.5),
    };
    if scene.place == Place::Kitchen {
        return;
    }
    for _ in 0..number {
        let (x, y) = (rng.between(0.0, c.width()), rng.between(0.0, 100.0));
        let r = size * rng.between(0.5, 1.4);
        c.veil(x, y, r * 1.3, r, colour, 0.85);
    }
}

/// Short strokes all over the ground from `top` to the foot, larger towards the viewer.
fn strokes(c: &mut Canvas, rng: &mut Rng, top: f32, number: usize, colour: Rgb, slope: (f32, f32)) {
    for _ in 0..number {
        let (x, y) = (rng.between(-2.0, c.width() + 2.0), rng.between(top, 101.0));
        let near = 0.3 + (y - top) / (100.0 - top);
        let shade = rng.between(0.72, 1.25);
        let (dx, dy) = (slope.0 * near * rng.between(0.6, 1.4), slope.1 * near);
        c.line(&[(x, y), (x + dx, y + dy)], 0.35 + 0.3 * near, colour.shade(shade));
    }
}

/// A rolling outline from left to right, filled down to the foot.
fn ridge(c: &mut Canvas, rng: &mut Rng, y: f32, height: f32, steps: usize, colour: Rgb) {
    let step = c.width() / steps as f32;
    let mut points = vec![(-1.0, 101.0)];
    points.extend((0..=steps).map(|i| (i as f32 * step, y - rng.unit() * height)));
    points.extend([(c.width() + 1.0, y), (c.width() + 1.0, 101.0)]);
    c.polygon(&points, colour);
}

fn bush(c: &mut Canvas, rng: &mut Rng, x: f32, y: f32, size: f32, colour: Rgb) {
    for _ in 0..7 {
        let (dx, dy) = (rng.between(-0.6, 0.6) * size, rng.between(-0.5, 0.3) * size);
        c.circle(
            x + dx,
            y + dy,
            size * rng.between(0.3, 0.55),
            colour.shade(rng.between(0.8, 1.15)),
        );
    }
}

fn building(c: &mut Canvas, rng: &mut Rng, x: f32, foot: f32, size: (f32, f32), scene: &Scene) {
    let walls = [
        Rgb(196, 160, 132),
        Rgb(172, 128, 110),
        Rgb(205, 190, 160),
        Rgb(150, 155, 165),
        Rgb(180, 110, 90),
        Rgb(215, 205, 185),
    ];
    let (width, height) = size;
    let top = foot - height;
    c.rect(x, top, width, height, rng.pick(&walls));
    let roof = ground(Rgb(112, 66, 54), scene.season);
    c.polygon(
        &[(x - 0.8, top), (x + width / 2.0, top - height * 0.22), (x + width + 0.8, top)],
        roof,
    );
    let lit = scene.time == Time::Night || scene.time == Time::Evening;
    let (columns, rows) = ((width / 4.2) as usize, (height / 6.0) as usize);
    for row in 0..rows {
        for column in 0..columns {
            let pane = if lit && rng.unit() < 0.6 { Rgb(255, 222, 130) } else { Rgb(88, 104, 122) };
            let light = window_light(lit, scene.time);
            c.set_light(light);
            c.rect(x + 1.2 + column as f32 * 4.2, top + 2.0 + row as f32 * 6.0, 2.0, 3.0, pane);
            c.set_light(self::light(scene.time));
        }
    }
}

fn window_light(lit: bool, time: Time) -> [f32; 3] {
    if lit { light(time).map(|part| 0.3 + 0.7 * part) } else { light(time) }
}
