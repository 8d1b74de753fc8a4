//! Shapes on a picture: anti-aliased fills and strokes in units of a hundredth of the height.
//!
//! Every colour that is drawn is multiplied by the canvas's light first, so that night falls on all
//! shapes alike, and fills run from lighter to darker, so that nothing is flat.

use tiny_skia::{
    Color, FillRule, GradientStop, LineCap, LineJoin, LinearGradient, Paint, Path, PathBuilder,
    Pixmap, Point, Rect, Shader, SpreadMode, Stroke, Transform,
};

/// An opaque colour.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rgb(pub u8, pub u8, pub u8);

impl Rgb {
    /// Lighter (`by` above 1) or darker.
    pub fn shade(self, by: f32) -> Self {
        let part =
            |v: u8| (f32::from(v) * by + if by > 1.0 { 10.0 * (by - 1.0) } else { 0.0 }) as u8;
        Self(part(self.0), part(self.1), part(self.2))
    }

    /// This colour with `share` of another.
    pub fn mix(self, other: Self, share: f32) -> Self {
        let part = |a: u8, b: u8| (f32::from(a) * (1.0 - share) + f32::from(b) * share) as u8;
        Self(part(self.0, other.0), part(self.1, other.1), part(self.2, other.2))
    }
}

/// A picture in the making.
pub struct Canvas {
    pixmap: Pixmap,
    base: Transform,
    at: Transform,
    light: [f32; 3],
}

impl Canvas {
    /// A black picture of `width` × `height` pixels, at least 1 × 1.
    pub fn new(width: u32, height: u32) -> Self {
        let pixmap = Pixmap::new(width.max(1), height.max(1)).expect("neither side is 0");
        let base = Transform::from_scale(height as f32 / 100.0, height as f32 / 100.0);
        Self { pixmap, base, at: base, light: [1.0; 3] }
    }

    /// The pixels.
    pub fn pixmap(&self) -> &Pixmap {
        &self.pixmap
    }

    /// The width in units; the height is 100.
    pub fn width(&self) -> f32 {
        self.pixmap.width() as f32 / self.base.sx
    }

    /// Draws what follows with (`x`, `y`) as origin and `size` units as 100.
    pub fn place(&mut self, x: f32, y: f32, size: f32) {
        self.at = self.base.pre_translate(x, y).pre_scale(size / 100.0, size / 100.0);
    }

    /// Ends [`Self::place`].
    pub fn place_back(&mut self) {
        self.at = self.base;
    }

    /// Multiplies every colour from here on.
    pub fn set_light(&mut self, light: [f32; 3]) {
        self.light = light;
    }

    /// A polygon, shaded from its top to its foot.
    pub fn polygon(&mut self, points: &[(f32, f32)], colour: Rgb) {
        if let Some(path) = polyline(points, true) {
            self.fill_shaded(&path, colour);
        }
    }

    /// A rectangle, shaded.
    pub fn rect(&mut self, x: f32, y: f32, width: f32, height: f32, colour: Rgb) {
        if let Some(rect) = Rect::from_xywh(x, y, width, height) {
            self.fill_shaded(&PathBuilder::from_rect(rect), colour);
        }
    }

    /// An ellipse around (`x`, `y`), shaded.
    pub fn ellipse(&mut self, x: f32, y: f32, rx: f32, ry: f32, colour: Rgb) {
        if let Some(path) = oval(x, y, rx, ry) {
            self.fill_shaded(&path, colour);
        }
    }

    /// A circle, shaded.
    pub fn circle(&mut self, x: f32, y: f32, radius: f32, colour: Rgb) {
        self.ellipse(x, y, radius, radius, colour);
    }

    /// A see-through ellipse of one colour: glow, shadow, haze.
    pub fn veil(&mut self, x: f32, y: f32, rx: f32, ry: f32, colour: Rgb, alpha: f32) {
        if let Some(path) = oval(x, y, rx, ry) {
            let shader = Shader::SolidColor(self.lit(colour, alpha));
            self.fill(&path, shader, FillRule::Winding);
        }
    }

    /// A soft glow that no light dims.
    pub fn glow(&mut self, x: f32, y: f32, radius: f32, colour: Rgb) {
        let light = std::mem::replace(&mut self.light, [1.0; 3]);
        for step in 1..=6 {
            let radius = radius * step as f32 / 6.0;
            self.veil(x, y, radius, radius, colour, 0.11);
        }
        self.light = light;
    }

