//! The objects. Each is drawn in a box from x −50 to 50 and from y −100 (top) to 0 (ground).

use std::f32::consts::{FRAC_PI_6, FRAC_PI_8};

use super::canvas::{Canvas, Rgb};
use super::{Colour, Object, Place, Scene, View, place};
use crate::rng::Rng;

const DARK: Rgb = Rgb(45, 42, 48);
const GLASS: Rgb = Rgb(190, 220, 235);
const WOOD: Rgb = Rgb(120, 82, 52);
const CREAM: Rgb = Rgb(240, 234, 218);

impl Colour {
    fn rgb(self) -> Rgb {
        match self {
            Self::Red => Rgb(205, 40, 38),
            Self::Orange => Rgb(240, 135, 30),
            Self::Yellow => Rgb(245, 215, 50),
            Self::Green => Rgb(40, 150, 70),
            Self::Blue => Rgb(40, 90, 200),
            Self::Purple => Rgb(135, 60, 165),
            Self::White => Rgb(245, 245, 242),
            Self::Black => Rgb(40, 40, 46),
        }
    }
}

/// The paint of a scene's objects.
pub fn paint(scene: &Scene) -> Rgb {
    scene.colour.rgb()
}

/// Draws the scene's objects side by side on the ground of its place.
pub fn draw_all(canvas: &mut Canvas, scene: &Scene) {
    let count = f32::from(scene.count);
    let (size, foot): (f32, f32) = match scene.view {
        View::Near => ((canvas.width() * 0.92 / count).clamp(28.0, 62.0), 88.0),
        View::Far | View::Inside => (21.0, 76.0),
    };
    let foot = if scene.place == Place::Kitchen { foot.min(80.0) } else { foot };
    row(canvas, scene, size, foot);
}

/// Draws the scene's objects in a row at `foot`, `size` units high.
pub fn row(canvas: &mut Canvas, scene: &Scene, size: f32, foot: f32) {
    let mut rng = Rng::new(scene.seed("objects"));
    let width = canvas.width();
    canvas.set_light(place::soft_light(scene));
    for index in 0..scene.count {
        let slot = width / f32::from(scene.count);
        let loose = (slot - size).max(0.0) * 0.4;
        let x = slot * (f32::from(index) + 0.5) + rng.between(-loose, loose);
        let lift = if scene.object == Object::Kite { 0.25 * size } else { 0.0 };
        let foot = foot + rng.between(-2.0, 2.0);
        canvas.place(x, foot, size);
        canvas.veil(0.0, 0.0, 46.0, 5.0, Rgb(20, 22, 30), 0.35);
        canvas.place(x, foot - lift, size);
        draw(canvas, scene.object, paint(scene));
    }
    canvas.place_back();
}

/// Draws one object where the canvas was placed.
pub fn draw(canvas: &mut Canvas, object: Object, paint: Rgb) {
    match object {
        Object::Boat => boat(canvas, paint),
        Object::House => house(canvas, paint),
        Object::Tree => tree(canvas, paint),
        Object::Car => car(canvas, paint),
        Object::Cup => cup(canvas, paint),
        Object::Cat => cat(canvas, paint),
        Object::Lamp => lamp(canvas, paint),
        Object::Bicycle => bicycle(canvas, paint),
        Object::Bird => bird(canvas, paint),
        Object::Chair => chair(canvas, paint),
        Object::Umbrella => umbrella(canvas, paint),
        Object::Kite => kite(canvas, paint),
        Object::Clock => clock(canvas, paint),
        Object::Tent => tent(canvas, paint),
    }
}

fn boat(c: &mut Canvas, p: Rgb) {
    c.line(&[(0.0, -24.0), (0.0, -98.0)], 2.4, WOOD);
    c.polygon(&[(3.0, -95.0), (3.0, -30.0), (40.0, -30.0)], CREAM);
    c.polygon(&[(-3.0, -88.0), (-3.0, -30.0), (-34.0, -30.0)], p);
    c.polygon(&[(-50.0, -26.0), (50.0, -26.0), (36.0, 0.0), (-38.0, 0.0)], p);
    c.polygon(&[(-50.0, -26.0), (50.0, -26.0), (48.0, -21.0), (-48.0, -21.0)], CREAM);
    for x in [-22.0, 0.0, 22.0] {
        c.circle(x, -12.0, 3.6, DARK);
        c.circle(x, -12.0, 2.4, GLASS);
    }
}

