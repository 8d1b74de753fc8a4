//! Hugging Face's and OpenCLIP's weights of CLIP.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

use super::{load, named, write};
use crate::model::config::ModelConfig;
use crate::model::tests::tiny;
use crate::model::{MagicLens, Origin};

/// Sizes that OpenCLIP's form can say: vision heads of one width.
fn config() -> ModelConfig {
    let mut config = tiny();
    config.clip.vision_features = 64;
    config.clip.vision_num_heads = 2;
    config.clip.vision_head_dim = 32;
    config
}

/// CLIP's tensors under OpenCLIP's names: the way back, written by hand.
fn open_clip(model: &MagicLens) -> BTreeMap<String, Tensor> {
    let ours = named(model.parameters());
    let mut theirs = BTreeMap::new();
    for (from, to, turned) in [
        ("logit_scale", "logit_scale", false),
        ("text_model.embeddings.token_embedding.weight", "token_embedding.weight", false),
        ("text_model.embeddings.position_embedding.weight", "positional_embedding", false),
        ("text_projection.weight", "text_projection", true),
        ("text_model.final_layer_norm.weight", "ln_final.weight", false),
        ("text_model.final_layer_norm.bias", "ln_final.bias", false),
        ("vision_model.embeddings.class_embedding", "visual.class_embedding", false),
        ("vision_model.embeddings.patch_embedding.weight", "visual.conv1.weight", false),
        ("vision_model.embeddings.position_embedding.weight", "visual.positional_embedding", false),
        ("vision_model.pre_layrnorm.weight", "visual.ln_pre.weight", false),
        ("vision_model.pre_layrnorm.bias", "visual.ln_pre.bias", false),
        ("vision_model.post_layernorm.weight", "visual.ln_post.weight", false),
        ("vision_model.post_layernorm.bias", "visual.ln_post.bias", false),
        ("visual_projection.weight", "visual.proj", true),
    ] {
        let tensor = if turned { ours[from].tr() } else { ours[from].shallow_clone() };
        theirs.insert(to.to_owned(), tensor.contiguous());
    }
    for (tower, blocks, layers) in [
        ("vision_model", "visual.transformer.resblocks", model.config().clip.vision_num_layers),
        ("text_model", "transformer.resblocks", model.config().clip.text_num_layers),
    ] {
        for layer in 0..layers {
            let get = |name: &str| {
                ours[&format!("{tower}.encoder.layers.{layer}.{name}")].shallow_clone()
            };
            for part in ["weight", "bias"] {
                let mut put = |name: String, tensor: Tensor| {
                    theirs.insert(format!("{blocks}.{layer}.{name}"), tensor);
                };
                let three = ["q", "k", "v"].map(|p| get(&format!("self_attn.{p}_proj.{part}")));
                put(format!("attn.in_proj_{part}"), Tensor::cat(&three, 0));
                for (from, to) in [
                    ("self_attn.out_proj", "attn.out_proj"),
                    ("layer_norm1", "ln_1"),
                    ("layer_norm2", "ln_2"),
                    ("mlp.fc1", "mlp.c_fc"),
                    ("mlp.fc2", "mlp.c_proj"),
                ] {
                    put(format!("{to}.{part}"), get(&format!("{from}.{part}")));
                }
            }
        }
    }
    theirs
}

fn open_clip_config() -> Value {
    json!({
        "model_cfg": {
            "embed_dim": 40,
            "quick_gelu": true,
            "vision_cfg": {
                "image_size": 24, "layers": 2, "width": 64, "head_width": 32, "patch_size": 8
            },
            "text_cfg": {
                "context_length": 12, "vocab_size": 50, "width": 32, "heads": 2, "layers": 3
            }
        },
        "preprocess_cfg": { "mean": [0.5, 0.25, 0.125], "std": [0.5, 0.5, 0.25], "size": [24, 24] }
    })
}

fn put(folder: &Path, name: &str, value: &Value) {
    std::fs::write(folder.join(name), value.to_string()).unwrap();
}

