//! The wire of every OpenAI-compatible `/chat/completions`: vLLM, llama.cpp, Ollama, OpenAI.
//!
//! Only what all of them know is sent: no tools, no streaming, one choice
//! (<https://platform.openai.com/docs/api-reference/chat>). Requests are in [`request`], answers in
//! [`reply`], lines of the Batch API in [`batch`].

pub mod batch;
pub mod reply;
pub mod request;
#[cfg(test)]
mod servers;

pub use batch::{batch_line, read_batch_line};
pub use reply::read;
pub use request::{DataUrl, Dialect, body, path};
