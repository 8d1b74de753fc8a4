//! The images of a folder, hashed whole and in parts.

use std::path::{Path, PathBuf};

use rayon::prelude::*;
use walkdir::{DirEntry, WalkDir};

use super::list::{Listed, View};
use crate::config::Fetch;
use crate::imaging::{self, Bitmap, Features, ImageError, prepare};
use crate::stages::context::StageError;

/// How names of image files end. What is in them is found out by reading.
const EXTENSIONS: [&str; 6] = ["jpg", "jpeg", "png", "webp", "gif", "bmp"];

/// What is left of an image by crops that hashes of the whole do not survive: corners as shares of width
/// and height. A fortieth more or less at an edge is within the thresholds.
const PARTS: [[(f64, f64); 2]; 12] = [
    [(0.05, 0.05), (0.95, 0.95)],
    [(0.025, 0.025), (0.975, 0.975)],
    [(0.075, 0.075), (0.925, 0.925)],
    [(0.1, 0.1), (0.9, 0.9)],
    [(0.0, 0.0), (1.0, 0.9)],
    [(0.0, 0.1), (1.0, 1.0)],
    [(0.0, 0.0), (0.9, 1.0)],
    [(0.1, 0.0), (1.0, 1.0)],
    [(0.0, 0.0), (0.95, 0.95)],
    [(0.05, 0.0), (1.0, 0.95)],
    [(0.0, 0.05), (0.95, 1.0)],
    [(0.05, 0.05), (1.0, 1.0)],
];

/// The image files below a folder, by path.
#[derive(Clone, Debug)]
pub struct Folder {
    root: PathBuf,
    files: Vec<String>,
}

/// An image of a benchmark, with what is stored of such an image.
#[derive(Clone, Debug)]
pub struct Hashed {
    /// Its hashes.
    pub listed: Listed,
    /// What `fetch` would store of it, and `embed` look at.
    pub bytes: Vec<u8>,
}

impl Folder {
    /// Finds the files; a folder without any is refused. Links are followed, hidden files left out.
    /// `key` is what named it.
    pub fn open(key: &'static str, root: &Path) -> Result<Self, StageError> {
        let refuse =
            |problem: String| StageError::ConfigFile { key, path: root.to_owned(), problem };
        let is_shown = |entry: &DirEntry| {
            entry.depth() == 0 || !entry.file_name().as_encoded_bytes().starts_with(b".")
        };
        let mut files = Vec::new();
        for entry in WalkDir::new(root).follow_links(true).into_iter().filter_entry(is_shown) {
            let entry = entry.map_err(|error| refuse(error.to_string()))?;
            if entry.file_type().is_file() && is_image(entry.path()) {
                let path = entry.path().strip_prefix(root).expect("a walk stays below its root");
                let name = path.to_str();
                files
                    .push(name.ok_or_else(|| refuse(format!("{path:?} is not UTF-8")))?.to_owned());
            }
        }
        files.sort();
        match files.is_empty() {
            true => Err(refuse(format!("no image in it ({})", EXTENSIONS.join(", ")))),
            false => Ok(Self { root: root.to_owned(), files }),
        }
    }

    /// Paths below the folder, in order.
    pub fn files(&self) -> &[String] {
        &self.files
    }

    /// Where a file lies.
    pub fn path(&self, file: &str) -> PathBuf {
        self.root.join(file)
    }

    /// Reads and hashes some of its files on all cores; the name of what is no image that can be read, with
    /// the reason.
    pub fn hash(&self, files: &[String], limits: &Fetch) -> Vec<Result<Hashed, String>> {
        let hash = |file: &String| {
            let refuse = |problem: String| format!("{file}: {problem}");
            let bytes =
                std::fs::read(self.root.join(file)).map_err(|error| refuse(error.to_string()))?;
            hashed(file, bytes, limits).map_err(|error| refuse(error.to_string()))
        };
        files.par_iter().map(hash).collect()
    }
}

fn is_image(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
    EXTENSIONS.iter().any(|known| extension == *known)
}

fn hashed(file: &str, bytes: Vec<u8>, limits: &Fetch) -> Result<Hashed, ImageError> {
    let image = prepare(bytes, limits)?;
    let bitmap = imaging::decode_rgb(&image.bytes, limits)?;
    let whole = view(image.features, (image.width, image.height));
    let parts = PARTS.iter().map(|[from, to]| part(&bitmap.cropped(*from, *to)));
    let views = std::iter::once(whole).chain(parts).collect();
    let (file, image_id) = (file.to_owned(), image.image_id);
    let listed = Listed { file, image_id, views, embedding: Vec::new() };
    Ok(Hashed { listed, bytes: image.bytes })
}

fn part(bitmap: &Bitmap) -> View {
    view(Features::of(bitmap), (bitmap.width, bitmap.height))
}

fn view(features: Features, (width, height): (u32, u32)) -> View {
    let Features { phash, phash256, colour_layout, .. } = features;
    View { phash, phash256: phash256.to_vec(), colour_layout, width, height }
}

#[cfg(test)]
mod tests {
    use jpeg_encoder::{ColorType, Encoder};

    use super::*;

    #[test]
    fn images_are_found_at_any_depth_and_what_does_not_decode_is_named() {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        };
        let empty = Folder::open("key", root.path()).unwrap_err().to_string();
        assert!(empty.contains("no image in it"), "{empty}");
        let gradient = |at: u32| [(at % 300 / 2) as u8, (at / 300) as u8, 90];
        let rgb: Vec<u8> = (0..300 * 200).flat_map(gradient).collect();
        let mut jpeg = Vec::new();
        Encoder::new(&mut jpeg, 90).encode(&rgb, 300, 200, ColorType::Rgb).unwrap();
        write("a/one.JPG", &jpeg);
        write("two.png", b"no picture");
        write("captions.json", b"{}");
        write(".hidden/three.jpg", &jpeg);
        let folder = Folder::open("key", root.path()).unwrap();
        assert_eq!(folder.files(), ["a/one.JPG", "two.png"]);
        let hashed = folder.hash(folder.files(), &Fetch::default());
        let one = hashed[0].as_ref().unwrap();
        assert_eq!(one.listed.views.len(), 1 + PARTS.len());
        assert_eq!((one.listed.views[1].width, one.listed.views[1].height), (270, 180));
        assert!(hashed[1].as_ref().unwrap_err().starts_with("two.png: "), "{hashed:?}");
    }
}
