//! The released MagicLens's names: paths of flax modules, with matrices as (in, out) and
//! projections cut into heads. <https://github.com/google-deepmind/magiclens>, `model.py` and
//! `layers.py`.

use tch::Tensor;

use super::Found;

/// How a tensor lies in the file, and so how it becomes ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lies {
    /// As we have it.
    Same,
    /// A scalar, as `[]` or `[1]`.
    Scalar,
    /// A matrix (in, out).
    Turned,
    /// (height, width, in, out).
    Kernel,
    /// A projection to heads, (D, heads, d).
    ToHeads,
    /// Its bias, (heads, d).
    HeadBias,
    /// CLIP's projection from heads, (heads, d, D).
    FromHeads,
    /// The added layers' projection from heads, (D, heads, d): the other way round.
    Post,
}

/// Puts a tensor under our name in our shape.
pub(super) fn take(found: &mut Found, name: &str, tensor: Tensor) {
    let Some((ours, lies)) = name.strip_prefix("params/").and_then(place) else {
        return found.unknown.push(name.to_owned());
    };
    if lies == Lies::ToHeads && tensor.dim() == 3 {
        found.heads.insert(ours.clone(), tensor.size()[1]);
    }
    found.put(ours, lies.turn(tensor), name);
}

impl Lies {
    /// A tensor of other dimensions stays as it is, to be told by its shape.
    fn turn(self, tensor: Tensor) -> Tensor {
        match (self, tensor.dim()) {
            (Self::Scalar, 1) if tensor.numel() == 1 => tensor.view([0i64; 0]),
            (Self::Turned, 2) => tensor.tr().contiguous(),
            (Self::Kernel, 4) => tensor.permute([3, 2, 0, 1]).contiguous(),
            (Self::ToHeads, 3) => tensor.flatten(1, 2).tr().contiguous(),
            (Self::FromHeads, 3) => tensor.flatten(0, 1).tr().contiguous(),
            (Self::Post, 3) => tensor.flatten(1, 2),
            (Self::HeadBias, 2) => tensor.flatten(0, 1),
            _ => tensor,
        }
    }
}

fn place(path: &str) -> Option<(String, Lies)> {
    let (module, rest) = path.split_once('/')?;
    match module {
        "clip" => clip(rest),
        "multimodal_encoder" => fusion(rest),
        "contrastive_multimodal_pooler" => pooler(rest),
        _ => None,
    }
}

fn clip(path: &str) -> Option<(String, Lies)> {
    let (ours, lies) = match path {
        "logit_scale" => ("logit_scale", Lies::Scalar),
        "text/token_embedding/embedding" => {
            ("text_model.embeddings.token_embedding.weight", Lies::Same)
        }
        "text/positional_embedding" => {
            ("text_model.embeddings.position_embedding.weight", Lies::Same)
        }
        "text/text_projection/kernel" => ("text_projection.weight", Lies::Turned),
        "visual/class_embedding" => ("vision_model.embeddings.class_embedding", Lies::Same),
        "visual/conv1/kernel" => ("vision_model.embeddings.patch_embedding.weight", Lies::Kernel),
        "visual/positional_embedding" => {
            ("vision_model.embeddings.position_embedding.weight", Lies::Same)
        }
        "visual/proj/kernel" => ("visual_projection.weight", Lies::Turned),
        _ => return clip_norm(path).or_else(|| clip_block(path)),
    };
    Some((ours.to_owned(), lies))
}

fn clip_norm(path: &str) -> Option<(String, Lies)> {
    let (norm, part) = path.rsplit_once('/')?;
    let ours = match norm {
        "text/ln_final" => "text_model.final_layer_norm",
        "visual/ln_pre" => "vision_model.pre_layrnorm",
        "visual/ln_post" => "vision_model.post_layernorm",
        _ => return None,
    };
    Some((format!("{ours}.{}", norm_part(part)?), Lies::Same))
}

