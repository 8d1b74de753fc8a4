//! What can go wrong between a folder of shards and a batch. A bad image is none of it: that is
//! data, counted in its [`Batch`](super::Batch).

use thiserror::Error;

/// Why there is no batch.
#[derive(Debug, Error)]
pub enum DataError {
    /// The location cannot be opened.
    #[error("{location}: {problem}")]
    Location {
        /// As given.
        location: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// Nothing to read.
    #[error("{location}: no {wanted}")]
    Empty {
        /// Where it was looked for.
        location: String,
        /// What is not there.
        wanted: String,
    },
    /// A shard is not what it should be, or does not come off its store.
    #[error("shard {shard}: {problem}")]
    Shard {
        /// Its path in the store.
        shard: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A shard lacks a column or has another thing under its name.
    #[error("shard {shard}: column {column} {problem}")]
    Column {
        /// The shard's path in the store.
        shard: String,
        /// Dotted path of the column.
        column: String,
        /// `is missing`, or of which type it is.
        problem: String,
    },
    /// An option that makes no sense.
    #[error("{0}")]
    Options(String),
    /// A checkpoint's position belongs to another order of triplets.
    #[error("cannot go on from this checkpoint: its {what} was {then}, now it is {now}")]
    OtherOrder {
        /// What differs.
        what: &'static str,
        /// In the checkpoint.
        then: String,
        /// In this run.
        now: String,
    },
    /// A thread of the loader ended when it should not have: a defect of it.
    #[error("the data loader stopped: {0}")]
    Stopped(String),
}

impl DataError {
    /// A shard that is not what it should be.
    pub(super) fn shard(shard: impl ToString, problem: impl ToString) -> Self {
        Self::Shard { shard: shard.to_string(), problem: problem.to_string() }
    }
}
