//! JPEG by libjpeg-turbo, which can leave out frequencies that the scaled image would not show.

use std::cell::RefCell;

use turbojpeg::{Colorspace, Decompressor, Image, PixelFormat, ScalingFactor};

use super::jpeg::MAX_SCANS;
use crate::Bitmap;
use crate::container::Container;

thread_local! {
    static DECOMPRESSOR: RefCell<Option<Decompressor>> = RefCell::new(decompressor());
}

fn decompressor() -> Option<Decompressor> {
    let mut decompressor = Decompressor::new().ok()?;
    decompressor.set_scan_limit(MAX_SCANS as u32).ok()?;
    Some(decompressor)
}

/// `None` where the other decoder should have a look: CMYK, warnings, errors.
pub(super) fn decode(bytes: &[u8], container: &Container<'_>, side: Option<u32>) -> Option<Bitmap> {
    DECOMPRESSOR.with_borrow_mut(|decompressor| {
        let decompressor = decompressor.as_mut()?;
        let header = decompressor.read_header(bytes).ok()?;
        let expected = (container.width as usize, container.height as usize);
        if (header.width, header.height) != expected
            || !matches!(header.colorspace, Colorspace::YCbCr | Colorspace::RGB | Colorspace::Gray)
        {
            return None;
        }
        let scale = scale(header.width.max(header.height), side);
        decompressor.set_scaling_factor(scale).ok()?;
        let (width, height) = (scale.scale(header.width), scale.scale(header.height));
        let mut rgb = vec![0; width * height * 3];
        let image = Image {
            pixels: rgb.as_mut_slice(),
            width,
            pitch: width * 3,
            height,
            format: PixelFormat::RGB,
        };
        decompressor.decompress(bytes, image).ok()?;
        Bitmap::new(width as u32, height as u32, rgb)
    })
}

/// The strongest reduction that still leaves at least `side` pixels.
fn scale(largest: usize, side: Option<u32>) -> ScalingFactor {
    let steps = [ScalingFactor::ONE_EIGHTH, ScalingFactor::ONE_QUARTER, ScalingFactor::ONE_HALF];
    steps
        .into_iter()
        .find(|step| side.is_some_and(|side| step.scale(largest) >= side as usize))
        .unwrap_or(ScalingFactor::ONE)
}
