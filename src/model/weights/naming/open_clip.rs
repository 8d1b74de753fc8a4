//! OpenCLIP's names, which began as OpenAI's: <https://github.com/mlfoundations/open_clip>,
//! `src/open_clip/transformer.py`. Queries, keys and values are one tensor there.

use tch::Tensor;

use super::{Found, flat_scale};

/// Puts a tensor, or the three that it consists of, under our names.
pub(super) fn take(found: &mut Found, name: &str, tensor: Tensor) {
    // Later versions keep the text tower below a name of its own.
    let plain = name.strip_prefix("text.").unwrap_or(name);
    match top(plain).or_else(|| block(plain)) {
        Some(Place::One(ours)) => found.put(ours.clone(), flat_scale(&ours, tensor), name),
        Some(Place::Turned(ours)) if tensor.dim() == 2 => {
            found.put(ours, tensor.tr().contiguous(), name);
        }
        Some(Place::Turned(ours)) => found.put(ours, tensor, name),
        Some(Place::Three { attention, part }) => {
            let projections = ["q_proj", "k_proj", "v_proj"];
            if tensor.dim() == 0 || tensor.size()[0] % 3 != 0 {
                return found.unknown.push(name.to_owned());
            }
            for (projection, tensor) in projections.iter().zip(tensor.chunk(3, 0)) {
                found.put(format!("{attention}.{projection}.{part}"), tensor, name);
            }
        }
        None => found.unknown.push(name.to_owned()),
    }
}

/// Where a tensor goes.
enum Place {
    One(String),
    /// Stored as (in, out).
    Turned(String),
    /// Queries, keys and values, one below the other.
    Three {
        attention: String,
        part: &'static str,
    },
}

fn top(name: &str) -> Option<Place> {
    let one = |ours: &str| Some(Place::One(ours.to_owned()));
    match name {
        "logit_scale" => one("logit_scale"),
        "token_embedding.weight" => one("text_model.embeddings.token_embedding.weight"),
        "positional_embedding" => one("text_model.embeddings.position_embedding.weight"),
        "text_projection" => Some(Place::Turned("text_projection.weight".to_owned())),
        "text_projection.weight" => one("text_projection.weight"),
        "visual.class_embedding" => one("vision_model.embeddings.class_embedding"),
        "visual.conv1.weight" => one("vision_model.embeddings.patch_embedding.weight"),
        "visual.positional_embedding" => one("vision_model.embeddings.position_embedding.weight"),
        "visual.proj" => Some(Place::Turned("visual_projection.weight".to_owned())),
        _ => {
            let (norm, part) = name.rsplit_once('.')?;
            let ours = match norm {
                "ln_final" => "text_model.final_layer_norm",
                "visual.ln_pre" => "vision_model.pre_layrnorm",
                "visual.ln_post" => "vision_model.post_layernorm",
                _ => return None,
            };
            Some(Place::One(format!("{ours}.{part}")))
        }
    }
}

fn block(name: &str) -> Option<Place> {
    let (tower, rest) = match name.strip_prefix("visual.transformer.resblocks.") {
        Some(rest) => ("vision_model", rest),
        None => ("text_model", name.strip_prefix("transformer.resblocks.")?),
    };
    let (layer, inner) = rest.split_once('.')?;
    let layer = format!("{tower}.encoder.layers.{layer}");
    let three = |part| Some(Place::Three { attention: format!("{layer}.self_attn"), part });
    match inner {
        "attn.in_proj_weight" => return three("weight"),
        "attn.in_proj_bias" => return three("bias"),
        _ => {}
    }
    let (module, part) = inner.rsplit_once('.')?;
    let ours = match module {
        "ln_1" => "layer_norm1",
        "ln_2" => "layer_norm2",
        "attn.out_proj" => "self_attn.out_proj",
        "mlp.c_fc" => "mlp.fc1",
        "mlp.c_proj" => "mlp.fc2",
        _ => return None,
    };
    Some(Place::One(format!("{layer}.{ours}.{part}")))
}
