//! Our own format, and what is common to all safetensors: kinds, shards, errors.

use std::os::unix::fs::PermissionsExt;

use tch::{Device, Kind, Tensor};

use super::{assert_same, load, named, no_metadata, refusal, write};
use crate::model::MagicLens;
use crate::model::config::ModelConfig;
use crate::model::tests::tiny;
use crate::model::weights::safetensors::replace;
use crate::model::weights::{WeightsError, read_tensors, write_tensors};

fn saved(folder: &std::path::Path) -> MagicLens {
    let model = MagicLens::new(&tiny(), Device::Cpu, 1);
    model.save(folder).unwrap();
    model
}

#[test]
fn what_is_saved_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("new/model");
    let model = saved(&place);
    let again = load(&place).unwrap();
    assert_eq!(again.config(), model.config());
    assert_same(&again, &model);
    let file = place.join("model.safetensors");
    assert_same(&load(&file).unwrap(), &model);
    let mut names: Vec<_> =
        std::fs::read_dir(&place).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["config.json", "model.safetensors"]);
    let mode = |name| place.join(name).metadata().unwrap().permissions().mode();
    assert_eq!(mode("model.safetensors"), mode("config.json"));
}

#[test]
fn saving_again_replaces_and_failing_to_keeps() {
    let folder = tempfile::tempdir().unwrap();
    saved(folder.path());
    let other = MagicLens::new(&tiny(), Device::Cpu, 2);
    other.save(folder.path()).unwrap();
    assert_same(&load(folder.path()).unwrap(), &other);
    let file = folder.path().join("model.safetensors");
    let error = replace(&file, |temporary| {
        std::fs::write(temporary, "half of it").unwrap();
        Err("no space left".to_owned())
    });
    assert!(matches!(error, Err(WeightsError::Write { .. })));
    assert_same(&load(folder.path()).unwrap(), &other);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn half_kinds_become_float() {
    let folder = tempfile::tempdir().unwrap();
    let model = saved(folder.path());
    for kind in [Kind::Half, Kind::BFloat16, Kind::Double] {
        write(&folder.path().join("model.safetensors"), &named(model.parameters()), kind);
        let loaded = load(folder.path()).unwrap();
        for (ours, original) in loaded.parameters().iter().zip(model.parameters()) {
            let expected = original.tensor.to_kind(kind).to_kind(Kind::Float);
            assert_eq!(ours.tensor, expected, "{} {kind:?}", ours.name);
        }
    }
}

#[test]
fn any_tensors_are_written_and_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("moments.safetensors");
    let (scalar, none) = (Tensor::from(2.5f32), Tensor::zeros([0, 3], (Kind::Float, Device::Cpu)));
    let turned = Tensor::arange(6, (Kind::Float, Device::Cpu)).view([2, 3]).tr();
    let list = [("scalar", &scalar), ("none", &none), ("turned", &turned)];
    write_tensors(&path, list, no_metadata()).unwrap();
    let read = read_tensors(&path).unwrap();
    assert_eq!(read.len(), 3);
    for (name, tensor) in list {
        assert_eq!(&read[name], tensor, "{name}");
    }
}

