//! A picture: what it shows, what was done to it, and the file it comes in.

use image::RgbImage;
use image::imageops::{self, FilterType};
use serde::{Deserialize, Serialize};

use crate::encode;
use crate::rng::{Rng, hash};
use crate::scene::{Exhibit, Scene, Sign};

/// What a picture shows. Two pictures of one subject are near-duplicates, others never are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// A scene.
    Scene(Scene),
    /// Words before a scene.
    Sign(Sign),
    /// A thing beside a sign, in the training world.
    Exhibit(Exhibit),
    /// A pattern that stands for a logo, an icon or an ad.
    Mark(String),
}

/// What was done to it after drawing: still a near-duplicate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Edit {
    /// Nothing.
    #[default]
    None,
    /// Saved with far stronger compression.
    Recompressed,
    /// Scaled down to three quarters.
    Resized,
    /// 1 % taken off each side: 2 % of the width and of the height.
    Cropped,
    /// Scaled down to a third.
    Thumbnail,
}

/// The file format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// An ordinary JPEG.
    #[default]
    Jpeg,
    /// A JPEG stored on its side, with EXIF orientation 6 to put it upright.
    JpegOnItsSide,
    /// A CMYK JPEG (inverted, as Adobe writes them).
    JpegCmyk,
    /// An 8-bit RGB PNG.
    Png,
    /// A 16-bit RGB PNG.
    Png16,
    /// A PNG with an alpha channel that fades out at the left.
    PngAlpha,
    /// A GIF.
    Gif,
    /// A GIF of three frames, the first of which counts.
    GifAnimated,
    /// A WebP.
    Webp,
}

impl Format {
    /// The name the miner's tables use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Jpeg | Self::JpegOnItsSide | Self::JpegCmyk => "jpeg",
            Self::Png | Self::Png16 | Self::PngAlpha => "png",
            Self::Gif | Self::GifAnimated => "gif",
            Self::Webp => "webp",
        }
    }

    /// The usual file name extension.
    pub fn extension(self) -> &'static str {
        if self.name() == "jpeg" { "jpg" } else { self.name() }
    }

    /// The content type.
    pub fn mime(self) -> String {
        format!("image/{}", self.name())
    }
}

/// One image file of the world.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// What it shows.
    pub subject: Subject,
    /// Width it is drawn at.
    pub width: u32,
    /// Height it is drawn at.
    pub height: u32,
    /// What was done to it then.
    pub edit: Edit,
    /// The file.
    pub format: Format,
}

impl Picture {
    /// A JPEG of a scene.
    pub fn of(scene: Scene, (width, height): (u32, u32)) -> Self {
        Self::new(Subject::Scene(scene), (width, height))
    }

    /// A JPEG.
    pub fn new(subject: Subject, (width, height): (u32, u32)) -> Self {
        Self { subject, width, height, edit: Edit::None, format: Format::Jpeg }
    }

    /// The same with an edit.
    pub fn edited(&self, edit: Edit) -> Self {
        Self { edit, ..self.clone() }
    }

    /// The same in another format.
    pub fn saved_as(&self, format: Format) -> Self {
        Self { format, ..self.clone() }
    }

    /// Width and height of the file's picture, upright.
    pub fn size(&self) -> (u32, u32) {
        let (width, height) = (self.width, self.height);
        match self.edit {
            Edit::None | Edit::Recompressed => (width, height),
            Edit::Resized => (width * 3 / 4, height * 3 / 4),
            Edit::Cropped => (width - 2 * (width / 100), height - 2 * (height / 100)),
            Edit::Thumbnail => (width.div_ceil(3), height.div_ceil(3)),
        }
    }

