//! The loss of a batch that lies on several ranks, and what becomes of its gradients.
//!
//! Every rank computes the losses of its own rows against the columns of all ranks. A column's
//! gradient is then the sum of what the ranks have for it. So `w` ranks of `b` rows each have the
//! loss and the gradients of one rank with `w · b` rows, as in CLIP (section 2.5 of arXiv
//! 2103.00020).

use tch::{Tensor, no_grad};

use super::collective::{Collective, CollectiveError};
use super::gradcache::Roles;
use super::loss::{Embeddings, Hard, HardNegatives, Loss, LossConfig, contrast};
use super::mask::Labels;
use super::parameter::Parameter;

/// The loss and what each own embedding has to do with it.
#[derive(Debug)]
pub struct Contrast {
    /// This rank's share.
    pub loss: Loss,
    /// Gradients of the whole batch's loss by own embeddings.
    pub gradients: Roles,
}

/// Computes the loss over all ranks, its gradients by own embeddings, and adds this rank's share of
/// the gradient by `scale` to that one's own.
///
/// `labels` are those of all ranks' rows, `hard_rows` the own rows that own hard negatives belong
/// to.
pub fn contrast_over_ranks(
    own: &Roles,
    labels: &Labels,
    hard_rows: &[usize],
    scale: &Tensor,
    config: &LossConfig,
    collective: &dyn Collective,
) -> Result<Contrast, CollectiveError> {
    let block = Block::gather(own, config, collective)?;
    let rows = own.query.size()[0] as usize;
    let first = collective.rank() * rows;
    let query = own.query.detach().set_requires_grad(!config.symmetric);
    let hard = HardLeaf::new(own, hard_rows, first, config.hard_negatives, collective)?;
    let all_queries = block.role(Role::Query);
    let embeddings = Embeddings {
        query: all_queries
            .as_ref()
            .map_or_else(|| query.shallow_clone(), |all| all.narrow(0, first as i64, rows as i64)),
        target: block.role(Role::Target).expect("targets are always gathered"),
        negative: block.role(Role::Negative),
        all_queries,
        hard: hard.as_ref().map(HardLeaf::columns),
    };
    let loss = contrast(&embeddings, labels, first..first + rows, scale, config);
    loss.share.backward();
    let mut gradients = block.gradients(collective)?;
    Ok(Contrast {
        loss,
        gradients: Roles {
            query: if config.symmetric { gradients.take(Role::Query) } else { query.grad() },
            target: gradients.take(Role::Target),
            negative: own.negative.as_ref().map(|negative| match config.query_negatives {
                true => gradients.take(Role::Negative),
                false => negative.zeros_like(),
            }),
            hard: match &hard {
                Some(hard) => hard.gradient(own.hard.size()[0], collective)?,
                None => own.hard.zeros_like(),
            },
        },
    })
}

/// What the columns of the loss are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Target,
    Negative,
    Query,
}

/// Embeddings of several roles side by side, so that one message carries them all.
struct Block {
    roles: Vec<Role>,
    /// `[N, roles · E]`, a leaf.
    leaf: Tensor,
    width: i64,
    rows: i64,
}

impl Block {
    fn gather(
        own: &Roles,
        config: &LossConfig,
        collective: &dyn Collective,
    ) -> Result<Self, CollectiveError> {
        let mut parts = vec![(Role::Target, &own.target)];
        if let Some(negative) = own.negative.as_ref().filter(|_| config.query_negatives) {
            parts.push((Role::Negative, negative));
        }
        if config.symmetric {
            parts.push((Role::Query, &own.query));
        }
        let (roles, tensors): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        let [rows, width] = own.target.size()[..] else { panic!("embeddings are a matrix") };
        let leaf = collective.all_gather(&Tensor::cat(&tensors, 1))?.set_requires_grad(true);
        Ok(Self { roles, leaf, width, rows })
    }

    /// All ranks' embeddings of a role `[N, E]`.
    fn role(&self, role: Role) -> Option<Tensor> {
        let place = self.roles.iter().position(|&other| other == role)?;
        Some(self.leaf.narrow(1, place as i64 * self.width, self.width))
    }

    /// Own rows' gradients, summed over ranks.
    fn gradients(self, collective: &dyn Collective) -> Result<BlockGradients, CollectiveError> {
        let own = own_part(&self.leaf, self.rows, collective)?;
        let place = |index: usize| own.narrow(1, index as i64 * self.width, self.width);
        let parts = self.roles.iter().enumerate().map(|(index, &role)| (role, place(index)));
        Ok(BlockGradients(parts.collect()))
    }
}

struct BlockGradients(Vec<(Role, Tensor)>);

impl BlockGradients {
    fn take(&mut self, role: Role) -> Tensor {
        let place = self.0.iter().position(|(other, _)| *other == role);
        self.0.swap_remove(place.expect("a role that was gathered has a gradient")).1
    }
}

/// Hard negatives as columns: own ones, or those of all ranks.
struct HardLeaf {
    leaf: Tensor,
    rows: Vec<Option<usize>>,
    shared: bool,
}

