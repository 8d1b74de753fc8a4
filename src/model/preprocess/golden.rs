//! Numbers of the original implementation, where they are available.

use std::path::PathBuf;

use magiclens_testing::{conformance, shared};
use safetensors::SafeTensors;

use super::ImageSpec;
use crate::model::ModelConfig;

/// One file of `golden/tiny-base`, and the images beside it.
pub(crate) struct Golden {
    folder: PathBuf,
    bytes: Vec<u8>,
}

impl Golden {
    /// Returns `None` where `../shared` is absent.
    pub fn open(name: &str) -> Option<Self> {
        let path = shared(&format!("golden/tiny-base/{name}.safetensors"))?;
        let folder = path.parent().expect("a file lies in a folder").to_owned();
        Some(Self { folder, bytes: std::fs::read(path).unwrap() })
    }

    /// A tensor's values in row-major order.
    pub fn floats(&self, name: &str) -> Vec<f32> {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        let tensor = tensors.tensor(name).unwrap();
        tensor.data().as_chunks().0.iter().map(|&value| f32::from_le_bytes(value)).collect()
    }

    /// A tensor's bytes.
    pub fn bytes(&self, name: &str) -> Vec<u8> {
        SafeTensors::deserialize(&self.bytes).unwrap().tensor(name).unwrap().data().to_vec()
    }

    /// The images' names, in order.
    pub fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.join("images")).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(".png"))
            .collect();
        names.sort();
        names
    }

    /// Width, height and RGB bytes: alpha is dropped, not flattened.
    pub fn image(&self, file: &str) -> (usize, usize, Vec<u8>) {
        let image = image::open(self.folder.join("images").join(file)).unwrap().to_rgb8();
        let (width, height) = image.dimensions();
        (width as usize, height as usize, image.into_raw())
    }
}

/// CLIP's numbers at another size.
pub(crate) fn clip(size: usize) -> ImageSpec {
    ImageSpec { size, ..ImageSpec::from(&ModelConfig::base()) }
}

/// Largest absolute difference; NaN counts as infinite.
pub(crate) fn apart(ours: &[f32], wanted: &[f32]) -> f32 {
    assert_eq!(ours.len(), wanted.len());
    let differences = ours.iter().zip(wanted).map(|(a, b)| (a - b).abs());
    differences
        .fold(0.0, |most, apart| if apart.is_nan() { f32::INFINITY } else { apart.max(most) })
}

#[test]
fn images_decode_as_in_the_original() {
    let Some(golden) = Golden::open("preprocess") else { return };
    let files = ["06_gray_L_50x40.png", "07_rgba_40x51.png", "08_palette_45x37.png"];
    for file in files {
        assert_eq!(golden.image(file).2, golden.bytes(&format!("rgb/{file}")), "{file}");
    }
    conformance("preprocess-decode", files.len());
}
