//! CLIP by itself: Hugging Face's numbers at length 1, and no say of the batch in any of them.

use std::path::{Path, PathBuf};

use tch::{Device, Kind, Tensor};

use super::bounds::{F32, likely, tower_roundings};
use super::{Golden, assert_close, tiny};
use crate::model::{ClipTowers, MagicLens, ModelConfig};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/hf_clip")
}

fn normalised(features: &Tensor) -> Tensor {
    features / features.square().sum_dim_intlist([-1].as_slice(), true, Kind::Float).sqrt()
}

/// The bound of a tower's vectors at length 1: its own roundings and the sum of the squares.
fn length_one_within(config: &ModelConfig) -> f64 {
    likely(F32, tower_roundings(config) + config.clip.embed_dim as usize)
}

fn rows(vectors: &[f32], width: usize) -> Tensor {
    Tensor::from_slice(vectors).reshape([-1, width as i64])
}

#[test]
fn vectors_are_hugging_faces_at_length_one() {
    let model = MagicLens::initialise_from(&folder(), None, Device::Cpu, 0).unwrap();
    let within = length_one_within(model.config());
    let towers = ClipTowers::around(model);
    let golden = Golden::read(&folder().join("features.safetensors"));
    let pixels = Vec::<f32>::try_from(golden.get("pixels").reshape([-1])).unwrap();
    let images = rows(&towers.embed_images(&pixels), towers.width());
    assert_close("images", &images, &normalised(golden.get("image_features")), within);
    let texts = towers.embed_ids(&golden.get("ids").to_kind(Kind::Int64));
    let texts = rows(&texts, towers.width());
    assert_close("texts", &texts, &normalised(golden.get("text_features")), within);
}

#[test]
fn a_text_tower_of_another_tokenizer_is_refused() {
    let refused = ClipTowers::load(&folder(), Device::Cpu).map(|_| ()).unwrap_err().to_string();
    assert!(refused.contains("96 tokens and reads 11"), "{refused}");
}

#[test]
fn vectors_do_not_depend_on_the_batch() {
    let mut config: ModelConfig = tiny();
    (config.clip.vocab_size, config.context_length) = (49_408, 77);
    let within = length_one_within(&config);
    let towers = ClipTowers::around(MagicLens::new(&config, Device::Cpu, 3));
    let (images, numbers) = (37, 3 * 24 * 24);
    let pixels: Vec<f32> = (0..images * numbers).map(|n| (n as f32 * 0.37).sin()).collect();
    let texts: Vec<String> = (0..images).map(|n| "a red boat ".repeat(1 + n % 20)).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let width = towers.width();
    let all = [towers.embed_images(&pixels), towers.embed_texts(&texts)];
    for size in [1, 2, 7, 36] {
        let parts = [
            pixels.chunks(size * numbers).flat_map(|part| towers.embed_images(part)).collect(),
            texts.chunks(size).flat_map(|part| towers.embed_texts(part)).collect::<Vec<_>>(),
        ];
        for (name, (all, parts)) in ["images", "texts"].iter().zip(all.iter().zip(&parts)) {
            assert_close(name, &rows(parts, width), &rows(all, width), within);
        }
    }
    assert_eq!(towers.embed_images(&[]), Vec::<f32>::new());
    assert_eq!(towers.embed_texts(&[]), Vec::<f32>::new());
}
