//! Parity with Hugging Face's CLIPModel: `tests/golden/hf_clip`, made by `tests/golden/hf_clip.py`.

use std::path::{Path, PathBuf};

use tch::{Device, Kind, no_grad_guard};

use super::bounds::{F32, likely, tower_roundings};
use super::{Golden, assert_close};
use crate::model::MagicLens;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/hf_clip")
}

#[test]
fn features_are_hugging_faces() {
    let model = MagicLens::initialise_from(&folder(), None, Device::Cpu, 0).unwrap();
    let golden = Golden::read(&folder().join("features.safetensors"));
    let _no_grad = no_grad_guard();
    let image = model.image_features(golden.get("pixels"));
    let text = model.text_features(&golden.get("ids").to_kind(Kind::Int64));
    let within = likely(F32, tower_roundings(model.config()));
    assert_close("image_features", &image, golden.get("image_features"), within);
    assert_close("text_features", &text, golden.get("text_features"), within);
}

#[test]
fn its_config_gives_the_sizes_and_the_paper_the_head() {
    let model = MagicLens::initialise_from(&folder(), None, Device::Cpu, 0).unwrap();
    let config = model.config();
    assert_eq!((config.image_size, config.context_length), (24, 11));
    assert_eq!((config.clip.vision_num_heads, config.clip.text_num_heads), (2, 3));
    let head = &config.magiclens;
    assert_eq!((head.embed_dim, head.num_layers, head.num_heads), (20, 4, 4));
}