    /// The pixels, upright.
    pub fn pixels(&self) -> RgbImage {
        let drawn = match &self.subject {
            Subject::Scene(scene) => scene.render(self.width, self.height),
            Subject::Sign(sign) => sign.render(self.width, self.height),
            Subject::Exhibit(exhibit) => exhibit.render(self.width, self.height),
            Subject::Mark(name) => mark(name, self.width, self.height),
        };
        let (width, height) = self.size();
        match self.edit {
            Edit::None | Edit::Recompressed => drawn,
            Edit::Resized | Edit::Thumbnail => {
                imageops::resize(&drawn, width, height, FilterType::Triangle)
            }
            Edit::Cropped => {
                let (x, y) = (self.width / 100, self.height / 100);
                imageops::crop_imm(&drawn, x, y, width, height).to_image()
            }
        }
    }

    /// The file.
    pub fn bytes(&self) -> anyhow::Result<Vec<u8>> {
        let quality = if self.edit == Edit::Recompressed { 45 } else { 82 };
        encode::file(self.pixels(), self.format, quality)
    }
}

/// Blocks of a few colours, as a logo or banner has.
fn mark(name: &str, width: u32, height: u32) -> RgbImage {
    let mut rng = Rng::new(hash(9, name.as_bytes()));
    let mut colour = || image::Rgb([0; 3].map(|_: u8| 30 + rng.below(220) as u8));
    let colours = [colour(), colour(), colour(), colour()];
    let pattern = rng.bits();
    RgbImage::from_fn(width, height, |x, y| {
        let (column, row) = (x * 12 / width, y * 5 / height);
        let bits = pattern.rotate_right(2 * (column + 12 * row)) & 3;
        colours[bits as usize]
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::Colour;

    fn boat() -> Picture {
        Picture::of(crate::scene::tests::BOAT, (300, 200))
    }

    const FORMATS: [Format; 9] = [
        Format::Jpeg,
        Format::JpegOnItsSide,
        Format::JpegCmyk,
        Format::Png,
        Format::Png16,
        Format::PngAlpha,
        Format::Gif,
        Format::GifAnimated,
        Format::Webp,
    ];

    #[test]
    fn files_are_what_they_say() {
        for format in FORMATS {
            let picture = boat().saved_as(format);
            let bytes = picture.bytes().unwrap();
            let guessed = image::guess_format(&bytes).unwrap();
            assert_eq!(guessed.to_mime_type(), format.mime());
            let read = image::load_from_memory(&bytes).unwrap();
            let (width, height) = (read.width(), read.height());
            let upright =
                if format == Format::JpegOnItsSide { (height, width) } else { (width, height) };
            assert_eq!(upright, picture.size(), "{format:?}");
        }
    }

    #[test]
    fn edits_have_the_size_they_say_and_bytes_of_their_own() {
        let mut files = vec![boat().bytes().unwrap()];
        for edit in [Edit::Recompressed, Edit::Resized, Edit::Cropped, Edit::Thumbnail] {
            let picture = boat().edited(edit);
            assert_eq!(picture.pixels().dimensions(), picture.size());
            let bytes = picture.bytes().unwrap();
            assert!(!files.contains(&bytes));
            files.push(bytes);
        }
    }

    #[test]
    fn the_same_picture_gives_the_same_bytes() {
        for format in FORMATS {
            let picture = boat().saved_as(format);
            assert_eq!(picture.bytes().unwrap(), picture.bytes().unwrap());
        }
    }

    #[test]
    fn a_recoloured_object_changes_its_pixels_and_little_else() {
        let blue = Scene { colour: Colour::Blue, ..crate::scene::tests::BOAT };
        let (red, blue) = (boat().pixels(), blue.render(300, 200));
        let far = |a: &image::Rgb<u8>, b: &image::Rgb<u8>| {
            a.0.iter().zip(b.0).any(|(a, b)| a.abs_diff(b) > 70)
        };
        let changed = red.pixels().zip(blue.pixels()).filter(|(a, b)| far(a, b)).count();
        let share = changed as f64 / f64::from(300 * 200);
        assert!((0.02..0.25).contains(&share), "{share}");
    }
}
