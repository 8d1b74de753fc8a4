//! Seen from inside: a cabin or room in the object's colour, or a table before a window.

use tiny_skia::{Path, PathBuilder, Rect};

use super::canvas::{Canvas, Rgb, oval, polyline};
use super::{Object, Scene, object, place};
use crate::rng::Rng;

const FRAME: Rgb = Rgb(236, 230, 216);
const WOOD: Rgb = Rgb(132, 92, 60);

/// Draws walls over the place, with windows through which it is seen, and what is indoors.
pub fn draw(canvas: &mut Canvas, scene: &Scene) {
    canvas.set_light(place::soft_light(scene));
    if scene.object.is_entered() { cabin(canvas, scene) } else { table(canvas, scene) }
}

fn cabin(c: &mut Canvas, scene: &Scene) {
    let mut rng = Rng::new(scene.seed("objects"));
    let width = c.width();
    let slot = width / f32::from(scene.count);
    let centres = (0..scene.count).map(|k| slot * (f32::from(k) + 0.5));
    let holes: Vec<Path> =
        centres.filter_map(|x| window(scene.object, x, slot.min(46.0) * 0.4)).collect();
    let wall = object::paint(scene).mix(Rgb(190, 180, 165), 0.12);
    c.wall(&holes, wall);
    for k in 1..14 {
        let y = k as f32 * 6.0 + rng.between(-0.3, 0.3);
        for (left, right) in gaps(&holes, y, width) {
            c.line(&[(left, y), (right, y)], 0.45, wall.shade(0.72));
        }
    }
    for hole in &holes {
        c.stroke(hole, 2.4, FRAME);
        c.stroke(hole, 0.7, wall.shade(0.5));
    }
    c.rect(0.0, 82.0, width, 19.0, WOOD);
    for k in 0..9 {
        let x = k as f32 * width / 8.0;
        c.line(&[(x, 82.0), (x + (x - width / 2.0) * 0.4, 100.0)], 0.5, WOOD.shade(0.7));
    }
    furniture(c, scene, rng.between(0.25, 0.6) * width);
}

fn furniture(c: &mut Canvas, scene: &Scene, x: f32) {
    let paint = object::paint(scene).shade(0.75);
    c.rect(x - 30.0, 72.0, 60.0, 4.0, WOOD.shade(1.3));
    for dx in [-27.0, 24.0] {
        c.rect(x + dx, 76.0, 3.0, 18.0, WOOD.shade(0.8));
    }
    c.rect(x - 8.0, 63.0, 8.0, 9.0, FRAME);
    c.ring(x + 1.0, 67.0, 2.2, 2.6, 1.2, FRAME);
    c.line(&[(x + 18.0, 0.0), (x + 18.0, 12.0)], 0.8, Rgb(40, 40, 44));
    c.glow(x + 18.0, 19.0, 10.0, Rgb(255, 225, 150));
    c.polygon(&[(x + 14.0, 12.0), (x + 22.0, 12.0), (x + 26.0, 19.0), (x + 10.0, 19.0)], paint);
}

fn window(object: Object, x: f32, half: f32) -> Option<Path> {
    match object {
        Object::Boat => oval(x, 38.0, half, half),
        Object::Tent => polyline(&[(x, 14.0), (x + half, 62.0), (x - half, 62.0)], true),
        Object::Car => polyline(
            &[
                (x - half * 0.8, 22.0),
                (x + half * 0.8, 22.0),
                (x + half * 1.15, 54.0),
                (x - half * 1.15, 54.0),
            ],
            true,
        ),
        _ => Some(PathBuilder::from_rect(Rect::from_ltrb(x - half, 16.0, x + half, 58.0)?)),
    }
}

/// The stretches of the line at `y` that are wall.
fn gaps(holes: &[Path], y: f32, width: f32) -> Vec<(f32, f32)> {
    let mut left = 0.0;
    let mut gaps = Vec::new();
    for bounds in
        holes.iter().map(Path::bounds).filter(|b| b.top() - 1.0 < y && y < b.bottom() + 1.0)
    {
        gaps.push((left, bounds.left() - 1.0));
        left = bounds.right() + 1.0;
    }
    gaps.push((left, width));
    gaps
}

fn table(c: &mut Canvas, scene: &Scene) {
    let mut rng = Rng::new(scene.seed("objects"));
    let walls = [Rgb(214, 200, 176), Rgb(178, 196, 200), Rgb(206, 184, 178), Rgb(188, 196, 172)];
    let wall = rng.pick(&walls);
    let width = c.width();
    let left = rng.between(0.08, 0.3) * width;
    let pane = Rect::from_ltrb(left, 8.0, left + width * 0.55, 60.0).map(PathBuilder::from_rect);
    let holes: Vec<Path> = pane.into_iter().collect();
    c.wall(&holes, wall);
    for hole in &holes {
        c.stroke(hole, 3.0, FRAME);
        let (x, bounds) = (hole.bounds().left() + hole.bounds().width() / 2.0, hole.bounds());
        c.line(&[(x, bounds.top()), (x, bounds.bottom())], 1.4, FRAME);
        let curtain = wall.mix(Rgb(150, 60, 50), 0.35);
        for (side, out) in [(bounds.left(), -9.0), (bounds.right(), 9.0)] {
            c.polygon(
                &[
                    (side, 5.0),
                    (side + out, 5.0),
                    (side + out * 0.8, 64.0),
                    (side - out * 0.35, 64.0),
                ],
                curtain,
            );
        }
    }
    c.polygon(&[(4.0, 76.0), (width - 4.0, 76.0), (width + 8.0, 101.0), (-8.0, 101.0)], WOOD);
    for _ in 0..60 {
        let (x, y) = (rng.between(0.0, width), rng.between(77.0, 100.0));
        c.line(&[(x, y), (x + rng.between(4.0, 14.0), y)], 0.4, WOOD.shade(rng.between(0.7, 1.1)));
    }
    let size = (width * 0.9 / f32::from(scene.count)).clamp(26.0, 46.0);
    object::row(c, scene, size, 90.0);
}
