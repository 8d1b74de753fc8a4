//! A tar file in a store, written member by member.

use std::io;

use object_store::buffered::BufWriter;
use object_store::path::Path;

use super::sink::Blocks;
use super::{Store, StoreError};

/// Writes one tar file (ustar); equal members in equal order give equal bytes.
pub struct TarWriter {
    store: Store,
    path: String,
    builder: tar::Builder<Blocks>,
    upload: BufWriter,
    bytes: u64,
}

impl TarWriter {
    /// Begins a file; nothing is visible at `path` before [`Self::close`].
    pub fn create(store: &Store, path: &str) -> Self {
        let upload = BufWriter::new(store.objects(), Path::from(path));
        let builder = tar::Builder::new(Blocks::default());
        Self { store: store.clone(), path: path.into(), builder, upload, bytes: 0 }
    }

    /// Adds a member.
    pub async fn append(&mut self, name: &str, content: &[u8]) -> Result<(), StoreError> {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        let added = self.builder.append_data(&mut header, name, content);
        added.map_err(|error| self.failed(&error))?;
        self.bytes += BLOCK + (content.len() as u64).next_multiple_of(BLOCK);
        let handed = self.builder.get_mut().hand_over(&mut self.upload).await;
        handed.map_err(|error| self.failed(&error))
    }

    /// Ends the file and forces it to disk; gives its size in bytes.
    pub async fn close(mut self) -> Result<u64, StoreError> {
        self.builder.finish().map_err(|error| self.failed(&error))?;
        let ended = self.builder.get_mut().end(&mut self.upload).await;
        ended.map_err(|error| self.failed(&error))?;
        self.store.sync(&self.path).await?;
        Ok(self.bytes + 2 * BLOCK)
    }

    /// Gives up what was begun.
    pub async fn discard(mut self) {
        // It is about room only, and the store has its own rules for what is left behind.
        let _ = self.upload.abort().await;
    }

    fn failed(&self, error: &io::Error) -> StoreError {
        StoreError::corrupt(self.path.clone(), error)
    }
}

/// A tar file is made of these.
const BLOCK: u64 = 512;

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[tokio::test]
    async fn members_come_back_in_order_and_the_size_is_right() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().to_str().unwrap()).unwrap();
        let members = [
            ("a.txt", vec![1; 3]),
            ("b.jpg", vec![2; 3 << 20]),
            ("c", vec![]),
            ("d", vec![3; 512]),
        ];
        let mut writer = TarWriter::create(&store, "x/train-000000.tar");
        for (name, content) in &members {
            writer.append(name, content).await.unwrap();
        }
        assert_eq!(store.read("x/train-000000.tar").await.unwrap(), None);
        let size = writer.close().await.unwrap();
        let bytes = store.read("x/train-000000.tar").await.unwrap().unwrap();
        assert_eq!(bytes.len() as u64, size);
        let mut archive = tar::Archive::new(bytes.as_ref());
        let found = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            (entry.path().unwrap().display().to_string(), content)
        });
        let wanted = members.map(|(name, content)| (name.to_owned(), content));
        assert!(found.eq(wanted));
    }
}
