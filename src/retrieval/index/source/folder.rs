//! Image files below a folder, sorted by path.

use std::path::{Path, PathBuf};

use super::Found;
use crate::retrieval::index::error::IndexError;
use crate::retrieval::index::items::{Item, Place};
use crate::retrieval::pump::{Picture, Work};

/// How names of image files end. What is in them is found out by reading.
const EXTENSIONS: [&str; 6] = ["jpg", "jpeg", "png", "webp", "gif", "bmp"];

/// All of them. Links to folders are not followed, hidden files and folders left out.
pub fn images(root: &Path) -> Result<impl Iterator<Item = Found> + Send + use<>, IndexError> {
    let mut files = Vec::new();
    walk(root, Path::new(""), &is_image, &mut files)?;
    let root = root.to_owned();
    Ok(files.into_iter().map(move |path| Ok(work(&root, path))))
}

fn work(root: &Path, path: PathBuf) -> Work<Item> {
    let picture = Picture::File(root.join(&path));
    let id = path.to_string_lossy().into_owned();
    let tag = Item { id, place: Place::File(path), url: None, caption: None };
    Work { picture, text: String::new(), tag }
}

fn is_image(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
    EXTENSIONS.iter().any(|known| extension == *known)
}

/// Appends the paths of files below `root`, relative to it, in order.
pub fn walk(
    root: &Path,
    below: &Path,
    wanted: &dyn Fn(&Path) -> bool,
    files: &mut Vec<PathBuf>,
) -> Result<(), IndexError> {
    let folder = root.join(below);
    let entries = std::fs::read_dir(&folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut entries = entries.map_err(IndexError::file(&folder))?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let path = below.join(entry.file_name());
        let kind = entry.file_type().map_err(IndexError::file(entry.path()))?;
        if kind.is_dir() {
            walk(root, &path, wanted, files)?;
        } else if wanted(&path) && entry.path().is_file() {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_found_by_name_at_any_depth_in_order() {
        let root = tempfile::tempdir().unwrap();
        for name in ["b.PNG", "a/z.jpg", "a/b/c.webp", "a.txt", ".hidden.jpg", ".git/x.jpg"] {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let found: Vec<_> = images(root.path()).unwrap().map(|work| work.unwrap().tag.id).collect();
        assert_eq!(found, ["a/b/c.webp", "a/z.jpg", "b.PNG"]);
    }
}
