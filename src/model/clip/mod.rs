//! CLIP's two towers (arXiv 2103.00020): pre-norm transformers over patches and over tokens.
//! Their outputs are not normalised. `logit_scale` takes no part: it belongs to the loss.

mod attention;
mod block;
mod text;
mod vision;

pub(crate) use attention::Attention;
pub(crate) use block::Encoder;
pub(crate) use text::TextTower;
pub(crate) use vision::VisionTower;
#[cfg(test)]
pub(crate) use {block::Block, text::mask as text_mask};
