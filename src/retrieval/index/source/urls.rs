//! A list of URLs, one a line: fetched by the miner's own client, with all that it owes to hosts, and
//! kept in the index.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use bytes::Bytes;
use futures::{StreamExt, stream};
use tokio::runtime::{Builder, Runtime};
use url::Url;

use super::Found;
use crate::config::{Config, Fetch};
use crate::http::{Answer, Client, Kind};
use crate::imaging::{Format, prepare_guarded};
use crate::retrieval::index::error::IndexError;
use crate::retrieval::index::items::{Item, Place};
use crate::retrieval::pump::{Picture, Work};

/// The folder of an index that downloaded images are kept in.
const IMAGES: &str = "images";
/// Images that wait for the model.
const READY: usize = 64;

/// Downloads that are under way.
pub struct Fetching {
    ready: Receiver<Found>,
    _runtime: Runtime,
}

impl Fetching {
    /// Starts to fetch every URL of `list`; images go to `folder`.
    pub fn start(list: &Path, config: &Config, folder: &Path) -> Result<Self, IndexError> {
        let refuse = |problem: String| IndexError::Source(list.to_owned(), problem);
        let urls = urls(list)?;
        if config.crawl.contact.trim().is_empty() && config.crawl.allow_addresses.is_empty() {
            let problem = "lists URLs: set crawl.contact, which goes into the User-Agent (--set crawl.contact=…)";
            return Err(refuse(problem.into()));
        }
        let images = folder.join(IMAGES);
        std::fs::create_dir_all(&images).map_err(IndexError::file(&images))?;
        let runtime = Builder::new_multi_thread().enable_all().worker_threads(2).build();
        let runtime = runtime.map_err(|error| refuse(error.to_string()))?;
        let client = Client::new(config).map_err(|error| refuse(error.to_string()))?;
        let (send, ready) = sync_channel(READY);
        let fetcher =
            Fetcher { client, limits: Arc::new(config.fetch.clone()), folder: folder.to_owned() };
        runtime.spawn(fetcher.all(urls, config.http.concurrency, send));
        Ok(Self { ready, _runtime: runtime })
    }

    /// What was fetched, in the order of the list.
    pub fn images(self) -> impl Iterator<Item = Found> + Send {
        let Self { ready, _runtime } = self;
        std::iter::from_fn(move || {
            let _alive = &_runtime;
            ready.recv().ok()
        })
    }
}

/// The URLs of a list; lines that begin with `#` are left out.
fn urls(list: &Path) -> Result<Vec<Url>, IndexError> {
    let text = std::fs::read_to_string(list).map_err(IndexError::file(list))?;
    let lines = text.lines().map(str::trim).enumerate();
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let url = |(at, line): (usize, &str)| {
        let problem = |error: String| {
            let problem = format!("line {}: {line:?} is no URL of http or https{error}", at + 1);
            IndexError::Source(list.to_owned(), problem)
        };
        let url = Url::parse(line).map_err(|error| problem(format!(": {error}")))?;
        if matches!(url.scheme(), "http" | "https") { Ok(url) } else { Err(problem(String::new())) }
    };
    lines.map(url).collect()
}

struct Fetcher {
    client: Client,
    limits: Arc<Fetch>,
    folder: PathBuf,
}

impl Fetcher {
    async fn all(self, urls: Vec<Url>, at_once: usize, send: SyncSender<Found>) {
        let fetcher = &self;
        let fetches = urls.into_iter().map(|url| fetcher.one(url));
        let mut fetches = stream::iter(fetches).buffered(at_once);
        while let Some(found) = fetches.next().await {
            // The model is slower than most networks: waiting here holds requests back.
            if tokio::task::block_in_place(|| send.send(found).is_err()) {
                return;
            }
        }
    }

    /// An image that cannot be had has no bytes, and fails by name with the reason.
    async fn one(&self, url: Url) -> Found {
        let id = url.to_string();
        let (picture, place) = match self.fetch(&url).await {
            Ok((bytes, place)) => (Picture::Bytes(bytes), place),
            Err(Problem::Image(problem)) => (Picture::Missing(problem), PathBuf::new()),
            Err(Problem::Disk(error)) => return Err(error),
        };
        let tag = Item { id, place: Place::Stored(place), url: Some(url.into()), caption: None };
        Ok(Work { picture, text: String::new(), tag })
    }

    async fn fetch(&self, url: &Url) -> Result<(Bytes, PathBuf), Problem> {
        let image = |error: String| Problem::Image(error);
        let fetched = match self.client.get(url, Kind::Image).await {
            Ok(Answer::Fetched(fetched)) => fetched,
            Ok(_) => return Err(image("led to another place".into())),
            Err(error) => return Err(image(error.to_string())),
        };
        let _waiting = self.client.backlog().enter();
        let prepared = prepare_guarded(fetched.body, Arc::clone(&self.limits)).await;
        let prepared = prepared.map_err(|error| image(error.to_string()))?;
        let format = Format::sniff(&prepared.bytes).map_err(|error| image(error.to_string()))?;
        let name = format!("{}.{}", prepared.image_id.as_str(), format.as_str());
        let place = Path::new(IMAGES).join(name);
        let path = self.folder.join(&place);
        let written = std::fs::write(&path, &prepared.bytes);
        written.map_err(|error| Problem::Disk(IndexError::File(path, error)))?;
        Ok((prepared.bytes.into(), place))
    }
}

/// What keeps an image away, or ends the work.
enum Problem {
    Image(String),
    Disk(IndexError),
}
