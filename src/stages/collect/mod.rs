//! Stub.
pub mod extract;
