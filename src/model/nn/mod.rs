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

use tch::Kind;

/// Returns the kind in which sensitive steps are computed: float64 for float64, else float32.
pub(crate) fn wide(kind: Kind) -> Kind {
    if kind == Kind::Double { Kind::Double } else { Kind::Float }
}
