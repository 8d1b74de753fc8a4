//! Images that redirect to a host of another slice: that slice asks for them, by its own pace.
//!
//! `images/errands/part-<owner of the host>/<part of the image>-<hash>.json` is put by who was redirected.
//! The owner of the host's part puts the outcome among the work in progress on the image's part, and removes
//! the errand; a part is committed once none of its errands is left.

use serde::{Deserialize, Serialize};
use url::Url;

use crate::record::{content_id, host_key, partition};
use crate::store::{Store, StoreError};
use crate::table::{FetchTarget, IMAGES};

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
        Open { host_part, part: self.part, hash: hash(&self.target.image_url) }
    }
}

/// An errand by its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// The part that owns the host that is to be asked.
    pub host_part: u32,
    /// The part of the image.
    pub part: u32,
    /// What tells images of a part apart.
    hash: String,
}

/// The errands of a run.
pub struct Errands<'a> {
    store: &'a Store,
    partitions: u32,
}

fn hash(image_url: &str) -> String {
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

    /// Whether it is about an image.
    pub fn is_of(&self, image_url: &str) -> bool {
        self.hash == hash(image_url)
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

    /// Hands one on to whoever owns its host.
    pub async fn put(&self, errand: &Errand) -> Result<(), StoreError> {
        let text = serde_json::to_vec(errand).expect("an errand is plain data");
        self.store.replace(&errand.open(self.partitions).path(), text).await
    }

    /// What is to be done; none where it was done meanwhile.
    pub async fn read(&self, open: &Open) -> Result<Option<Errand>, StoreError> {
        let Some(text) = self.store.read(&open.path()).await? else { return Ok(None) };
        let errand = serde_json::from_slice(&text);
        errand.map(Some).map_err(|error| StoreError::corrupt(open.path(), error))
    }

    /// Removes one whose outcome is kept.
    pub async fn remove(&self, open: &Open) -> Result<(), StoreError> {
        self.store.delete(&open.path()).await
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
        errands.put(&errand).await.unwrap();
        errands.put(&errand).await.unwrap();
        let open = errands.open().await.unwrap();
        assert_eq!(open.len(), 1);
        assert_eq!((open[0].host_part, open[0].part), (partition("b.example", 16), 3));
        assert!(
            open[0].is_of("http://a.example/1.jpg") && !open[0].is_of("http://a.example/2.jpg")
        );
        assert_eq!(errands.read(&open[0]).await.unwrap(), Some(errand));
        errands.remove(&open[0]).await.unwrap();
        assert_eq!(errands.open().await.unwrap(), []);
        assert_eq!(errands.read(&open[0]).await.unwrap(), None);
    }
}
