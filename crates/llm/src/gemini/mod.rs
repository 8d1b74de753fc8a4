//! The wire of `generateContent`: the Gemini API and Vertex AI.
//!
//! <https://ai.google.dev/api/generate-content>. Requests are in [`request`], their schemas in
//! [`schema`], answers in [`reply`].

pub mod reply;
pub mod request;
pub mod schema;

pub use reply::read;
pub use request::{body, path};
