//! A pre-norm transformer block, and the stack of them that is the middle of both towers.

use std::ops::Range;

use tch::Tensor;

use super::Attention;
use crate::model::nn::{GeluMlp, LayerNorm};
use crate::model::parameters::Scope;
use crate::model::tape::Tape;

/// `y = x + attention(norm(x))`, then `y + mlp(norm(y))`.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) norm1: LayerNorm,
    pub(crate) attention: Attention,
    pub(crate) norm2: LayerNorm,
    pub(crate) mlp: GeluMlp,
}

impl Block {
    fn new(scope: &Scope, heads: i64) -> Self {
        Self {
            norm1: LayerNorm::clip(&scope.scope("layer_norm1")),
            attention: Attention::new(&scope.scope("self_attn"), heads),
            norm2: LayerNorm::clip(&scope.scope("layer_norm2")),
            mlp: GeluMlp::new(&scope.scope("mlp")),
        }
    }

    /// All rows, `[B·T, width]` in and out.
    pub(crate) fn forward(&self, x: &Tensor, batch: i64, mask: Option<&Tensor>) -> Tensor {
        let y = x + self.attention.forward(&self.norm1.forward(x), batch, mask);
        &y + self.mlp.forward(&self.norm2.forward(&y))
    }

    /// One row of each sequence, `[B, width]`: keys and values are all that the others are for.
    fn forward_row(&self, x: &Tensor, batch: i64, row: &Row, mask: Option<&Tensor>) -> Tensor {
        let normed = self.norm1.forward(x);
        let asking = row.of(&normed, batch);
        let y = row.of(x, batch) + self.attention.forward_row(&asking, &normed, batch, mask);
        &y + self.mlp.forward(&self.norm2.forward(&y))
    }
}

/// Which row of each sequence is the tower's result.
pub(crate) enum Row {
    /// The first: an image's class token.
    First,
    /// Any: its place among all `B·T` rows, `[B]`.
    At(Tensor),
}

impl Row {
    /// `[B·T, width]` to `[B, width]`.
    fn of(&self, x: &Tensor, batch: i64) -> Tensor {
        match self {
            Self::First => x.view([batch, -1, x.size()[1]]).select(1, 0),
            Self::At(places) => x.index_select(0, places),
        }
    }
}

/// The blocks one after the other.
#[derive(Debug)]
pub(crate) struct Encoder {
    pub(crate) blocks: Vec<Block>,
}

impl Encoder {
    pub fn new(scope: &Scope, layers: i64, heads: i64) -> Self {
        let block =
            |layer: i64| Block::new(&scope.scope(&format!("encoder.layers.{layer}")), heads);
        Self { blocks: (0..layers).map(block).collect() }
    }

    /// `[B·T, width]` to the one row of each sequence that is asked for, `[B, width]`.
    ///
    /// Only that row leaves the last block, so its other rows get no query and no mlp: a twelfth of
    /// base's towers less a sixth of that. The result is the same.
    ///
    /// With a tape, blocks may keep less for the backward pass.
    pub fn forward<'m>(
        &'m self,
        x: Tensor,
        batch: i64,
        row: Row,
        masks: Masks,
        tape: Option<&mut Tape<'m>>,
    ) -> Tensor {
        let layers = self.blocks.len();
        let run = move |stretch: Range<usize>, x: &Tensor| {
            self.stretch(stretch, x.shallow_clone(), batch, &row, &masks)
        };
        match tape {
            Some(tape) => tape.apply(layers, x, run),
            None => run(0..layers, &x),
        }
    }

    /// Some blocks one after the other; the last of all gives the one row.
    fn stretch(
        &self,
        stretch: Range<usize>,
        x: Tensor,
        batch: i64,
        row: &Row,
        masks: &Masks,
    ) -> Tensor {
        let last = self.blocks.len() - 1;
        stretch.fold(x, |x, layer| match &self.blocks[layer] {
            block if layer == last => block.forward_row(&x, batch, row, masks.row.as_ref()),
            block => block.forward(&x, batch, masks.all.as_ref()),
        })
    }
}

/// What is added to the logits: none for images.
#[derive(Default)]
pub(crate) struct Masks {
    /// For all queries, `[B, 1, T, T]`.
    pub all: Option<Tensor>,
    /// For the one query of the last block, `[B, 1, 1, T]`.
    pub row: Option<Tensor>,
}