#[test]
fn open_clips_tensors_are_ours_by_other_names() {
    let folder = tempfile::tempdir().unwrap();
    let model = MagicLens::new(&config(), Device::Cpu, 5);
    let mut tensors = open_clip(&model);
    tensors.insert("attn_mask".to_owned(), Tensor::from(0f32));
    write(&folder.path().join("open_clip_model.safetensors"), &tensors, Kind::Float);
    put(folder.path(), "open_clip_config.json", &open_clip_config());
    // Hugging Face's of the same folder, which would have other heads.
    put(folder.path(), "config.json", &json!({ "text_config": {}, "vision_config": {} }));
    let loaded = MagicLens::initialise_from(folder.path(), None, Device::Cpu, 9).unwrap();
    assert_eq!(loaded.config().clip, config().clip);
    assert_eq!(loaded.config().image_mean, [0.5, 0.25, 0.125]);
    let fresh = MagicLens::new(loaded.config(), Device::Cpu, 9);
    for parameter in loaded.parameters() {
        let expected = if parameter.origin == Origin::New { &fresh } else { &model };
        let expected = expected.parameters().get(&parameter.name).unwrap();
        assert_eq!(parameter.tensor, expected.tensor, "{}", parameter.name);
    }
}

#[test]
fn the_other_form_of_open_clips_text_tower_is_read_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("any.safetensors");
    let config = config();
    let model = MagicLens::new(&config, Device::Cpu, 5);
    let renamed = open_clip(&model).into_iter().map(|(name, tensor)| {
        let plain = name.starts_with("visual.") || name == "logit_scale";
        (if plain { name } else { format!("text.{name}") }, tensor)
    });
    let mut tensors: BTreeMap<_, _> = renamed.collect();
    write(&path, &tensors, Kind::Float);
    let start = || MagicLens::initialise_from(&path, Some(&config), Device::Cpu, 9);
    let name = "text_model.encoder.layers.2.self_attn.k_proj.weight";
    let loaded = start().unwrap();
    assert_eq!(
        loaded.parameters().get(name).unwrap().tensor,
        model.parameters().get(name).unwrap().tensor
    );
    tensors.insert("text.logit_bias".to_owned(), Tensor::from(1f32));
    tensors.insert("ln_final.bias".to_owned(), Tensor::from(1f32));
    write(&path, &tensors, Kind::Float);
    let error = start().unwrap_err().to_string();
    // Two tensors for one place: which of them it should be is not guessed.
    assert!(error.contains("2 unknown: text.ln_final.bias, text.logit_bias"), "{error}");
}

#[test]
fn weights_of_clip_alone_embed_nothing() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/hf_clip");
    let error = load(&folder).unwrap_err().to_string();
    assert!(error.contains("no fusion layers and no pooler"), "{error}");
}

#[test]
fn what_our_blocks_do_not_compute_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let model = MagicLens::new(&config(), Device::Cpu, 5);
    write(&folder.path().join("model.safetensors"), &named(model.parameters()), Kind::Float);
    let refusal = |value: Value| {
        put(folder.path(), "config.json", &value);
        load(folder.path()).unwrap_err().to_string()
    };
    for (text, vision, expected) in [
        (json!({ "hidden_act": "gelu" }), json!({}), "text_config.hidden_act = \"gelu\""),
        (json!({}), json!({ "intermediate_size": 4 }), "intermediate_size = 4, not 4 × 768"),
        (json!({}), json!({ "layer_norm_eps": 1e-6 }), "vision_config.layer_norm_eps = 0.000001"),
        (json!({}), json!({ "num_channels": 4 }), "num_channels = 4"),
        (json!({ "num_attention_heads": 0 }), json!({}), "clip.text_num_heads = 0"),
        (json!({ "hidden_size": "wide" }), json!({}), "invalid type"),
    ] {
        let error = refusal(json!({ "text_config": text, "vision_config": vision }));
        assert!(error.contains(expected), "{error}");
    }
    let mut other = open_clip_config();
    other["model_cfg"]["quick_gelu"] = false.into();
    assert!(refusal(other).contains("quick_gelu is not true"));
    let error = refusal(json!({ "model_type": "siglip", "hidden_size": 3 }));
    assert!(error.contains("it has: hidden_size, model_type"), "{error}");
    assert!(refusal(json!([1])).contains("neither ours"));
}

#[test]
fn hugging_faces_defaults_are_vit_b_32() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    std::fs::write(&path, r#"{"text_config": {}, "vision_config": {}}"#).unwrap();
    let layout = crate::model::weights::naming::Layout::HuggingFace;
    let found = crate::model::weights::configs::beside(folder.path(), layout).unwrap().unwrap();
    assert_eq!(ModelConfig { name: "base32".to_owned(), ..found }, ModelConfig::base32());
}
