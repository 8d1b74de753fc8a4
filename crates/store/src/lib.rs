//! The run directory: the one way in and out of tables.
//!
//! A table is a folder of parts. A part is one Parquet file per output (`rows`, `rejects`,
//! `outbox`) and a manifest that commits them together, put without overwriting; readers take files
//! from manifests only, never from a listing. Work in progress on a part is kept in small
//! [`segments`](SegmentLog), so that a killed process loses at most one.
//!
//! [`Store`] is the bytes, [`Table`] the parts of one table, [`PartWriter`] the commit,
//! [`Fingerprint`] what a table's content depends on, [`RunDir`] the whole.
#![forbid(unsafe_code)]

mod engine;
mod fingerprint;
mod gather;
mod journal;
mod lease;
mod lock;
mod manifest;
mod objects;
mod older;
mod ordered;
mod part;
mod reader;
mod remote;
mod reviews;
mod rows;
mod run_dir;
mod segment;
mod session;
mod sink;
mod table;
pub mod tables;
mod tar;

pub use engine::{Engine, Executor, NotBuilt};
pub use fingerprint::{Fingerprint, Mismatch};
pub use gather::{Gathered, Gatherer};
pub use journal::{Journal, Keyed, Place, ShortKey, short_key};
pub use lock::{Lock, LockAttempt, Locks};
pub use manifest::{Counts, FileInfo, Manifest};
pub use objects::{ObjectTag, Store, StoreError};
pub use ordered::Ordered;
pub use part::PartWriter;
pub use reader::{PageReader, first_rows};
pub use remote::{Objects, Pieces, is_remote, open as open_remote};
pub use reviews::{ReviewLog, read_reviews};
pub use rows::{Layout, Row, RowStream, RowWriter, read_rows};
pub use run_dir::{Kept, RunDir};
pub use segment::{SegmentEntry, SegmentLog, WipSummary};
pub use session::{Function, Plan, RowCount, Session, ascending, stream_rows};
pub use table::{PlainPart, Table};
pub use tar::TarWriter;

/// Version of the table formats; part of every fingerprint. A later one may only add nullable columns, so
/// that runs of older versions can be resumed and their tables read without conversion.
pub const FORMAT_VERSION: u32 = 1;
