//! What a trainer relies on: gradients everywhere, bfloat16 that stays close, seeds that repeat.

use std::collections::BTreeSet;

use tch::{Device, Kind, Tensor, no_grad_guard};

use super::bounds::{BF16, F32, F64, assert_within, likely, roundings};
use super::{assert_close, distance, in_double, tiny};
use crate::model::MagicLens;

/// Four images and texts that use every token's and position's neighbourhood.
fn inputs(model: &MagicLens) -> (Tensor, Tensor) {
    let size = model.config().image_size;
    let count = 4 * 3 * size * size;
    let pixels = (Tensor::arange(count, (Kind::Float, Device::Cpu)) * 0.37).sin();
    let ids: Vec<i64> =
        (0..4 * 12).map(|i| [48, 5, 17, 3, 30, 9, 12, 1, 2, 7, 4, 49][i % 12]).collect();
    (pixels.view([4, 3, size, size]), Tensor::from_slice(&ids).view([4, 12]))
}

fn embed(model: &MagicLens) -> Tensor {
    let (pixels, ids) = inputs(model);
    model.fuse(&model.image_features(&pixels), &model.text_features(&ids))
}

/// Not at the start, where the gradient of some biases is nothing but rounding.
fn lived_in(seed: i64) -> MagicLens {
    let model = MagicLens::new(&tiny(), Device::Cpu, seed);
    let _no_grad = no_grad_guard();
    for (index, parameter) in model.parameters().iter().enumerate() {
        let count = parameter.tensor.numel() as i64;
        let noise = (Tensor::arange(count, (Kind::Float, Device::Cpu)) * 1.7 + index as f64).sin();
        let _ = parameter.tensor.shallow_clone().g_add_(&(noise.view_as(&parameter.tensor) * 0.1));
    }
    model
}

#[test]
fn every_parameter_but_the_temperature_gets_a_gradient() {
    let model = lived_in(1);
    let mut weights = embed(&model);
    weights =
        &weights * (Tensor::arange(160, (Kind::Float, Device::Cpu)) * 0.9).cos().view([4, 40]);
    weights.sum(Kind::Float).backward();
    let without: BTreeSet<_> = model
        .parameters()
        .iter()
        .filter(|parameter| {
            let gradient = parameter.tensor.grad();
            !gradient.defined() || gradient.abs().max().double_value(&[]) == 0.0
        })
        .map(|parameter| parameter.name.as_str())
        .collect();
    assert_eq!(without, BTreeSet::from(["logit_scale"]));
    for parameter in model.parameters() {
        let gradient = parameter.tensor.grad();
        assert!(!gradient.defined() || gradient.kind() == Kind::Float, "{}", parameter.name);
    }
}

#[test]
fn a_step_in_place_changes_what_is_computed() {
    let model = MagicLens::new(&tiny(), Device::Cpu, 1);
    let before = embed(&model).detach();
    embed(&model).get(0).get(0).backward();
    let _no_grad = no_grad_guard();
    for parameter in model.parameters() {
        if parameter.tensor.grad().defined() {
            let step = parameter.tensor.grad() * 0.1;
            let _ = parameter.tensor.shallow_clone().g_sub_(&step);
        }
    }
    let after = embed(&model);
    let moved = before.double_value(&[0, 0]) - after.double_value(&[0, 0]);
    assert!(moved > 10.0 * likely(F32, roundings(model.config())), "{moved}");
}

/// Largest distance from 1 of the cosine between bfloat16 and exact embeddings.
///
/// Products are added up in float32, so what is rounded to bfloat16 is what each of a layer's ten
/// operations gives. An error uniform within one unit roundoff u has the deviation u/√3, and n of them in
/// a row √n times that. Three times that is allowed for the length of the difference, and the cosine falls
/// short of 1 by half its square.
fn bfloat16_within(model: &MagicLens) -> f64 {
    let config = model.config();
    let tower = config.clip.vision_num_layers.max(config.clip.text_num_layers);
    let layers = tower + config.magiclens.num_layers + 1;
    let apart = 3.0 * (10.0 * layers as f64 / 3.0).sqrt() * BF16;
    apart * apart / 2.0
}

#[test]
fn bfloat16_stays_close_and_keeps_float_gradients() {
    let mut model = lived_in(2);
    let exact = embed(&model).detach();
    model.set_compute(Kind::BFloat16);
    let (pixels, ids) = inputs(&model);
    assert_eq!(model.image_features(&pixels).kind(), Kind::BFloat16);
    assert_eq!(model.text_features(&ids).kind(), Kind::BFloat16);
    let rough = embed(&model);
    assert_eq!(rough.kind(), Kind::Float);
    let cosine = (&exact * &rough).sum_dim_intlist(-1, false, Kind::Float).min();
    assert_within(1.0 - cosine.double_value(&[]), bfloat16_within(&model), "1 less the cosine");
    assert_ne!(exact, rough.detach());
    rough.get(0).get(0).backward();
    let gradient = model.parameters().get("visual_projection.weight").unwrap().tensor.grad();
    assert_eq!(gradient.kind(), Kind::Float);
}

#[test]
fn rows_have_length_one_and_do_not_see_each_other() {
    let model = in_double(lived_in(3));
    let _no_grad = no_grad_guard();
    let all = embed(&model);
    let lengths = all.square().sum_dim_intlist(-1, false, Kind::Double);
    // Once here and once in the model, which adds 1e-12 to what it takes the root of.
    let within = 1e-11 + likely(F64, model.config().clip.embed_dim as usize);
    assert_close("lengths", &lengths, &lengths.ones_like(), within);
    let (pixels, ids) = inputs(&model);
    let image = model.image_features(&pixels.narrow(0, 2, 1));
    let alone = model.fuse(&image, &model.text_features(&ids.narrow(0, 2, 1)));
    let within = likely(F64, roundings(model.config()));
    assert_close("row 2 alone", &alone, &all.narrow(0, 2, 1), within);
    assert!(distance(&alone, &all.narrow(0, 1, 1)) > 1e6 * within, "another row's is far off");
}

#[test]
fn one_text_serves_many_images() {
    let model = in_double(lived_in(4));
    let _no_grad = no_grad_guard();
    let (pixels, ids) = inputs(&model);
    let (image, text) = (model.image_features(&pixels), model.text_features(&ids.narrow(0, 0, 1)));
    let repeated = model.fuse(&image, &text.repeat([4, 1]));
    let within = likely(F64, roundings(model.config()));
    assert_close("one text", &model.fuse(&image, &text), &repeated, within);
}

#[test]
fn a_seed_is_a_model() {
    let embedding = |seed| embed(&MagicLens::new(&tiny(), Device::Cpu, seed)).detach();
    assert_eq!(embedding(5), embedding(5));
    assert_ne!(embedding(5), embedding(6));
}

#[test]
#[should_panic(expected = "impossible sizes")]
fn impossible_sizes_make_no_model() {
    let mut config = tiny();
    config.clip.text_num_heads = 5;
    MagicLens::new(&config, Device::Cpu, 0);
}
