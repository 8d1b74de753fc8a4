//! Multi-head self-attention by libtorch's fused kernels, queries, keys and values by one product:
//! arXiv 1706.03762, section 3.2.

use tch::Tensor;

use crate::model::nn::{Linear, joined};
use crate::model::parameters::Scope;

/// The four projections and how many heads they are cut into.
#[derive(Debug)]
pub(crate) struct Attention {
    q: Linear,
    k: Linear,
    v: Linear,
    pub(crate) out: Linear,
    heads: i64,
}

impl Attention {
    pub fn new(scope: &Scope, heads: i64) -> Self {
        let linear = |name| Linear::new(&scope.scope(name));
        let (q, k, v, out) =
            (linear("q_proj"), linear("k_proj"), linear("v_proj"), linear("out_proj"));
        Self { q, k, v, out, heads }
    }

    /// Lets each of the `batch` sequences that lie one after the other in `x` `[B·T, width]` attend
    /// to itself. `mask` is added to the logits.
    pub fn forward(&self, x: &Tensor, batch: i64, mask: Option<&Tensor>) -> Tensor {
        let [query, key, value] = self.project(x, batch);
        self.out.forward(&attend(&query, &key, &value, mask))
    }

    /// The same for one row of each sequence, `row` `[B, width]`, which asks all of its `x`.
    pub fn forward_row(
        &self,
        row: &Tensor,
        x: &Tensor,
        batch: i64,
        mask: Option<&Tensor>,
    ) -> Tensor {
        let query = self.split(&self.q.forward(row), batch);
        let both = joined(&[&self.k, &self.v], x);
        let [key, value] = self.cut(&both, batch);
        self.out.forward(&attend(&query, &key, &value, mask))
    }

    /// Queries, keys and values, `[B, heads, T, width / heads]` each.
    pub(crate) fn project(&self, x: &Tensor, batch: i64) -> [Tensor; 3] {
        self.cut(&joined(&[&self.q, &self.k, &self.v], x), batch)
    }

    fn cut<const N: usize>(&self, x: &Tensor, batch: i64) -> [Tensor; N] {
        let parts = x.chunk(N as i64, -1);
        std::array::from_fn(|part| self.split(&parts[part], batch))
    }

    fn split(&self, x: &Tensor, batch: i64) -> Tensor {
        let (rows, width) = x.size2().expect("sequences come as [B·T, width]");
        x.view([batch, rows / batch, self.heads, width / self.heads]).transpose(1, 2)
    }
}

/// `[B, heads, T, d]` to `[B·T, heads·d]`.
fn attend(query: &Tensor, key: &Tensor, value: &Tensor, mask: Option<&Tensor>) -> Tensor {
    let mixed =
        Tensor::scaled_dot_product_attention(query, key, value, mask, 0.0, false, None, false);
    let (batch, heads, tokens, width) =
        mixed.size4().expect("attention keeps the shape of queries");
    // The kernels lay their result out as [B, T, heads, d], so that this is no copy.
    mixed.transpose(1, 2).reshape([batch * tokens, heads * width])
}
