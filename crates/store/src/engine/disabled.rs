//! A build without an engine: plans are worked on in this process.

use std::sync::Arc;

use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::prelude::DataFrame;
use magiclens_common::config::{self, Config};
use tokio::net::TcpListener;

use super::NotBuilt;
use crate::session::{Batches, Check, Function, Plan};
use crate::{Store, StoreError};

/// Engine of a build without one; it has no values.
#[derive(Clone, Debug)]
pub enum Engine {}

impl Engine {
    /// Returns `None`, or an error if an engine is configured, because this build has no engine.
    pub fn open(config: &Config) -> Result<Option<Self>, NotBuilt> {
        match config.store.engine {
            config::Engine::Local => Ok(None),
            config::Engine::Executors(_) => Err(NotBuilt),
        }
    }

    /// Never called.
    pub(crate) async fn rows(
        &self,
        _: Arc<RuntimeEnv>,
        _: &DataFrame,
        _: &Plan<'_>,
        _: Check<'_>,
    ) -> Result<Batches, StoreError> {
        match *self {}
    }
}

/// Executor of a build without one; it has no values.
#[derive(Debug)]
pub enum Executor {}

impl Executor {
    /// Returns an error, because this build has no executor.
    pub fn open(_: &Store, _: &Config, _: Vec<Function>) -> Result<Self, NotBuilt> {
        Err(NotBuilt)
    }

    /// Never called.
    pub fn has_token(&self) -> bool {
        match *self {}
    }

    /// Never called.
    pub async fn serve(self, _: TcpListener) -> Result<(), StoreError> {
        match self {}
    }
}
