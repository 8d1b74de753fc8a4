//! `mine executor`: works on parts of global plans for a `mine --engine`, over the same run directory.

use tokio::net::TcpListener;
use tokio::runtime::Builder;

use super::RunError;
use crate::config::Layers;
use crate::stages::context::StageError;
use crate::stages::group;
use crate::store::{Executor, NotBuilt, RunDir};
use crate::telemetry::{exporter, say};

/// Serves until the process ends; says on stdout where.
pub async fn executor(out: &str, listen: &str, layers: &Layers) -> Result<(), RunError> {
    let refuse = |problem: String| RunError::Listen(listen.to_owned(), problem);
    let address = exporter::address(listen).ok_or_else(|| {
        refuse("give a port, or an address with one, such as 127.0.0.1:7001".to_owned())
    })?;
    let config = layers.load()?;
    // What plans call works on all cores unless told otherwise.
    let _ = rayon::ThreadPoolBuilder::new().num_threads(config.run.threads()).build_global();
    let dir = RunDir::open(out)?;
    let executor = Executor::open(dir.store(), &config, group::functions());
    let executor = executor
        .map_err(|NotBuilt| StageError::Feature { key: "mine executor", feature: "cluster" })?;
    if !address.ip().is_loopback() && !executor.has_token() {
        let problem = "any client that reaches it can run plans over the run directory: set \
                       MAGICLENS_ENGINE_TOKEN here and where `mine` runs";
        return Err(refuse(problem.to_owned()));
    }
    let listener = TcpListener::bind(address).await.map_err(|error| refuse(error.to_string()))?;
    let at = listener.local_addr().map_err(|error| refuse(error.to_string()))?;
    tracing::info!(out, %at, "an executor is ready");
    // With port 0, this line is how the caller learns the port.
    say(format_args!("http://{at}"));
    let served = on_threads(config.run.threads(), executor.serve(listener)).await;
    Ok(served.map_err(|error| refuse(error.to_string()))??)
}

/// Plans are read and made by functions that call themselves as deep as plans are nested.
const STACK_BYTES: usize = 16 << 20;

/// Works on a runtime of its own, with as many threads as are configured.
async fn on_threads<T: Send + 'static>(
    threads: usize,
    work: impl Future<Output = T> + Send + 'static,
) -> std::io::Result<T> {
    let mut builder = Builder::new_multi_thread();
    let builder = builder.worker_threads(threads).thread_stack_size(STACK_BYTES);
    let runtime = builder.enable_all().build()?;
    let done = tokio::task::spawn_blocking(move || runtime.block_on(work)).await;
    Ok(done.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic())))
}
