//! The view of a run in `mine report` and `mine serve`, and its page.
//!
//! [`catalogue`] is the triplets, [`survey`] the figures, [`rejects`] examples of what was turned down,
//! [`pictures`] small images, [`page`] the document. All of it goes by committed parts only, so a run may be
//! at work meanwhile.

pub(super) mod catalogue;
pub(super) mod page;
pub(super) mod pictures;
pub(super) mod rejects;
pub(super) mod survey;
pub(super) mod tally;

use super::RunError;
use super::status::open;
use crate::config::Config;
use crate::record::Tombstones;
use crate::store::RunDir;

/// A run that is looked at.
pub(super) struct Viewed {
    pub(super) dir: RunDir,
    pub(super) config: Config,
    pub(super) tombstones: Tombstones,
}

impl Viewed {
    pub(super) async fn open(run: &str) -> Result<Self, RunError> {
        let (dir, mut config) = open(run).await?;
        config.embed.settle();
        let tombstones = dir.tombstones().await?;
        Ok(Self { dir, config, tombstones })
    }
}
