//! The released format: the golden's, and files that mean harm.

use magiclens_testing::{conformance, shared};
use proptest::prelude::*;
use rmp::encode;
use tch::{Device, Kind};

use super::{assert_same, load, refusal};
use crate::model::MagicLens;
use crate::model::config::ModelConfig;
use crate::model::weights::{msgpack, pickle};

#[test]
fn pickle_and_safetensors_of_the_golden_are_one_model() {
    let Some(folder) = shared("golden/tiny-base") else { return };
    let pickled = load(&folder.join("params.pkl")).unwrap();
    let plain = load(&folder.join("params.safetensors")).unwrap();
    assert_same(&pickled, &plain);
    assert_eq!(pickled.config(), &ModelConfig::read(&folder.join("config.json")).unwrap());
    conformance("model-weights", pickled.parameters().len());
}

#[test]
fn the_released_format_needs_no_config() {
    let Some(folder) = shared("golden/tiny-base") else { return };
    let elsewhere = tempfile::tempdir().unwrap();
    let path = elsewhere.path().join("magic_lens_clip_base.pkl");
    std::fs::copy(folder.join("params.pkl"), &path).unwrap();
    let mut found = load(&path).unwrap().config().clone();
    let golden = ModelConfig::read(&folder.join("config.json")).unwrap();
    (found.name, found.magiclens.clip_model_name) =
        (golden.name.clone(), golden.magiclens.clip_model_name.clone());
    assert_eq!(found, golden);
    conformance("model-config-of-weights", 1);
}

#[test]
fn the_files_own_heads_are_compared() {
    let Some(folder) = shared("golden/tiny-base") else { return };
    let mut config = ModelConfig::read(&folder.join("config.json")).unwrap();
    config.magiclens.num_heads = 4;
    config.magiclens.fusion_dim_per_head = 16;
    config.magiclens.pooler_dim_per_head = 64;
    config.clip.text_num_heads = 2;
    let error = refusal(&folder.join("params.pkl"), Some(&config));
    for part in [
        "heads of fusion.layers.1.attention.k_proj.weight is [8], not [4]",
        "heads of text_model.encoder.layers.0.self_attn.q_proj.weight is [1], not [2]",
        "per_dim_scale/per_dim_scale is [32], not [64]",
    ] {
        assert!(error.contains(part), "{error}");
    }
}

/// An array as flax writes it.
fn array(shape: &[u64], kind: &str, bytes: &[u8]) -> Vec<u8> {
    let mut payload = Vec::new();
    encode::write_array_len(&mut payload, 3).unwrap();
    encode::write_array_len(&mut payload, shape.len() as u32).unwrap();
    for &size in shape {
        encode::write_uint(&mut payload, size).unwrap();
    }
    encode::write_str(&mut payload, kind).unwrap();
    encode::write_bin(&mut payload, bytes).unwrap();
    let mut file = Vec::new();
    encode::write_ext_meta(&mut file, payload.len() as u32, 1).unwrap();
    file.extend(payload);
    file
}

/// A map of one name after the other to these values.
fn map(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut file = Vec::new();
    encode::write_map_len(&mut file, entries.len() as u32).unwrap();
    for (name, value) in entries {
        encode::write_str(&mut file, name).unwrap();
        file.extend(value);
    }
    file
}

fn sample() -> Vec<u8> {
    let two = [1f32.to_le_bytes(), (-2.5f32).to_le_bytes()].concat();
    let inner =
        map(&[("w", array(&[1, 2], "float32", &two)), ("s", array(&[], "float16", &[0, 0x3c]))]);
    map(&[("params", map(&[("clip", inner), ("none", map(&[]))]))])
}

fn problem(file: &[u8]) -> String {
    msgpack::tensors(file).unwrap_err().to_string()
}

#[test]
fn nested_maps_become_paths() {
    let tensors = msgpack::tensors(&sample()).unwrap();
    let names: Vec<_> = tensors.keys().map(String::as_str).collect();
    assert_eq!(names, ["params/clip/s", "params/clip/w"]);
    assert_eq!(tensors["params/clip/w"].size(), [1, 2]);
    assert_eq!(tensors["params/clip/w"].double_value(&[0, 1]), -2.5);
    assert_eq!(tensors["params/clip/s"].kind(), Kind::Float);
    assert_eq!(tensors["params/clip/s"].double_value(&[]), 1.0);
}

