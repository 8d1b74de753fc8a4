//! A small web of drawn scenes with known truth, served on loopback.
//!
//! [`scene`] draws pictures from attributes; [`relation`] says how one becomes another;
//! [`picture`] puts them in files, copies included. [`world`] builds sites around them: pages that
//! tell stories, and pages and pictures that are odd, broken or hostile. [`truth`] says what a
//! miner should make of every URL. [`server`] answers requests and logs them.
//!
//! [`World::training`] is another world, to train on, and [`benchmark`] what a model that was trained
//! on it is measured by.
//!
//! ```no_run
//! # async fn run() -> anyhow::Result<()> {
//! use magiclens_demo::{Options, World};
//!
//! let world = World::generate(&Options::default());
//! let running = world.serve("127.0.0.1:0".parse()?).await?;
//! let truth = running.truth();
//! // Mine `running.seeds()` with `running.config()`, then compare with `truth`.
//! running.shutdown().await;
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

pub mod benchmark;
mod drawn;
mod encode;
pub mod picture;
pub mod relation;
mod rng;
pub mod scene;
pub mod server;
pub mod truth;
pub mod world;

pub use benchmark::Benchmark;
pub use drawn::Drawn;
pub use relation::Relation;
pub use rng::Rng;
pub use scene::{Exhibit, Scene};
pub use server::{Access, Running};
pub use truth::Truth;
pub use world::{Options, Training, World};
