//! The layers that towers, fusion and pooler are built of. They hold the parameters themselves and
//! compute in the kind of what they are given: float32 weights are cast on use, each time
//! unless they are held.

mod capped;
mod linear;
mod mlp;
mod norm;

pub(crate) use capped::CappedAttention;
pub(crate) use linear::{Linear, joined};
pub(crate) use mlp::{GeluMlp, ReluMlp};
pub(crate) use norm::LayerNorm;
