//! Images that redirect to a host of another slice: that slice asks for them, by its own pace.
//!
//! `images/errands/part-<owner of the host>/<part of the image>-<hash>.json` is put by who was redirected.
//! The owner of the host's part puts the outcome among the work in progress on the image's part, and removes
//! the errand; a part is committed once none of its errands is left.

use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::record::{content_id, host_key, partition};
use crate::store::{Store, StoreError};
use crate::table::{FetchTarget, IMAGES};

/// Objects that are read or written at the same time.
const AT_ONCE: usize = 16;

/// One image that is to be had by another slice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Errand {
    /// The part of `images` that the image is in.
    pub part: u32,
    /// The image.
    pub target: FetchTarget,
    /// Where it redirects.
    pub to: Url,
    /// URLs that led there: a redirect is counted, whoever follows it.
    pub seen: Vec<Url>,
}

impl Errand {
    /// Its place, where hosts are spread over so many parts.
    pub fn open(&self, partitions: u32) -> Open {
        let host_part = partition(&host_key(&self.to), partitions);
        Open { host_part, part: self.part, hash: short(&self.target.image_url) }
    }
}

/// An errand by its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// The part that owns the host that is to be asked.
    pub host_part: u32,
    /// The part of the image.
    pub part: u32,
    /// What tells images of a part apart: see [`short`].
    pub hash: String,
}

/// The errands of a run.
pub struct Errands<'a> {
    store: &'a Store,
    partitions: u32,
}

/// What an errand about an image is named by.
pub fn short(image_url: &str) -> String {
    content_id(&[image_url])[..16].to_owned()
}

impl Open {
    fn path(&self) -> String {
        let Self { host_part, part, hash } = self;
        format!("{IMAGES}/errands/part-{host_part:05}/{part:05}-{hash}.json")
    }

    fn parse(path: &str) -> Option<Self> {
        let mut names = path.rsplit('/');
        let (part, hash) = names.next()?.strip_suffix(".json")?.split_once('-')?;
        let host_part = names.next()?.strip_prefix("part-")?.parse().ok()?;
        Some(Self { host_part, part: part.parse().ok()?, hash: hash.to_owned() })
    }
}

impl<'a> Errands<'a> {
    /// Where hosts are spread over so many parts.
    pub fn new(store: &'a Store, partitions: u32) -> Self {
        Self { store, partitions }
    }

    /// All that are open.
    pub async fn open(&self) -> Result<Vec<Open>, StoreError> {
        let listed = self.store.list(&format!("{IMAGES}/errands")).await?;
        Ok(listed.iter().filter_map(|(path, _)| Open::parse(path)).collect())
    }

    /// Those about images of a part.
    pub async fn of(&self, part: u32) -> Result<Vec<Open>, StoreError> {
        let mut open = self.open().await?;
        open.retain(|errand| errand.part == part);
        Ok(open)
    }

    /// Hands them on to whoever owns their hosts.
    pub async fn put(&self, errands: &[Errand]) -> Result<(), StoreError> {
        let put = |errand: Errand| async move {
            let text = serde_json::to_vec(&errand).expect("an errand is plain data");
            self.store.replace(&errand.open(self.partitions).path(), text).await
        };
        let mut puts = stream::iter(errands.iter().cloned().map(put)).buffer_unordered(AT_ONCE);
        while puts.try_next().await?.is_some() {}
        Ok(())
    }

    /// What is to be done; those that were done meanwhile are left out.
    pub async fn read(&self, open: &[Open]) -> Result<Vec<Errand>, StoreError> {
        let read = |path: String| async move {
            let Some(text) = self.store.read(&path).await? else { return Ok(None) };
            let errand = serde_json::from_slice(&text);
            errand.map(Some).map_err(|error| StoreError::corrupt(path, error))
        };
        let reads = stream::iter(open.iter().map(Open::path).map(read)).buffered(AT_ONCE);
        reads.try_filter_map(|errand| std::future::ready(Ok(errand))).try_collect().await
    }

    /// Removes those whose outcomes are kept.
    pub async fn remove(&self, open: &[Open]) -> Result<(), StoreError> {
        let remove = |path: String| async move { self.store.delete(&path).await };
        let removes = open.iter().map(Open::path).map(remove);
        let mut removes = stream::iter(removes).buffer_unordered(AT_ONCE);
        while removes.try_next().await?.is_some() {}
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_errand_is_found_by_the_owner_of_its_host() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().to_str().unwrap()).unwrap();
        let errands = Errands::new(&store, 16);
        let target = FetchTarget {
            host: "a.example".into(),
            image_url: "http://a.example/1.jpg".into(),
            page_url: "http://a.example/".into(),
            page_count: 2,
            archived: None,
        };
        let to = Url::parse("http://b.example/1.jpg").unwrap();
        let errand = Errand { part: 3, target, to, seen: Vec::new() };
        for _ in 0..2 {
            errands.put(std::slice::from_ref(&errand)).await.unwrap();
        }
        let open = errands.open().await.unwrap();
        assert_eq!(open.len(), 1);
        assert_eq!((open[0].host_part, open[0].part), (partition("b.example", 16), 3));
        assert_eq!(open[0].hash, short("http://a.example/1.jpg"));
        assert_eq!(errands.read(&open).await.unwrap(), [errand]);
        errands.remove(&open).await.unwrap();
        assert_eq!(errands.open().await.unwrap(), []);
        assert_eq!(errands.read(&open).await.unwrap(), []);
    }
}
