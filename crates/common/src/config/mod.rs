//! The one configuration of all stages, and where its values come from.
//!
//! From strong to weak: flag, `MAGICLENS_*` environment, the file given with `--config`, what the run
//! directory keeps, `pipeline.toml` of the working directory, default. Unknown keys are refused.
//! [`History`] is what became of keys since older runs.
//! `pipeline.toml` in the repository lists every key at its default; a test holds the two together.

mod crawl;
mod decontaminate;
mod embed;
mod endpoint;
mod engine;
pub mod env;
mod export;
mod fetch;
mod group;
mod history;
mod http;
mod input;
mod keys;
mod layer;
mod load;
mod pair;
mod plan;
mod ranges;
mod run;
mod slice;

use serde::{Deserialize, Serialize};

pub use crawl::{Crawl, OptOut, Scope};
pub use decontaminate::Decontaminate;
pub use embed::{Embed, EmbedEndpoint, EmbedImages};
pub use endpoint::{
    Budget, Describe, DescribeProvider, Endpoint, Instruct, InstructProvider, Price, ResponseFormat,
};
pub use engine::Engine;
pub use export::{Export, ExportImages};
pub use fetch::{Fetch, Filter};
pub use group::{Group, GroupImageKeys, GroupPlaceKeys};
pub use history::{History, Introduced, Renamed};
pub use http::Http;
pub use input::{Archive, Tables};
pub use layer::Origin;
pub use load::{ConfigError, Layers, OutOfRange, Settings};
pub use pair::{Bound, Bounds, Direction, Pair, Similarity};
pub use plan::Plan;
pub use run::{Run, Store};
pub use slice::slice;

/// Everything that can be set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What is run, and when it counts as failed.
    pub run: Run,
    /// Buffers and layout of the run directory.
    pub store: Store,
    /// Politeness, timeouts and caps of every request.
    pub http: Http,
    /// Stage 1, `collect`.
    pub crawl: Crawl,
    /// Stage 1, pages out of WARC files.
    pub archive: Archive,
    /// Stage 1, pages out of tables of images.
    pub tables: Tables,
    /// Stage 2, first half: which image URLs are worth a request.
    pub filter: Filter,
    /// Stage 2, second half: download, decode, store.
    pub fetch: Fetch,
    /// Stage 3, `group`.
    pub group: Group,
    /// Stage 4, `describe`.
    pub describe: Describe,
    /// Stage 4b, `embed`.
    pub embed: Embed,
    /// Stage 5, `pair`.
    pub pair: Pair,
    /// Stage 6, `instruct`.
    pub instruct: Instruct,
    /// Stage 7, images of benchmarks to keep out.
    pub decontaminate: Decontaminate,
    /// Stage 7, `export`.
    pub export: Export,
    /// What models may cost.
    pub budget: Budget,
    /// What `mine plan` reckons with.
    pub plan: Plan,
}