#[test]
fn what_is_found_in_the_wrong_place_is_said() {
    for (file, expected) in [
        (map(&[("a", vec![0xc0])]), "byte 3: Null, not an array at a"),
        (map(&[("a", array(&[3], "float32", &[0; 8]))]), "a of shape [3] (Float) has 8 bytes"),
        (map(&[("a", array(&[1], "int32", &[0; 4]))]), "a: of type \"int32\""),
        (map(&[("a", array(&[u64::MAX, 2], "float32", &[]))]), "has 0 bytes"),
        (map(&[("a", array(&[1; 9], "float32", &[]))]), "a: 9 dimensions"),
        (
            map(&[("a", array(&[0], "float32", &[])), ("a", array(&[0], "float32", &[]))]),
            "a comes twice",
        ),
        (map(&[("a", vec![0xd4, 7, 0])]), "a is of extension type 7"),
        (vec![0x81, 0xc3], "True, not a name"),
        (vec![0x81, 0xa1, 0xff], "a name that is not UTF-8"),
        (vec![0x81], "the end, not a name"),
        (vec![0x93], "FixArray(3), not a map"),
        (vec![0x80, 1, 2], "2 bytes after the end"),
        (map(&[("x".repeat(2000).as_str(), map(&[]))]), "a path longer than 1024 bytes"),
    ] {
        let error = problem(&file);
        assert!(error.starts_with("flax msgpack: byte") && error.contains(expected), "{error}");
    }
}

#[test]
fn stated_sizes_are_not_believed() {
    // Four thousand million entries, bytes of an array, characters of a name; and a million maps
    // deep.
    assert!(problem(&[0xdf, 0xff, 0xff, 0xff, 0xff]).contains("the end, not a name"));
    assert!(
        problem(&[0x81, 0xa1, b'a', 0xc9, 0xff, 0xff, 0xff, 0xff, 1])
            .contains("4294967295 bytes stated, 0")
    );
    assert!(problem(&[0x81, 0xdb, 0xff, 0xff, 0xff, 0xff]).contains("4294967295 bytes stated, 0"));
    let deep: Vec<u8> = [0x81, 0xa1, b'a'].into_iter().cycle().take(3_000_000).collect();
    assert!(problem(&deep).contains("maps more than 32 deep"));
}

#[test]
fn a_raw_message_without_its_envelope_is_read_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("raw.msgpack");
    std::fs::write(&path, sample()).unwrap();
    let error = MagicLens::load(&path, Some(&ModelConfig::base()), Device::Cpu).unwrap_err();
    assert!(error.to_string().contains("no fusion layers and no pooler"), "{error}");
}

proptest! {
    #[test]
    fn no_damage_makes_it_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        length in any::<prop::sample::Index>(),
        cut: bool,
    ) {
        let mut file = sample();
        for (place, byte) in changes {
            let place = place.index(file.len());
            file[place] = byte;
        }
        if cut {
            file.truncate(length.index(file.len()));
        }
        if let Ok(tensors) = msgpack::tensors(&file) {
            prop_assert!(tensors.len() <= 2);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(
        bytes in prop::collection::vec(
            prop_oneof![
                any::<u8>(),
                prop::sample::select(&b"\x81\x82\xa1a\xc7\xd4\xde\x01\x93\x90\xa7"[..]),
            ],
            0..96,
        ),
    ) {
        let _ = msgpack::tensors(&bytes);
        let _ = pickle::only_bytes(&bytes).map(msgpack::tensors);
    }

    #[test]
    fn any_array_comes_back(
        values in prop::collection::vec(any::<f32>(), 0..40),
        name in "[a-z/]{1,20}",
    ) {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let file = map(&[(&name, array(&[values.len() as u64, 1], "float32", &bytes))]);
        let tensors = msgpack::tensors(&file).unwrap();
        let mut read = vec![0f32; values.len()];
        tensors[&name].copy_data(&mut read, values.len());
        let bits = |list: &[f32]| list.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        prop_assert_eq!(bits(&read), bits(&values));
    }
}