fn house(c: &mut Canvas, p: Rgb) {
    c.rect(18.0, -92.0, 10.0, 24.0, Rgb(140, 70, 55));
    c.rect(-38.0, -58.0, 76.0, 58.0, p);
    c.polygon(&[(-46.0, -56.0), (0.0, -94.0), (46.0, -56.0)], Rgb(110, 62, 50));
    c.rect(-9.0, -30.0, 18.0, 30.0, WOOD);
    c.circle(5.0, -15.0, 1.6, Rgb(230, 200, 90));
    for x in [-30.0, 14.0] {
        c.rect(x, -46.0, 16.0, 16.0, CREAM);
        c.rect(x + 2.0, -44.0, 12.0, 12.0, Rgb(250, 225, 140));
        c.line(&[(x + 8.0, -44.0), (x + 8.0, -32.0)], 1.4, CREAM);
        c.line(&[(x + 2.0, -38.0), (x + 14.0, -38.0)], 1.4, CREAM);
    }
}

fn tree(c: &mut Canvas, p: Rgb) {
    c.polygon(&[(-7.0, 0.0), (-4.0, -50.0), (4.0, -50.0), (8.0, 0.0)], WOOD);
    c.line(&[(0.0, -38.0), (20.0, -56.0)], 4.0, WOOD);
    let crown = [(-22.0, -54.0, 20.0), (22.0, -56.0, 20.0), (0.0, -50.0, 20.0)];
    for (x, y, r) in crown.into_iter().chain([(-13.0, -74.0, 19.0), (14.0, -76.0, 18.0)]) {
        c.circle(x, y, r, p.shade(0.85));
    }
    for (x, y, r) in [(0.0, -84.0, 15.0), (-16.0, -62.0, 12.0), (16.0, -64.0, 12.0)] {
        c.circle(x, y, r, p);
    }
}

fn car(c: &mut Canvas, p: Rgb) {
    c.polygon(&[(-28.0, -30.0), (-18.0, -50.0), (16.0, -50.0), (30.0, -30.0)], p.shade(0.9));
    c.polygon(&[(-23.0, -31.0), (-15.0, -46.0), (-2.0, -46.0), (-2.0, -31.0)], GLASS);
    c.polygon(&[(2.0, -31.0), (2.0, -46.0), (14.0, -46.0), (24.0, -31.0)], GLASS);
    let body = [
        (-50.0, -10.0),
        (-49.0, -27.0),
        (-30.0, -31.0),
        (32.0, -31.0),
        (48.0, -25.0),
        (50.0, -10.0),
    ];
    c.polygon(&body, p);
    c.line(&[(0.0, -30.0), (0.0, -11.0)], 0.9, p.shade(0.6));
    c.rect(44.0, -24.0, 5.0, 5.0, Rgb(255, 240, 170));
    c.rect(-50.0, -24.0, 4.0, 5.0, Rgb(200, 40, 40));
    for x in [-28.0, 28.0] {
        c.circle(x, -10.0, 11.0, DARK);
        c.circle(x, -10.0, 5.0, Rgb(190, 190, 195));
    }
}

fn cup(c: &mut Canvas, p: Rgb) {
    c.ellipse(0.0, -3.0, 46.0, 6.0, CREAM);
    c.ring(34.0, -36.0, 14.0, 15.0, 6.0, p.shade(0.8));
    c.polygon(&[(-34.0, -62.0), (34.0, -62.0), (22.0, -5.0), (-22.0, -5.0)], p);
    c.ellipse(0.0, -5.0, 22.0, 4.0, p.shade(0.75));
    c.ellipse(0.0, -62.0, 34.0, 8.0, p.shade(1.2));
    c.ellipse(0.0, -61.0, 29.0, 6.0, Rgb(80, 50, 32));
    c.line(&[(-20.0, -50.0), (-15.0, -16.0)], 3.0, p.mix(CREAM, 0.5));
    for x in [-12.0, 0.0, 12.0] {
        let steam = [(x, -70.0), (x + 4.0, -77.0), (x - 3.0, -85.0), (x + 3.0, -95.0)];
        c.line(&steam, 1.8, Rgb(225, 225, 228));
    }
}

