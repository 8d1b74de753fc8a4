//! Usage of stages: CPU time, wall time, memory, requests and bytes, kept in the run directory.
//!
//! A process writes a file of its own for each stage, every few seconds while the stage runs and at its end,
//! so a kill loses seconds and what a resumed run took is the sum of the files. Model calls are counted with
//! the replies that are kept, and rows and bytes in manifests. `mine plan` reads it all.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::run::RunStage;
use crate::http::Client;
use crate::store::{Store, StoreError};
use crate::telemetry::resources;

/// The folder in the run directory.
const FOLDER: &str = "usage";

/// Usage of one stage, by one process or by several.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// Seconds between begin and end; of several processes the sum, also where they ran side by side.
    pub wall_s: f64,
    /// User and system CPU time, in seconds; 0 where the system does not say.
    pub cpu_s: f64,
    /// The most resident memory of the process up to the stage's end, in bytes.
    pub peak_bytes: u64,
    /// Cores that the machine has.
    pub cores: usize,
    /// Requests to sites by class of status.
    pub requests: BTreeMap<String, u64>,
    /// Bytes of bodies from sites.
    pub received_bytes: u64,
}

impl Usage {
    /// Requests of all classes.
    pub fn all_requests(&self) -> u64 {
        self.requests.values().sum()
    }

    fn add(&mut self, other: &Self) {
        self.wall_s += other.wall_s;
        self.cpu_s += other.cpu_s;
        self.peak_bytes = self.peak_bytes.max(other.peak_bytes);
        self.cores = self.cores.max(other.cores);
        self.received_bytes += other.received_bytes;
        for (class, n) in &other.requests {
            *self.requests.entry(class.clone()).or_default() += n;
        }
    }
}

/// Usage up to some moment.
#[derive(Clone)]
struct Mark {
    at: Instant,
    usage: Usage,
}

impl Mark {
    fn now(client: &Client) -> Self {
        let (resources, traffic) = (resources().unwrap_or_default(), client.traffic());
        let requests = traffic.requests().map(|(class, n)| (class.to_owned(), n));
        let usage = Usage {
            wall_s: 0.0,
            cpu_s: resources.cpu_s,
            peak_bytes: resources.peak_bytes,
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            requests: requests.into(),
            received_bytes: traffic.received_bytes(),
        };
        Self { at: Instant::now(), usage }
    }

    fn since(&self, before: &Self) -> Usage {
        let (now, then) = (&self.usage, &before.usage);
        let more = |(class, n): (&String, &u64)| {
            (class.clone(), n - then.requests.get(class).copied().unwrap_or(0))
        };
        Usage {
            wall_s: (self.at - before.at).as_secs_f64(),
            cpu_s: now.cpu_s - then.cpu_s,
            peak_bytes: now.peak_bytes,
            cores: now.cores,
            requests: now.requests.iter().map(more).filter(|(_, n)| *n > 0).collect(),
            received_bytes: now.received_bytes - then.received_bytes,
        }
    }
}

/// Writes down what a stage takes until it is finished.
pub(super) struct Recorder {
    /// Sent at the end: whether the stage did anything.
    done: oneshot::Sender<bool>,
    task: JoinHandle<()>,
}

impl Recorder {
    /// Begins. A file that cannot be written costs a warning and no run.
    pub fn begin(stage: RunStage, store: &Store, client: &Arc<Client>, every: Duration) -> Self {
        let (done, mut finished) = oneshot::channel();
        let (store, client) = (store.clone(), Arc::clone(client));
        let path = format!("{FOLDER}/{}/{}.json", stage.name(), process_name());
        let before = Mark::now(&client);
        let task = tokio::spawn(async move {
            let mut end = None;
            while end.is_none() {
                end = tokio::time::timeout(every, &mut finished).await.ok();
                let usage = Mark::now(&client).since(&before);
                let written = if end == Some(Ok(false)) && usage.all_requests() == 0 {
                    store.delete(&path).await
                } else {
                    let text = serde_json::to_vec_pretty(&usage).expect("usage is plain data");
                    store.replace(&path, text).await
                };
                if let Err(error) = written {
                    tracing::warn!(%error, "what the stage takes is not written down");
                }
            }
        });
        Self { done, task }
    }

    /// Writes the final usage. A stage that committed nothing and requested nothing leaves no record: it was
    /// done before.
    pub async fn finish(self, has_committed: bool) {
        // The receiver is gone if the task panicked.
        let _ = self.done.send(has_committed);
        if let Err(error) = self.task.await {
            tracing::warn!(%error, "what the stage took is not written down");
        }
    }
}

/// A name that no other process of the run has.
fn process_name() -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("{}-{}", since.as_millis(), std::process::id())
}

/// Returns the usage of a stage over all processes; `None` if nothing was written.
pub(super) async fn of_stage(store: &Store, stage: RunStage) -> Result<Option<Usage>, StoreError> {
    let mut sum: Option<Usage> = None;
    for (path, _) in store.list(&format!("{FOLDER}/{}", stage.name())).await? {
        let Some(text) = store.read(&path).await? else { continue };
        let usage: Usage = serde_json::from_slice(&text)
            .map_err(|error| StoreError::corrupt(path.as_str(), error))?;
        sum.get_or_insert_default().add(&usage);
    }
    Ok(sum)
}

/// Deletes the usage of a stage that is rebuilt.
pub(super) async fn forget(store: &Store, stage: RunStage) -> Result<(), StoreError> {
    for (path, _) in store.list(&format!("{FOLDER}/{}", stage.name())).await? {
        store.delete(&path).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[tokio::test]
    async fn what_processes_took_adds_up_until_the_stage_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().to_str().unwrap()).unwrap();
        assert_eq!(of_stage(&store, RunStage::Fetch).await.unwrap(), None);
        let one = |requests: u64| Usage {
            wall_s: 2.0,
            cpu_s: 1.5,
            peak_bytes: requests,
            cores: 2,
            requests: BTreeMap::from([("2xx".into(), requests)]),
            received_bytes: 10,
        };
        for (name, requests) in [("a", 7), ("b", 5)] {
            let text = serde_json::to_vec(&one(requests)).unwrap();
            store.replace(&format!("usage/fetch/{name}.json"), text).await.unwrap();
        }
        let sum = of_stage(&store, RunStage::Fetch).await.unwrap().unwrap();
        assert_eq!((sum.wall_s, sum.cpu_s, sum.all_requests()), (4.0, 3.0, 12));
        assert_eq!((sum.peak_bytes, sum.received_bytes), (7, 20));
        forget(&store, RunStage::Fetch).await.unwrap();
        assert_eq!(of_stage(&store, RunStage::Fetch).await.unwrap(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stage_is_written_down_while_it_runs_and_at_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().to_str().unwrap()).unwrap();
        let client = Arc::new(Client::new(&Config::default()).unwrap());
        let begin = || Recorder::begin(RunStage::Pair, &store, &client, Duration::from_secs(20));
        let recorder = begin();
        tokio::time::sleep(Duration::from_secs(21)).await;
        let usage = of_stage(&store, RunStage::Pair).await.unwrap().unwrap();
        recorder.finish(true).await;
        let at_end = of_stage(&store, RunStage::Pair).await.unwrap().unwrap();
        assert!(at_end.wall_s > usage.wall_s && at_end.all_requests() == 0, "{at_end:?}");
        // The next process finds the stage done, however long it takes to find out.
        let recorder = begin();
        tokio::time::sleep(Duration::from_secs(21)).await;
        recorder.finish(false).await;
        assert_eq!(of_stage(&store, RunStage::Pair).await.unwrap().unwrap(), at_end);
    }
}
