//! An executor: works on parts of plans that a coordinator hands it, over the files of one run directory.
//!
//! It reads nothing else: plans name files below `run://dir/`, and there is no other store.

use std::sync::Arc;

use datafusion::error::DataFusionError;
use datafusion::execution::FunctionRegistry;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::object_store::ObjectStoreRegistry;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion_distributed::{DistributedExt, Worker, WorkerQueryContext};
use magiclens_common::config::Config;
use object_store::ObjectStore;
use tokio::net::TcpListener;
use tonic::Request;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use url::Url;

use super::NotBuilt;
use super::channels::{ALIVE_EVERY, ALIVE_WITHIN, Channels, Pass};
use crate::session::{Function, base, settings};
use crate::{Store, StoreError};

/// Process that runs parts of plans.
pub struct Executor {
    worker: Worker,
    pass: Pass,
}

impl Executor {
    /// One for a run directory. Plans hold `store.plan_memory_bytes`, as they do in `mine`.
    pub fn open(
        store: &Store,
        config: &Config,
        functions: Vec<Function>,
    ) -> Result<Self, NotBuilt> {
        let (memory, threads) = (config.store.plan_memory_bytes, config.run.threads());
        let pass = Pass::of_this();
        let channels = Channels::new(pass.clone());
        let session = move |ctx: WorkerQueryContext| {
            let (channels, functions) = (channels.clone(), functions.clone());
            async move {
                tracing::debug!("a part of a plan");
                let mut builder = ctx.builder;
                let config = std::mem::take(builder.config()).unwrap_or_default();
                let config = settings(config, memory, threads);
                let builder = builder.with_config(config);
                let mut state = builder.with_distributed_channel_resolver(channels).build();
                for function in functions {
                    state.register_udf(function)?;
                }
                Ok::<_, DataFusionError>(state)
            }
        };
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(FairSpillPool::new(memory)))
            .with_object_store_registry(Arc::new(RunOnly(store.bucket().0.clone())))
            .build_arc()
            .expect("a runtime with the system's temporary folder can be made");
        Ok(Self { worker: Worker::from_session_builder(session).with_runtime_env(runtime), pass })
    }

    /// Returns true if callers need a token.
    pub fn has_token(&self) -> bool {
        self.pass.has_token()
    }

    /// Serves for as long as it is polled.
    pub async fn serve(self, listener: TcpListener) -> Result<(), StoreError> {
        let Self { worker, pass } = self;
        let checked = move |call: Request<()>| pass.check(call.metadata().as_ref()).map(|()| call);
        let service = InterceptedService::new(worker.into_worker_server(), checked);
        let served = Server::builder()
            .http2_keepalive_interval(Some(ALIVE_EVERY))
            .http2_keepalive_timeout(Some(ALIVE_WITHIN))
            .add_service(service)
            .serve_with_incoming(TcpIncoming::from(listener));
        served.await.map_err(|error| StoreError::Engine { problem: error.to_string() })
    }
}

/// Registry that holds only the store of the run directory, without the local disk that is the default.
#[derive(Debug)]
struct RunOnly(Arc<dyn ObjectStore>);

impl ObjectStoreRegistry for RunOnly {
    fn register_store(&self, _: &Url, _: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        None
    }

    fn get_store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>, DataFusionError> {
        let run = base();
        match (url.scheme(), url.host_str()) == (run.scheme(), run.host_str()) {
            true => Ok(Arc::clone(&self.0)),
            false => Err(DataFusionError::Execution(format!("{url}: not in the run directory"))),
        }
    }
}