fn cat(c: &mut Canvas, p: Rgb) {
    let tail = [(22.0, -8.0), (38.0, -10.0), (44.0, -24.0), (40.0, -40.0), (46.0, -50.0)];
    c.line(&tail, 7.0, p.shade(0.8));
    c.ellipse(2.0, -28.0, 25.0, 29.0, p);
    c.ellipse(-10.0, -4.0, 9.0, 5.0, p.shade(0.85));
    c.ellipse(12.0, -4.0, 9.0, 5.0, p.shade(0.85));
    c.polygon(&[(-22.0, -72.0), (-20.0, -98.0), (-4.0, -82.0)], p);
    c.polygon(&[(22.0, -72.0), (20.0, -98.0), (4.0, -82.0)], p);
    c.circle(0.0, -68.0, 22.0, p);
    for x in [-8.0, 8.0] {
        c.ellipse(x, -70.0, 4.6, 5.4, Rgb(170, 205, 90));
        c.ellipse(x, -70.0, 1.5, 4.8, DARK);
    }
    c.polygon(&[(-3.0, -61.0), (3.0, -61.0), (0.0, -57.0)], Rgb(230, 140, 140));
    for (from, to) in [(-8.0, -30.0), (8.0, 30.0)] {
        c.line(&[(from, -59.0), (to, -62.0)], 0.9, Rgb(150, 145, 145));
        c.line(&[(from, -57.0), (to, -54.0)], 0.9, Rgb(150, 145, 145));
    }
}

fn lamp(c: &mut Canvas, p: Rgb) {
    c.glow(0.0, -60.0, 48.0, Rgb(255, 225, 130));
    c.ellipse(0.0, -4.0, 22.0, 5.0, DARK);
    c.line(&[(0.0, -5.0), (0.0, -62.0)], 4.0, DARK.shade(1.6));
    c.ellipse(0.0, -58.0, 9.0, 8.0, Rgb(255, 240, 180));
    c.polygon(&[(-18.0, -98.0), (18.0, -98.0), (36.0, -58.0), (-36.0, -58.0)], p);
    c.line(&[(-36.0, -58.0), (36.0, -58.0)], 2.5, p.shade(0.6));
    c.line(&[(-18.0, -98.0), (18.0, -98.0)], 2.0, p.shade(0.6));
    c.line(&[(14.0, -58.0), (14.0, -44.0)], 1.0, CREAM);
}

fn bicycle(c: &mut Canvas, p: Rgb) {
    for x in [-29.0, 29.0] {
        c.ring(x, -20.0, 19.0, 19.0, 3.6, DARK);
        for step in 0..6 {
            let (sin, cos) = (step as f32 * FRAC_PI_6).sin_cos();
            let (dx, dy) = (17.0 * cos, 17.0 * sin);
            c.line(&[(x - dx, -20.0 - dy), (x + dx, -20.0 + dy)], 0.7, Rgb(170, 170, 175));
        }
    }
    let frame = [(-29.0, -20.0), (-12.0, -52.0), (20.0, -52.0), (-2.0, -20.0), (-29.0, -20.0)];
    c.line(&frame, 5.0, p);
    c.line(&[(-14.0, -60.0), (-2.0, -20.0)], 5.0, p);
    c.line(&[(16.0, -68.0), (29.0, -20.0)], 5.0, p);
    c.line(&[(10.0, -72.0), (16.0, -68.0), (26.0, -72.0)], 3.4, DARK);
    c.line(&[(-23.0, -61.0), (-7.0, -61.0)], 5.5, DARK);
    c.circle(-2.0, -20.0, 5.0, DARK.shade(1.5));
}

fn bird(c: &mut Canvas, p: Rgb) {
    for x in [-4.0, 8.0] {
        c.line(&[(x, -18.0), (x, 0.0), (x - 7.0, 0.0)], 2.4, Rgb(225, 140, 40));
    }
    c.polygon(&[(22.0, -40.0), (50.0, -50.0), (48.0, -34.0), (24.0, -26.0)], p.shade(0.7));
    c.ellipse(2.0, -38.0, 31.0, 23.0, p);
    c.ellipse(-6.0, -30.0, 18.0, 13.0, p.mix(CREAM, 0.6));
    c.polygon(&[(-36.0, -76.0), (-50.0, -68.0), (-36.0, -64.0)], Rgb(240, 165, 40));
    c.circle(-24.0, -68.0, 17.0, p);
    c.circle(-29.0, -72.0, 3.6, CREAM);
    c.circle(-30.0, -72.0, 2.0, DARK);
    c.polygon(&[(-6.0, -50.0), (30.0, -42.0), (10.0, -24.0)], p.shade(0.6));
}

fn chair(c: &mut Canvas, p: Rgb) {
    c.line(&[(-26.0, -46.0), (-26.0, -96.0)], 6.0, p.shade(0.75));
    c.line(&[(20.0, -46.0), (20.0, -96.0)], 6.0, p.shade(0.75));
    for y in [-92.0, -78.0, -64.0] {
        c.rect(-26.0, y, 46.0, 8.0, p);
    }
    c.line(&[(-18.0, -40.0), (-18.0, -8.0)], 5.0, p.shade(0.55));
    c.line(&[(28.0, -40.0), (28.0, -8.0)], 5.0, p.shade(0.55));
    c.polygon(&[(-30.0, -48.0), (26.0, -48.0), (36.0, -38.0), (-38.0, -38.0)], p);
    c.line(&[(-34.0, -37.0), (-34.0, 0.0)], 6.0, p.shade(0.7));
    c.line(&[(32.0, -37.0), (32.0, 0.0)], 6.0, p.shade(0.7));
}