    /// A rectangle from one colour at the top to another at the foot.
    pub fn gradient(&mut self, x: f32, y: f32, width: f32, height: f32, top: Rgb, foot: Rgb) {
        let Some(rect) = Rect::from_xywh(x, y, width, height) else { return };
        let shader = self.vertical(y, y + height, top, foot);
        self.fill(&PathBuilder::from_rect(rect), shader, FillRule::Winding);
    }

    /// A line through points, or around them.
    pub fn line(&mut self, points: &[(f32, f32)], width: f32, colour: Rgb) {
        if let Some(path) = polyline(points, false) {
            self.stroke(&path, width, colour);
        }
    }

    /// The outline of an ellipse.
    pub fn ring(&mut self, x: f32, y: f32, rx: f32, ry: f32, width: f32, colour: Rgb) {
        if let Some(path) = oval(x, y, rx, ry) {
            self.stroke(&path, width, colour);
        }
    }

    /// A wall over everything, with holes.
    pub fn wall(&mut self, holes: &[Path], colour: Rgb) {
        let Some(all) = Rect::from_xywh(-1.0, -1.0, self.width() + 2.0, 102.0) else { return };
        let mut builder = PathBuilder::from_rect(all).clear();
        builder.push_rect(all);
        for hole in holes {
            builder.push_path(hole);
        }
        if let Some(path) = builder.finish() {
            let shader = self.vertical(0.0, 100.0, colour.shade(1.1), colour.shade(0.75));
            self.fill(&path, shader, FillRule::EvenOdd);
        }
    }

    /// The outline of a path.
    pub fn stroke(&mut self, path: &Path, width: f32, colour: Rgb) {
        let paint = Paint {
            shader: Shader::SolidColor(self.lit(colour, 1.0)),
            anti_alias: true,
            ..Paint::default()
        };
        let stroke = Stroke {
            width,
            line_cap: LineCap::Round,
            line_join: LineJoin::Round,
            ..Stroke::default()
        };
        self.pixmap.stroke_path(path, &paint, &stroke, self.at, None);
    }

    fn fill_shaded(&mut self, path: &Path, colour: Rgb) {
        let bounds = path.bounds();
        let shader =
            self.vertical(bounds.top(), bounds.bottom(), colour.shade(1.12), colour.shade(0.8));
        self.fill(path, shader, FillRule::Winding);
    }

    fn fill(&mut self, path: &Path, shader: Shader<'_>, rule: FillRule) {
        let paint = Paint { shader, anti_alias: true, ..Paint::default() };
        self.pixmap.fill_path(path, &paint, rule, self.at, None);
    }

    fn vertical(&self, top: f32, foot: f32, first: Rgb, last: Rgb) -> Shader<'static> {
        let (first, last) = (self.lit(first, 1.0), self.lit(last, 1.0));
        let stops = vec![GradientStop::new(0.0, first), GradientStop::new(1.0, last)];
        let (from, to) = (Point::from_xy(0.0, top), Point::from_xy(0.0, foot));
        LinearGradient::new(from, to, stops, SpreadMode::Pad, Transform::identity())
            .unwrap_or(Shader::SolidColor(first))
    }

    fn lit(&self, colour: Rgb, alpha: f32) -> Color {
        let part = |v: u8, light: f32| (f32::from(v) * light).min(255.0) as u8;
        let [r, g, b] = self.light;
        Color::from_rgba8(
            part(colour.0, r),
            part(colour.1, g),
            part(colour.2, b),
            (alpha * 255.0) as u8,
        )
    }
}

/// The path through `points`.
pub fn polyline(points: &[(f32, f32)], closed: bool) -> Option<Path> {
    let mut builder = PathBuilder::new();
    for (index, &(x, y)) in points.iter().enumerate() {
        if index == 0 { builder.move_to(x, y) } else { builder.line_to(x, y) }
    }
    if closed {
        builder.close();
    }
    builder.finish()
}

/// The ellipse around (`x`, `y`).
pub fn oval(x: f32, y: f32, rx: f32, ry: f32) -> Option<Path> {
    PathBuilder::from_oval(Rect::from_ltrb(x - rx, y - ry, x + rx, y + ry)?)
}
