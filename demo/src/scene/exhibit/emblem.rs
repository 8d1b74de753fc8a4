//! The sign of an exhibit: a board on a post, with an emblem that is told apart at a few pixels.

use std::f32::consts::TAU;

use crate::scene::Emblem;
use crate::scene::canvas::{Canvas, Rgb};

const BOARD: Rgb = Rgb(248, 242, 226);
const INK: Rgb = Rgb(30, 28, 36);
const POST: Rgb = Rgb(96, 70, 52);

/// What is 100 units of the board's drawing.
const SIZE: f32 = 40.0;

/// Draws a sign that stands on the ground at (`x`, `foot`).
pub fn sign(c: &mut Canvas, emblem: Emblem, x: f32, foot: f32) {
    c.place(x, foot, SIZE);
    c.rect(-6.0, -60.0, 12.0, 60.0, POST);
    c.rect(-54.0, -150.0, 108.0, 108.0, POST);
    c.rect(-48.0, -144.0, 96.0, 96.0, BOARD);
    c.place(x, foot - 0.96 * SIZE, SIZE);
    draw(c, emblem);
    c.place_back();
}

/// Draws an emblem around the origin, some 76 units wide.
fn draw(c: &mut Canvas, emblem: Emblem) {
    match emblem {
        Emblem::Star => c.polygon(&star(), INK),
        Emblem::Cross => {
            for side in [1.0, -1.0] {
                c.line(&[(-28.0, -28.0 * side), (28.0, 28.0 * side)], 16.0, INK);
            }
        }
        Emblem::Ring => c.ring(0.0, 0.0, 29.0, 29.0, 14.0, INK),
        Emblem::Triangle => c.polygon(&[(0.0, -36.0), (40.0, 34.0), (-40.0, 34.0)], INK),
        Emblem::Ladder => {
            for y in [-36.0, -9.0, 18.0] {
                c.rect(-38.0, y, 76.0, 16.0, INK);
            }
        }
        Emblem::Moon => {
            c.circle(0.0, 0.0, 36.0, INK);
            c.circle(15.0, -6.0, 29.0, BOARD);
        }
        Emblem::Arrow => {
            c.rect(-10.0, -8.0, 20.0, 44.0, INK);
            c.polygon(&[(0.0, -40.0), (36.0, -2.0), (-36.0, -2.0)], INK);
        }
        Emblem::Chequers => {
            for corner in [-38.0, 0.0] {
                c.rect(corner, corner, 38.0, 38.0, INK);
            }
        }
    }
}

fn star() -> Vec<(f32, f32)> {
    let tip = |k: usize| {
        let radius = if k.is_multiple_of(2) { 42.0 } else { 17.0 };
        let (sin, cos) = (k as f32 * TAU / 10.0).sin_cos();
        (radius * sin, -radius * cos)
    };
    (0..10).map(tip).collect()
}
