//! Images in a temporary folder: the oldest go when there are too many.

use std::collections::{HashSet, VecDeque};
use std::path::PathBuf;

use tempfile::TempDir;

use crate::record::ImageId;
use crate::store::StoreError;

/// Images by id.
pub struct Cache {
    folder: TempDir,
    limit: u64,
    bytes: u64,
    /// The oldest first.
    held: VecDeque<(ImageId, u64)>,
    ids: HashSet<ImageId>,
}

impl Cache {
    /// An empty one that [`Self::trim`] keeps to `limit` bytes.
    pub fn create(limit: u64) -> Result<Self, StoreError> {
        let folder =
            tempfile::tempdir().map_err(|error| StoreError::corrupt("temporary folder", error))?;
        Ok(Self { folder, limit, bytes: 0, held: VecDeque::new(), ids: HashSet::new() })
    }

    /// Returns true if the cache holds an image.
    pub fn has(&self, id: &ImageId) -> bool {
        self.ids.contains(id)
    }

    /// Adds an image. What is no id is not kept: a dataset comes from anywhere, and a name in it must
    /// not become a path.
    pub fn put(&mut self, id: &ImageId, bytes: &[u8]) -> Result<(), StoreError> {
        let Some(path) = self.path(id).filter(|_| !self.has(id)) else { return Ok(()) };
        std::fs::write(&path, bytes)
            .map_err(|error| StoreError::corrupt(path.display().to_string(), error))?;
        self.bytes += bytes.len() as u64;
        self.held.push_back((id.clone(), bytes.len() as u64));
        self.ids.insert(id.clone());
        Ok(())
    }

    /// An image, where it is there.
    pub fn get(&self, id: &ImageId) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(path) = self.path(id).filter(|_| self.has(id)) else { return Ok(None) };
        let bytes = std::fs::read(&path);
        bytes.map(Some).map_err(|error| StoreError::corrupt(path.display().to_string(), error))
    }

    /// Removes the oldest until the limit is kept.
    pub fn trim(&mut self) -> Result<(), StoreError> {
        while self.bytes > self.limit {
            let Some((id, bytes)) = self.held.pop_front() else { break };
            self.bytes -= bytes;
            self.ids.remove(&id);
            if let Some(path) = self.path(&id) {
                std::fs::remove_file(&path)
                    .map_err(|error| StoreError::corrupt(path.display().to_string(), error))?;
            }
        }
        Ok(())
    }

    fn path(&self, id: &ImageId) -> Option<PathBuf> {
        id.digest().map(|digest| self.folder.path().join(hex::encode(digest)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_when_there_is_no_room() {
        let mut cache = Cache::create(250).unwrap();
        let ids: Vec<ImageId> = (0..4_u8).map(|n| ImageId::of(&[n])).collect();
        for id in &ids {
            cache.put(id, &[7; 100]).unwrap();
            cache.put(id, &[8; 100]).unwrap();
        }
        assert_eq!(ids.iter().map(|id| cache.has(id)).collect::<Vec<_>>(), [true; 4]);
        cache.trim().unwrap();
        let held: Vec<bool> = ids.iter().map(|id| cache.get(id).unwrap().is_some()).collect();
        assert_eq!(held, [false, false, true, true]);
        assert_eq!(cache.get(&ids[3]).unwrap().unwrap(), [7; 100]);
        assert_eq!(std::fs::read_dir(cache.folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_name_that_is_no_id_is_no_path() {
        let mut cache = Cache::create(250).unwrap();
        let id: ImageId = serde_json::from_str("\"../../escape\"").unwrap();
        cache.put(&id, &[1]).unwrap();
        assert!(!cache.has(&id) && cache.get(&id).unwrap().is_none());
    }
}
