//! Images that batch files name instead of holding: files in a folder beside them, and the address at
//! which whoever answers will find them. An image of 512 pixels is some 67 KB of a request otherwise.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use magiclens_imaging::Format;
use magiclens_store::StoreError;
use url::Url;

use super::ask::Piece;

/// The folder of images beside the request files.
const FOLDER: &str = "images";

/// The images of one step's batch files.
pub struct LinkedImages {
    folder: PathBuf,
    base: String,
    query: String,
}

impl LinkedImages {
    /// Beside the request files in `batch`; found below `base`, by a `query` such as a signature.
    pub fn new(batch: &Path, base: &str, query: &str) -> Result<Self, String> {
        let parsed = Url::parse(base).map_err(|error| format!("{base:?}: {error}"))?;
        if !matches!(parsed.scheme(), "http" | "https" | "file") {
            return Err(format!("{base:?} is no http, https or file address"));
        }
        if !parsed.username().is_empty() || parsed.password().is_some() || parsed.query().is_some()
        {
            return Err("a signature belongs into the environment, not into the address".into());
        }
        let base = base.trim_end_matches('/').to_owned();
        let query = match query.trim().trim_start_matches('?') {
            "" => String::new(),
            query => format!("?{query}"),
        };
        Ok(Self { folder: batch.join(FOLDER), base, query })
    }

    /// Where the files are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes an image, unless it is there, and gives its address.
    pub fn keep(&self, id: &str, bytes: &Bytes) -> Result<Piece, StoreError> {
        let format = Format::sniff(bytes).unwrap_or(Format::Jpeg).as_str();
        let name = format!("{id}.{format}");
        let path = self.folder.join(&name);
        if !path.exists() {
            self.write(&path, bytes)
                .map_err(|error| StoreError::corrupt(path.display().to_string(), error))?;
        }
        Ok(Piece::Link(format!("{}/{name}{}", self.base, self.query)))
    }

    fn write(&self, path: &Path, bytes: &Bytes) -> std::io::Result<()> {
        std::fs::create_dir_all(&self.folder)?;
        let aside = path.with_extension("part");
        let mut file = File::create(&aside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&aside, path)
    }
}

/// Removes the images beside the request files in `batch` that are gone.
pub fn remove_linked(batch: &Path, is_gone: impl Fn(&str) -> bool) -> Result<(), StoreError> {
    let Ok(entries) = std::fs::read_dir(batch.join(FOLDER)) else { return Ok(()) };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.file_stem().and_then(|stem| stem.to_str()).is_some_and(&is_gone) {
            std::fs::remove_file(&path)
                .map_err(|error| StoreError::corrupt(path.display().to_string(), error))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png() -> Bytes {
        Bytes::from_static(b"\x89PNG\r\n\x1a\n...")
    }

    fn link(piece: Piece) -> String {
        let Piece::Link(url) = piece else { panic!("no address") };
        url
    }

    #[test]
    fn an_image_is_written_once_and_named_by_its_address() {
        let folder = tempfile::tempdir().unwrap();
        for (base, query, url) in [
            ("https://a.example/run/", "", "https://a.example/run/5f.png"),
            ("file:///data/images", "", "file:///data/images/5f.png"),
            (
                "https://a.example/run",
                "?sig=a%2Fb&se=1",
                "https://a.example/run/5f.png?sig=a%2Fb&se=1",
            ),
        ] {
            let images = LinkedImages::new(folder.path(), base, query).unwrap();
            assert_eq!(link(images.keep("5f", &png()).unwrap()), url);
        }
        let path = folder.path().join("images/5f.png");
        assert_eq!(std::fs::read(&path).unwrap(), png());
        std::fs::write(&path, "kept").unwrap();
        let images = LinkedImages::new(folder.path(), "file:///a", "").unwrap();
        images.keep("5f", &png()).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"kept");
        remove_linked(folder.path(), |id| id == "60").unwrap();
        assert!(path.exists());
        remove_linked(folder.path(), |id| id == "5f").unwrap();
        assert_eq!(std::fs::read_dir(images.folder()).unwrap().count(), 0);
    }

    #[test]
    fn addresses_that_nobody_can_ask_are_refused() {
        for bad in ["", "images", "s3://bucket/a", "https://me:key@a/b", "https://a/b?sig=1"] {
            assert!(LinkedImages::new(Path::new("."), bad, "").is_err(), "{bad}");
        }
    }
}