impl HardLeaf {
    fn new(
        own: &Roles,
        hard_rows: &[usize],
        first: usize,
        whose: HardNegatives,
        collective: &dyn Collective,
    ) -> Result<Option<Self>, CollectiveError> {
        assert_eq!(own.hard.size()[0], hard_rows.len() as i64, "one row a hard negative");
        let rows = hard_rows.iter().map(|row| first + row);
        match whose {
            HardNegatives::Off => Ok(None),
            HardNegatives::Own => {
                let leaf = own.hard.detach().set_requires_grad(true);
                Ok(Some(Self { leaf, rows: rows.map(Some).collect(), shared: false }))
            }
            HardNegatives::All => {
                let rows: Vec<i64> = rows.map(|row| row as i64).collect();
                Self::gather(&own.hard, &rows, collective).map(Some)
            }
        }
    }

    /// Ranks may have unequal numbers, so all are padded to the largest.
    fn gather(
        own: &Tensor,
        rows: &[i64],
        collective: &dyn Collective,
    ) -> Result<Self, CollectiveError> {
        let counts = collective.all_gather(&Tensor::from_slice(&[rows.len() as i64]))?;
        let missing = counts.max().int64_value(&[]) - rows.len() as i64;
        let mut rows = Tensor::from_slice(rows);
        if missing > 0 {
            rows = Tensor::cat(&[rows, Tensor::full([missing], -1, tch::kind::INT64_CPU)], 0);
        }
        let rows = Vec::<i64>::try_from(&collective.all_gather(&rows)?);
        let rows = rows.expect("rows are i64 on the CPU").into_iter();
        let leaf = collective.all_gather(&own.constant_pad_nd([0, 0, 0, missing]))?;
        Ok(Self {
            leaf: leaf.set_requires_grad(true),
            rows: rows.map(|row| usize::try_from(row).ok()).collect(),
            shared: true,
        })
    }

    fn columns(&self) -> Hard {
        Hard { embeddings: self.leaf.shallow_clone(), rows: self.rows.clone() }
    }

    /// Of the `own` hard negatives of this rank.
    fn gradient(&self, own: i64, collective: &dyn Collective) -> Result<Tensor, CollectiveError> {
        if !self.shared {
            return Ok(self.leaf.grad());
        }
        let padded = self.leaf.size()[0] / collective.world() as i64;
        Ok(own_part(&self.leaf, padded, collective)?.narrow(0, 0, own))
    }
}

/// The gradient of a gathered leaf, summed over ranks, of this rank's `rows`.
fn own_part(
    leaf: &Tensor,
    rows: i64,
    collective: &dyn Collective,
) -> Result<Tensor, CollectiveError> {
    let mut gradient = leaf.grad().contiguous();
    collective.all_reduce_sum(&mut gradient)?;
    Ok(gradient.narrow(0, collective.rank() as i64 * rows, rows))
}

/// Adds up the weights' gradients over the ranks, in flat buckets of at most `bucket` bytes (one
/// weight may be larger). A weight without a gradient on every rank stays without.
pub fn reduce_gradients(
    parameters: &[Parameter],
    bucket: usize,
    collective: &dyn Collective,
) -> Result<(), CollectiveError> {
    if collective.world() == 1 {
        return Ok(());
    }
    let present = somewhere(parameters, collective)?;
    let used: Vec<&Parameter> =
        parameters.iter().zip(present).filter_map(|(p, present)| present.then_some(p)).collect();
    let mut rest = &used[..];
    while !rest.is_empty() {
        let (now, later) = rest.split_at(bucket_length(rest, bucket));
        no_grad(|| reduce_bucket(now, collective))?;
        rest = later;
    }
    Ok(())
}

/// Which weights have a gradient on any rank.
fn somewhere(
    parameters: &[Parameter],
    collective: &dyn Collective,
) -> Result<Vec<bool>, CollectiveError> {
    let here: Vec<i64> = parameters.iter().map(|p| p.tensor.grad().defined().into()).collect();
    let mut all = Tensor::from_slice(&here);
    collective.all_reduce_sum(&mut all)?;
    let all = Vec::<i64>::try_from(&all).expect("counts are i64 on the CPU");
    Ok(all.into_iter().map(|ranks| ranks > 0).collect())
}

/// How many of these weights go into one bucket.
fn bucket_length(parameters: &[&Parameter], bucket: usize) -> usize {
    let mut bytes = 0;
    let fits = |parameter: &&&Parameter| {
        bytes += parameter.tensor.numel() * size_of::<f32>();
        bytes <= bucket
    };
    parameters.iter().take_while(fits).count().max(1)
}

fn reduce_bucket(
    parameters: &[&Parameter],
    collective: &dyn Collective,
) -> Result<(), CollectiveError> {
    let gradients: Vec<Tensor> = parameters.iter().map(|parameter| gradient(parameter)).collect();
    let flat: Vec<Tensor> = gradients.iter().map(|gradient| gradient.reshape([-1])).collect();
    let mut bucket = Tensor::cat(&flat, 0);
    collective.all_reduce_sum(&mut bucket)?;
    let mut offset = 0;
    for mut gradient in gradients {
        let length = gradient.numel() as i64;
        gradient.copy_(&bucket.narrow(0, offset, length).view_as(&gradient));
        offset += length;
    }
    Ok(())
}

/// The gradient, made of zeros where this rank has none.
fn gradient(parameter: &Parameter) -> Tensor {
    if !parameter.tensor.grad().defined() {
        tch::with_grad(|| (&parameter.tensor * 0.0).sum(tch::Kind::Float).backward());
    }
    parameter.tensor.grad()
}