fn umbrella(c: &mut Canvas, p: Rgb) {
    c.line(&[(0.0, -92.0), (0.0, -8.0), (4.0, -2.0), (10.0, -2.0), (13.0, -9.0)], 3.4, WOOD);
    let rim = |k: f32| (50.0 * (k * FRAC_PI_8).cos(), -46.0 - 46.0 * (k * FRAC_PI_8).sin());
    let dome: Vec<(f32, f32)> = (0..=8).map(|k| rim(k as f32)).collect();
    c.polygon(&dome, p);
    for k in 0..4 {
        let x = -50.0 + 25.0 * k as f32;
        c.polygon(&[(x, -47.0), (x + 12.5, -41.0), (x + 25.0, -47.0)], p.shade(0.8));
        let shade = if k % 2 == 0 { 0.72 } else { 0.9 };
        c.polygon(&[(0.0, -91.0), (x, -46.0), (x + 25.0, -46.0)], p.shade(shade));
    }
    c.line(&[(0.0, -92.0), (0.0, -99.0)], 2.6, DARK);
}

fn kite(c: &mut Canvas, p: Rgb) {
    c.line(&[(0.0, -30.0), (-10.0, 0.0), (-30.0, 22.0)], 0.8, CREAM);
    c.polygon(&[(0.0, -100.0), (34.0, -68.0), (0.0, -22.0), (-34.0, -68.0)], p);
    c.polygon(&[(0.0, -100.0), (34.0, -68.0), (0.0, -68.0)], p.shade(0.7));
    c.polygon(&[(0.0, -22.0), (-34.0, -68.0), (0.0, -68.0)], p.shade(0.7));
    c.line(&[(0.0, -100.0), (0.0, -22.0)], 1.4, WOOD);
    c.line(&[(-34.0, -68.0), (34.0, -68.0)], 1.4, WOOD);
    c.line(&[(0.0, -22.0), (8.0, -14.0), (2.0, -6.0), (12.0, 2.0)], 1.6, p.shade(0.8));
    for (x, y) in [(8.0, -14.0), (2.0, -6.0), (12.0, 2.0)] {
        c.polygon(
            &[(x - 7.0, y - 3.0), (x + 7.0, y + 3.0), (x + 7.0, y - 3.0), (x - 7.0, y + 3.0)],
            p,
        );
    }
}

fn clock(c: &mut Canvas, p: Rgb) {
    c.polygon(&[(-22.0, 0.0), (-16.0, -8.0), (16.0, -8.0), (22.0, 0.0)], p.shade(0.7));
    c.rect(-5.0, -50.0, 10.0, 44.0, p.shade(0.8));
    c.circle(0.0, -68.0, 31.0, p);
    c.circle(0.0, -68.0, 24.0, CREAM);
    for step in 0..12 {
        let (sin, cos) = (step as f32 * FRAC_PI_6).sin_cos();
        let (x, y) = (20.0 * cos, 20.0 * sin);
        c.line(&[(x, y - 68.0), (x * 0.86, y * 0.86 - 68.0)], 1.8, DARK);
    }
    c.line(&[(0.0, -68.0), (0.0, -85.0)], 2.2, DARK);
    c.line(&[(0.0, -68.0), (11.0, -62.0)], 3.0, DARK);
    c.circle(0.0, -68.0, 2.4, p.shade(0.7));
}

fn tent(c: &mut Canvas, p: Rgb) {
    c.line(&[(-4.0, -74.0), (-50.0, -2.0)], 1.2, CREAM);
    c.polygon(&[(-6.0, -72.0), (18.0, -72.0), (50.0, 0.0), (30.0, 0.0)], p.shade(0.65));
    c.polygon(&[(-6.0, -74.0), (32.0, 0.0), (-46.0, 0.0)], p);
    c.polygon(&[(-6.0, -58.0), (8.0, 0.0), (-20.0, 0.0)], DARK);
    c.polygon(&[(-6.0, -58.0), (-20.0, 0.0), (-28.0, 0.0)], p.mix(CREAM, 0.35));
    c.line(&[(-6.0, -74.0), (-6.0, -84.0)], 1.8, WOOD);
    c.polygon(&[(-6.0, -84.0), (6.0, -80.0), (-6.0, -76.0)], p.shade(1.15));
}
