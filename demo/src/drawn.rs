//! A folder of drawn images, so that processes which serve the same world draw each image once.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};

use crate::picture::Picture;
use crate::rng::hash;

/// Image files, named by the hash of what they show. Files are never replaced, so another version of
/// the drawing code needs another folder.
#[derive(Clone, Debug)]
pub struct Drawn {
    folder: PathBuf,
}

impl Drawn {
    /// Uses a folder that exists.
    pub fn within(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// Returns the bytes of an image file, which is drawn if no process has drawn it yet.
    pub fn bytes(&self, picture: &Picture) -> Result<Vec<u8>> {
        let key = format!("{picture:?}");
        let [high, low] = [1, 2].map(|seed| hash(seed, key.as_bytes()));
        let path = self.folder.join(format!("{high:016x}{low:016x}"));
        match fs::read(&path) {
            Ok(bytes) => return Ok(bytes),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        }
        let bytes = picture.bytes()?;
        // Renamed when whole: another process may be reading.
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let aside = path.with_extension(format!("{}-{count}", process::id()));
        fs::write(&aside, &bytes).and_then(|()| fs::rename(&aside, &path))?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::{Edit, Format, Subject};

    #[test]
    fn a_picture_is_drawn_once_and_told_from_its_edits() {
        let folder = std::env::temp_dir().join(format!("drawn-{}", process::id()));
        fs::create_dir_all(&folder).unwrap();
        let drawn = Drawn::within(&folder);
        let picture = Picture::new(Subject::Mark("a".into()), (24, 10));
        let others = [picture.saved_as(Format::Png), picture.edited(Edit::Thumbnail)];
        let files = || fs::read_dir(&folder).unwrap().count();
        for (count, picture) in others.iter().chain([&picture]).enumerate() {
            let bytes = picture.bytes().unwrap();
            assert_eq!(drawn.bytes(picture).unwrap(), bytes);
            assert_eq!(drawn.bytes(picture).unwrap(), bytes);
            assert_eq!(files(), count + 1);
        }
        let file = fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
        fs::write(file, "kept").unwrap();
        let all = others.iter().chain([&picture]).map(|picture| drawn.bytes(picture).unwrap());
        assert_eq!(all.filter(|bytes| bytes == b"kept").count(), 1, "a file was drawn again");
        fs::remove_dir_all(&folder).unwrap();
    }
}
