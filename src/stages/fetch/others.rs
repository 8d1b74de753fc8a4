//! What slices do for each other while they download: errands, and waiting for each other's.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::download::{Download, Job, Jobs, Outcome};
use super::errands::{Errand, Open};
use crate::record::{Slice, host_key};
use crate::stages::context::StageError;
use crate::stages::slices::Patience;
use crate::store::{Manifest, SegmentLog, StoreError};

/// Looks that may find neither an errand nor the outcome of an image before that is an error: one misses an
/// errand that moves from host to host meanwhile.
const LOOKS: usize = 20;

impl Download<'_> {
    /// Does what other slices were redirected to hosts of this one, and commits its own parts as others do
    /// the same for them, until all parts are there.
    pub(super) async fn errands(&self, targets: &[Manifest]) -> Result<Vec<Manifest>, StageError> {
        let slice = self.ctx.slice;
        let mut patience = Patience::new(self.ctx, self.table.name());
        let mut unseen: BTreeMap<u32, usize> = BTreeMap::new();
        loop {
            let is_idle = !self.serve().await?;
            let (there, open) = (self.table.parts().await?, self.open_errands().open().await?);
            let mut missing = BTreeSet::new();
            for part in targets.iter().filter(|targets| !there.contains(&targets.part)) {
                let waits_for = open.iter().filter(|errand| errand.part == part.part);
                let waits_for: Vec<Slice> =
                    waits_for.map(|errand| slice.owner_of(errand.host_part)).collect();
                if waits_for.is_empty() && slice.owns(part.part) {
                    // Others have added to the work in progress.
                    let log = self.table.segments::<Outcome>(part.part).await?;
                    let looks = unseen.remove(&part.part).unwrap_or(1);
                    if looks < LOOKS && !is_whole(&log, part).await? {
                        unseen.insert(part.part, looks + 1);
                        continue;
                    }
                    self.commit(log, part).await?;
                } else {
                    missing.insert(slice.owner_of(part.part));
                    missing.extend(waits_for);
                }
            }
            missing.remove(&slice);
            if !missing.is_empty() && is_idle {
                patience.wait(&missing).await?;
            } else if !unseen.is_empty() {
                patience.pause().await?;
            }
            if self.table.parts().await?.len() >= targets.len() {
                let numbers: Vec<u32> = targets.iter().map(|targets| targets.part).collect();
                return self.ctx.whole(&self.table, &numbers, |part| slice.owner_of(part)).await;
            }
            self.ctx.go_on()?;
        }
    }

    /// Does the errands to this slice's hosts; whether there were any.
    async fn serve(&self) -> Result<bool, StageError> {
        let errands = self.open_errands();
        let mut by_part: BTreeMap<u32, Vec<Open>> = BTreeMap::new();
        for open in errands.open().await? {
            if self.ctx.slice.owns(open.host_part) {
                by_part.entry(open.part).or_default().push(open);
            }
        }
        let any = !by_part.is_empty();
        for (part, all) in by_part {
            let mut jobs = Jobs::new();
            for Errand { target, to, seen, .. } in errands.read(&all).await? {
                let job = Job { target, from: Some((to.clone(), seen)) };
                self.ctx.progress.add_total(1);
                jobs.entry(host_key(&to)).or_default().push(job);
            }
            let mut log = self.table.segments::<Outcome>(part).await?;
            let onward = self.work(part, jobs, &mut log).await?;
            // Interrupted, some may have no outcome.
            self.ctx.go_on()?;
            errands.put(&onward).await?;
            // One that leads back to a host of the same part is open again.
            let again: Vec<Open> =
                onward.iter().map(|errand| errand.open(self.partitions)).collect();
            let done: Vec<Open> = all.into_iter().filter(|open| !again.contains(open)).collect();
            errands.remove(&done).await?;
        }
        Ok(any)
    }
}

/// Whether every image of a part has its outcome. A list of errands that says so by having none can be wrong:
/// it is no snapshot, and whoever hands one on puts it under another host before it is removed.
async fn is_whole(log: &SegmentLog<Outcome>, targets: &Manifest) -> Result<bool, StoreError> {
    let keys: HashSet<String> = log.keys().await?.into_iter().collect();
    Ok(keys.len() as u64 >= targets.rows("rows"))
}