fn clip_block(path: &str) -> Option<(String, Lies)> {
    let (tower, rest) = match path.strip_prefix("visual/transformer/resblocks_") {
        Some(rest) => ("vision_model", rest),
        None => ("text_model", path.strip_prefix("text/transformer/resblocks_")?),
    };
    let (layer, inner) = rest.split_once('/')?;
    let (module, part) = inner.rsplit_once('/')?;
    let (ours, part, lies) = match (module, part) {
        ("ln_1", _) => ("layer_norm1", norm_part(part)?, Lies::Same),
        ("ln_2", _) => ("layer_norm2", norm_part(part)?, Lies::Same),
        ("mlp/c_fc", "kernel") => ("mlp.fc1", "weight", Lies::Turned),
        ("mlp/c_proj", "kernel") => ("mlp.fc2", "weight", Lies::Turned),
        ("mlp/c_fc", "bias") => ("mlp.fc1", "bias", Lies::Same),
        ("mlp/c_proj", "bias") => ("mlp.fc2", "bias", Lies::Same),
        ("attn/out", "kernel") => ("self_attn.out_proj", "weight", Lies::FromHeads),
        ("attn/out", "bias") => ("self_attn.out_proj", "bias", Lies::Same),
        ("attn/query", _) => ("self_attn.q_proj", to_weight(part)?, to_heads(part)?),
        ("attn/key", _) => ("self_attn.k_proj", to_weight(part)?, to_heads(part)?),
        ("attn/value", _) => ("self_attn.v_proj", to_weight(part)?, to_heads(part)?),
        _ => return None,
    };
    Some((format!("{tower}.encoder.layers.{layer}.{ours}.{part}"), lies))
}

fn fusion(path: &str) -> Option<(String, Lies)> {
    let (layer, inner) = path.strip_prefix("x_layers_")?.split_once('/')?;
    let (ours, lies) = match inner {
        "layer_norm/scale" => ("attention_norm.scale".to_owned(), Lies::Same),
        "layer_norm/bias" => ("attention_norm.bias".to_owned(), Lies::Same),
        "ff_layer/layer_norm/scale" => ("mlp_norm.scale".to_owned(), Lies::Same),
        "ff_layer/layer_norm/bias" => ("mlp_norm.bias".to_owned(), Lies::Same),
        "ff_layer/ffn_layer1/linear/w" => ("mlp.fc1.weight".to_owned(), Lies::Turned),
        "ff_layer/ffn_layer1/bias/b" => ("mlp.fc1.bias".to_owned(), Lies::Same),
        "ff_layer/ffn_layer2/linear/w" => ("mlp.fc2.weight".to_owned(), Lies::Turned),
        "ff_layer/ffn_layer2/bias/b" => ("mlp.fc2.bias".to_owned(), Lies::Same),
        _ => attention(inner.strip_prefix("self_attention/")?)?,
    };
    Some((format!("fusion.layers.{layer}.{ours}"), lies))
}

fn pooler(path: &str) -> Option<(String, Lies)> {
    let (ours, lies) = match path {
        "pooling_attn_query" => ("query".to_owned(), Lies::Same),
        "pool_attn_ln/scale" => ("norm.scale".to_owned(), Lies::Same),
        "pool_attn_ln/bias" => ("norm.bias".to_owned(), Lies::Same),
        "pool_attn/per_dim_scale/per_dim_scale" => {
            ("attention.per_dim_scale".to_owned(), Lies::Same)
        }
        _ => attention(path.strip_prefix("pool_attn/")?)?,
    };
    Some((format!("pooler.{ours}"), lies))
}

/// The attention of fusion layers and pooler.
fn attention(path: &str) -> Option<(String, Lies)> {
    let (projection, part) = path.split_once('/')?;
    let (ours, lies) = match (projection, part) {
        ("query", _) => ("q_proj", to_heads(part)?),
        ("key", _) => ("k_proj", to_heads(part)?),
        ("value", _) => ("v_proj", to_heads(part)?),
        ("post", "w") => ("out_proj", Lies::Post),
        ("post", "b") => ("out_proj", Lies::Same),
        _ => return None,
    };
    Some((format!("attention.{ours}.{}", to_weight(part)?), lies))
}

fn to_heads(part: &str) -> Option<Lies> {
    match part {
        "kernel" | "w" => Some(Lies::ToHeads),
        "bias" | "b" => Some(Lies::HeadBias),
        _ => None,
    }
}

fn to_weight(part: &str) -> Option<&'static str> {
    match part {
        "kernel" | "w" => Some("weight"),
        "bias" | "b" => Some("bias"),
        _ => None,
    }
}

/// CLIP's gain is called scale there, and weight here.
fn norm_part(part: &str) -> Option<&'static str> {
    match part {
        "scale" => Some("weight"),
        "bias" => Some("bias"),
        _ => None,
    }
}
