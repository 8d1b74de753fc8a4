//! x
pub mod encode;
pub mod picture;
pub mod relation;
pub mod rng;
pub mod scene;
