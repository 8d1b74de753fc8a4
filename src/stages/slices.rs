//! Map stages in slices: each process does its own parts, and waits for those of the others where it needs
//! all of a table.
//!
//! A slice that is at work is waited for as long as it is. Where none of those that have parts to make is,
//! the process ends after a while and says which: whoever starts slices may start fewer at a time than
//! there are.

use std::collections::BTreeSet;
use std::time::Duration;

use super::context::{Context, StageError};
use crate::record::Slice;
use crate::store::{Locks, Manifest, Row, Table};
use crate::telemetry::TimeLimit;

/// Pause between looks at a folder.
const PAUSE: Duration = Duration::from_millis(300);

/// Pause between looks at an object store, which cost requests.
const REMOTE_PAUSE: Duration = Duration::from_secs(2);

impl Context {
    /// Maps the parts of a table that are this slice's by their numbers, on as many threads as are
    /// configured, and gives all of them, once the other slices have made theirs.
    pub async fn map_parts<R: Row>(
        &self,
        table: &Table<R>,
        numbers: &[u32],
        work: impl AsyncFn(usize) -> Result<Manifest, StageError> + Sync,
    ) -> Result<Vec<Manifest>, StageError> {
        let own = |at: &usize| self.slice.owns(numbers[*at]);
        let own: Vec<usize> = (0..numbers.len()).filter(own).collect();
        let done = self.spread(own.len(), async |at| work(own[at]).await)?;
        match done.len() == numbers.len() {
            true => Ok(done),
            false => self.whole(table, numbers, |part| self.slice.owner_of(part)).await,
        }
    }

    /// The parts of a table that one process makes alone: the first slice does, and the others wait.
    /// None where it is this one that has to.
    pub async fn made_by_first<R: Row>(
        &self,
        table: &Table<R>,
        numbers: &[u32],
    ) -> Result<Option<Vec<Manifest>>, StageError> {
        if self.slice.is_first() {
            return Ok(None);
        }
        self.whole(table, numbers, |_| self.slice.owner_of(0)).await.map(Some)
    }

    /// All parts of a table by number, once they are there.
    pub async fn whole<R: Row>(
        &self,
        table: &Table<R>,
        numbers: &[u32],
        owner: impl Fn(u32) -> Slice,
    ) -> Result<Vec<Manifest>, StageError> {
        let mut patience = Patience::new(self, table.name());
        loop {
            let there = table.parts().await?;
            let missing: BTreeSet<Slice> = numbers
                .iter()
                .filter(|part| !there.contains(part))
                .map(|part| owner(*part))
                .collect();
            if missing.is_empty() {
                break;
            }
            patience.wait(&missing).await?;
        }
        let mut manifests = table.manifests().await?;
        let numbers: BTreeSet<u32> = numbers.iter().copied().collect();
        manifests.retain(|manifest| numbers.contains(&manifest.part));
        Ok(manifests)
    }
}

/// How long other slices are waited for.
pub struct Patience<'a> {
    ctx: &'a Context,
    table: &'static str,
    locks: Locks,
    idle: Option<TimeLimit>,
    said: bool,
}

impl<'a> Patience<'a> {
    /// For parts of a table.
    pub fn new(ctx: &'a Context, table: &'static str) -> Self {
        Self { ctx, table, locks: Locks::of(ctx.run.store()), idle: None, said: false }
    }

    /// Waits a moment for what these slices have yet to make; fails once none of them has been at work for
    /// `run.slice_wait_s`.
    pub async fn wait(&mut self, missing: &BTreeSet<Slice>) -> Result<(), StageError> {
        self.ctx.go_on()?;
        let mut is_any_at_work = false;
        for slice in missing.iter().filter(|slice| **slice != self.ctx.slice) {
            is_any_at_work = is_any_at_work || self.locks.is_at_work(*slice).await?;
        }
        let patience = Duration::from_secs(self.ctx.config.run.slice_wait_s);
        match is_any_at_work {
            true => self.idle = None,
            false if self.idle.get_or_insert_with(|| TimeLimit::new(patience)).left().is_zero() => {
                let (table, slices) = (self.table, listed(missing));
                return Err(StageError::Slices { table, slices });
            }
            false => {}
        }
        if !self.said {
            tracing::info!(
                table = self.table,
                slices = listed(missing),
                "waiting for other slices"
            );
            self.said = true;
        }
        // Others are as starved as this process may be.
        match self.idle.take() {
            Some(mut idle) => {
                idle.count(self.pause()).await?;
                self.idle = Some(idle);
                Ok(())
            }
            None => self.pause().await,
        }
    }

    /// Waits a moment.
    pub async fn pause(&self) -> Result<(), StageError> {
        let is_local = self.ctx.run.store().folder().is_some();
        let pause = if is_local { PAUSE } else { REMOTE_PAUSE };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.ctx.stop.cancelled() => {}
        }
        self.ctx.go_on()
    }
}

/// Slices in words.
pub fn listed(slices: &BTreeSet<Slice>) -> String {
    let names: Vec<String> = slices.iter().map(Slice::to_string).collect();
    names.join(", ")
}