#[test]
fn all_that_does_not_fit_is_named_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let model = saved(folder.path());
    let mut tensors = named(model.parameters());
    let _ = tensors.remove("pooler.query").unwrap();
    let _ = tensors.remove("visual_projection.weight").unwrap();
    let scale = tensors.get_mut("pooler.norm.scale").unwrap();
    *scale = scale.narrow(0, 0, 39);
    tensors.insert("fusion.layers.7.mlp.fc1.bias".to_owned(), Tensor::from(1f32));
    write(&folder.path().join("model.safetensors"), &tensors, Kind::Float);
    let error = refusal(folder.path(), None);
    for part in [
        "2 missing: pooler.query, visual_projection.weight",
        "1 unknown: fusion.layers.7.mlp.fc1.bias",
        "1 of another shape: pooler.norm.scale is [39], not [40]",
    ] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn another_config_is_told_from_the_one_beside_the_weights() {
    let folder = tempfile::tempdir().unwrap();
    saved(folder.path());
    let mut config = tiny();
    config.context_length = 13;
    let error = refusal(folder.path(), Some(&config));
    let expected = "position_embedding.weight is [12, 32], not [13, 32]";
    assert!(error.contains(expected), "{error}");
    std::fs::write(folder.path().join("config.json"), r#"{"magiclens": {}}"#).unwrap();
    let error = refusal(folder.path(), None);
    assert!(error.contains("config.json: missing field"), "{error}");
    assert!(MagicLens::load(folder.path(), Some(&tiny()), Device::Cpu).is_ok());
}

#[test]
fn without_a_config_the_tensors_tell_the_sizes() {
    let mut config = ModelConfig::base();
    config.image_size = 48;
    config.clip.vocab_size = 20;
    (config.clip.vision_num_layers, config.clip.text_num_layers) = (1, 2);
    (config.clip.vision_features, config.clip.vision_num_heads) = (128, 2);
    (config.clip.text_features, config.clip.text_num_heads) = (64, 1);
    config.magiclens.num_layers = 3;
    let folder = tempfile::tempdir().unwrap();
    MagicLens::new(&config, Device::Cpu, 1).save(folder.path()).unwrap();
    std::fs::remove_file(folder.path().join("config.json")).unwrap();
    let mut found = load(folder.path()).unwrap().config().clone();
    assert_eq!(found.name, "vit_128_16");
    (found.name, found.magiclens.clip_model_name) = ("base".to_owned(), "vit_b16".to_owned());
    assert_eq!(found, config);
}

#[test]
fn shards_are_put_together_and_their_index_is_not_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let model = saved(folder.path());
    let whole = folder.path().join("model.safetensors");
    std::fs::remove_file(&whole).unwrap();
    let (one, two): (Vec<_>, Vec<_>) =
        named(model.parameters()).into_iter().partition(|(name, _)| name.starts_with("vision"));
    let mut map = serde_json::Map::new();
    for (file, tensors) in [("a.safetensors", one), ("b.safetensors", two)] {
        map.extend(tensors.iter().map(|(name, _)| (name.clone(), file.into())));
        write(&folder.path().join(file), &tensors.into_iter().collect(), Kind::Float);
    }
    let index = folder.path().join("model.safetensors.index.json");
    let put = |map: &serde_json::Map<String, serde_json::Value>| {
        std::fs::write(&index, serde_json::json!({"weight_map": map}).to_string()).unwrap();
    };
    put(&map);
    assert_same(&load(folder.path()).unwrap(), &model);
    for (name, file, expected) in [
        ("more", "a.safetensors", "places \"more\" into a.safetensors, which has it not"),
        ("logit_scale", "a.safetensors", "does not place \"logit_scale\" into b.safetensors"),
        ("logit_scale", "../b.safetensors", "not a plain file name"),
        ("logit_scale", "..", "not a plain file name"),
        ("more", "c.safetensors", "cannot read"),
    ] {
        let mut map = map.clone();
        map.insert(name.to_owned(), file.into());
        put(&map);
        let error = refusal(folder.path(), None);
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn what_is_no_weights_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.bin");
    for (content, expected) in [
        (&b""[..], "empty"),
        (b"PK\x03\x04 and so on", "a zip: a PyTorch checkpoint"),
        (b"version https://git-lfs.github.com/spec/v1", "a Git LFS pointer"),
        (b"\xff\xff\xff\xff\xff\xff\xff\xff{", "safetensors: header too large"),
        (b"\x02\0\0\0\0\0\0\0{}more", "safetensors: incomplete metadata"),
        (b"\x80\x04cos\nsystem\n.", "imports code"),
    ] {
        std::fs::write(&path, content).unwrap();
        let error = refusal(&path, None);
        assert!(error.contains(expected), "{error}");
    }
    let error = refusal(folder.path(), None);
    assert!(
        error.contains("no model.safetensors") && error.ends_with("found: weights.bin"),
        "{error}"
    );
    assert!(refusal(&folder.path().join("none"), None).contains("cannot read"));
}

#[test]
fn integers_are_no_weights_unless_known_to_be_none() {
    let folder = tempfile::tempdir().unwrap();
    let model = saved(folder.path());
    let mut tensors = named(model.parameters());
    tensors.insert("text_model.embeddings.position_ids".to_owned(), Tensor::from(3i64));
    let list: Vec<_> = tensors.iter().collect();
    let path = folder.path().join("model.safetensors");
    Tensor::write_safetensors(&list, &path).unwrap();
    assert_same(&load(folder.path()).unwrap(), &model);
    tensors.insert("steps".to_owned(), Tensor::from(3i64));
    let list: Vec<_> = tensors.iter().collect();
    Tensor::write_safetensors(&list, &path).unwrap();
    let error = refusal(folder.path(), None);
    assert!(error.contains("steps is of I64, not floating point"), "{error}");
}
