//! Every intermediate and every output of `golden/tiny-base`, made by the original implementation.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::PathBuf;

use magiclens_testing::{conformance, shared};
use tch::{Device, Kind, Tensor, no_grad};

use super::bounds::{F32, F64, likely, roundings, tower_roundings};
use super::{Golden, assert_close, distance, in_double, largest};
use crate::model::MagicLens;
use crate::model::clip::{Block, text_mask};
use crate::model::fusion::{FusionLayer, attend};
use crate::model::nn::CappedAttention;
use crate::model::pooler::normalize;

/// Bounds of numbers out of the towers, and of those that fusion or pooler give.
struct Within {
    towers: f64,
    whole: f64,
}

impl Within {
    fn of(model: &MagicLens) -> Self {
        let [towers, whole] = [tower_roundings, roundings].map(|count| count(model.config()));
        Self { towers: likely(F32, towers), whole: likely(F32, whole) }
    }
}

fn folder() -> Option<PathBuf> {
    shared("golden/tiny-base")
}

/// The ten cases: normalised pixels, ids.
fn inputs(folder: &std::path::Path) -> (Tensor, Tensor) {
    let images = Golden::read(&folder.join("preprocess.safetensors"));
    let config = crate::model::ModelConfig::read(&folder.join("config.json")).unwrap();
    let channel = |values: [f64; 3]| Tensor::from_slice(&values).to_kind(Kind::Float);
    let pixels =
        (images.get("process_img") - channel(config.image_mean)) / channel(config.image_std);
    let ids = Golden::read(&folder.join("outputs.safetensors")).get("ids").to_kind(Kind::Int64);
    (pixels.permute([0, 3, 1, 2]).contiguous(), ids)
}

/// As the trainer does: only columns that some row uses.
fn trimmed(ids: &Tensor) -> Tensor {
    let used = ids.gt(0).to_kind(Kind::Int64).sum_dim_intlist(0, false, Kind::Int64);
    let last = used.nonzero().max().int64_value(&[]);
    ids.narrow(1, 0, last + 1)
}

#[test]
fn outputs_are_the_originals() {
    let Some(folder) = folder() else { return };
    let model = MagicLens::load(&folder.join("params.pkl"), None, Device::Cpu).unwrap();
    let (pixels, ids) = inputs(&folder);
    let float = Golden::read(&folder.join("outputs.safetensors"));
    let double = Golden::read(&folder.join("outputs_f64.safetensors"));
    let _no_grad = tch::no_grad_guard();
    let (image, text) = (model.image_features(&pixels), model.text_features(&ids));
    let input = model.pair(&image, &text);
    let fused = model.fusion.forward(model.pair(&image, &text));
    let pooled = model.pooler.forward(&fused);
    let embedding = model.fuse(&image, &text);
    let Within { towers, whole } = Within::of(&model);
    let mut compared = 0;
    let mut check = |golden: &Golden, name: &str, ours: &Tensor, limit: f64| {
        assert_close(name, ours, golden.get(name), limit);
        compared += 1;
    };
    check(&float, "fusion_input", &input, towers);
    check(&float, "pooled", &pooled.unsqueeze(1), whole);
    for golden in [&float, &double] {
        check(golden, "clip_image_embed", &image, towers);
        check(golden, "clip_text_embed", &text, towers);
        let brighter = model.image_features(&(&pixels + 1.0 / 255.0));
        let off = distance(&brighter, golden.get("clip_image_embed"));
        assert!(off > 10.0 * towers * largest(&image), "a level of 255 is out of bounds: {off}");
        check(golden, "fusion_output", &fused, whole);
        check(golden, "multimodal_embed", &pooled, whole);
        check(golden, "multimodal_embed_norm", &embedding, whole);
    }
    // Targets: the same images with the empty text, whose one row serves all.
    let empty = model.text_features(&ids.narrow(0, 0, 1).narrow(1, 0, 2));
    let targets = model.fuse(&image, &empty);
    check(&float, "index_embed_norm", &targets, whole);
    check(&float, "scores", &embedding.matmul(&targets.tr()), whole);
    conformance("model-outputs", compared);
}

#[test]
fn the_mask_and_the_padding_change_nothing() {
    let Some(folder) = folder() else { return };
    let model = MagicLens::load(&folder.join("params.safetensors"), None, Device::Cpu).unwrap();
    let model = in_double(model);
    let (_, ids) = inputs(&folder);
    let _no_grad = tch::no_grad_guard();
    let whole = model.text_features(&ids);
    // All but the longest row, which fills the context; then each row to its own length.
    let others = Tensor::cat(&[ids.narrow(0, 0, 2), ids.narrow(0, 3, 7)], 0);
    assert_eq!(trimmed(&others).size(), [9, 15]);
    let expected = Tensor::cat(&[whole.narrow(0, 0, 2), whole.narrow(0, 3, 7)], 0);
    let within = likely(F64, tower_roundings(model.config()));
    assert_close("trimmed", &model.text_features(&trimmed(&others)), &expected, within);
    for row in 0..10 {
        let alone = model.text_features(&trimmed(&ids.narrow(0, row, 1)));
        assert_close(&format!("row {row}"), &alone, &whole.narrow(0, row, 1), within);
    }
}

/// Compares by name, and remembers what was compared.
struct Checker {
    golden: Golden,
    within: Within,
    seen: RefCell<BTreeSet<String>>,
}

impl Checker {
    fn check(&self, name: &str, ours: &Tensor) {
        let expected = self.golden.get(name);
        let within = if name.starts_with("clip") { self.within.towers } else { self.within.whole };
        assert!(self.seen.borrow_mut().insert(name.to_owned()), "{name} is compared twice");
        assert_close(name, &ours.reshape(expected.size()), expected, within);
    }

    /// A tower's block, step by step: `[B·T, width]` in and out.
    fn block(
        &self,
        path: &str,
        at: &str,
        block: &Block,
        x: &Tensor,
        batch: i64,
        mask: Option<&Tensor>,
    ) -> Tensor {
        let check = |name: &str, ours: &Tensor| self.check(&format!("{path}{name}{at}"), ours);
        let normed = block.norm1.forward(x);
        check("/ln_1", &normed);
        let parts = block.attention.project(&normed, batch);
        for (name, part) in ["/attn/query", "/attn/key", "/attn/value"].iter().zip(&parts) {
            check(name, &part.transpose(1, 2));
        }
        let attended = block.attention.forward(&normed, batch, mask);
        check("/attn", &attended);
        check("/attn/out", &attended);
        let normed = block.norm2.forward(&(x + attended));
        check("/ln_2", &normed);
        check("/mlp/c_fc", &(block.mlp.expand(&normed) / 1.702));
        check("/mlp/c_proj", &block.mlp.forward(&normed));
        check("/mlp", &block.mlp.forward(&normed));
        let out = block.forward(x, batch, mask);
        check("", &out);
        out
    }

    fn fusion_layer(&self, path: &str, layer: &FusionLayer, x: &Tensor) -> Tensor {
        let check = |name: &str, ours: &Tensor| self.check(&format!("{path}{name}"), ours);
        let normed = layer.attention_norm.forward(x);
        check("/layer_norm", &normed);
        self.projections(&format!("{path}/self_attention"), &layer.attention, &normed);
        let attended = attend(&layer.attention, &normed);
        check("/self_attention/post", &attended);
        check("/self_attention", &attended);
        let normed = layer.mlp_norm.forward(&(x + attended));
        check("/ff_layer/layer_norm", &normed);
        let expanded = layer.mlp.fc1.forward(&normed);
        check("/ff_layer/ffn_layer1/bias", &expanded);
        check("/ff_layer/ffn_layer1", &expanded.relu());
        let contracted = layer.mlp.forward(&normed);
        check("/ff_layer/ffn_layer2/bias", &contracted);
        check("/ff_layer/ffn_layer2", &contracted);
        let out = layer.forward(x);
        check("/ff_layer", &out);
        check("", &out);
        out
    }

    fn projections(&self, path: &str, attention: &CappedAttention, x: &Tensor) {
        for (name, map) in [("query", &attention.q), ("key", &attention.k), ("value", &attention.v)]
        {
            if !(path.contains("pool_attn") && name == "query") {
                self.check(&format!("{path}/{name}"), &map.forward(x));
            }
        }
    }
}

#[test]
fn every_intermediate_is_the_originals() {
    let Some(folder) = folder() else { return };
    let model = MagicLens::load(&folder.join("params.safetensors"), None, Device::Cpu).unwrap();
    let (pixels, ids) = inputs(&folder);
    let golden = Golden::read(&folder.join("intermediates.safetensors"));
    let checker = Checker { golden, within: Within::of(&model), seen: RefCell::default() };
    no_grad(|| {
        let image = vision(&checker, &model, &pixels.narrow(0, 0, 2));
        let text = model.text_features(&ids.narrow(0, 0, 2));
        checker.check("clip/text", &text);
        checker.check("clip/text/text_projection", &text);
        text_of_case_1(&checker, &model, &ids.narrow(0, 1, 1).narrow(1, 0, 7));
        head(&checker, &model, &image, &text);
    });
    // A linear map without its bias, which is never a tensor of its own here.
    let unbiased = |name: &&str| name.ends_with("/linear");
    let all: BTreeSet<_> =
        checker.golden.names().filter(|name| !unbiased(name)).map(str::to_owned).collect();
    assert_eq!(*checker.seen.borrow(), all);
    conformance("model-intermediates", all.len());
}

fn vision(checker: &Checker, model: &MagicLens, pixels: &Tensor) -> Tensor {
    let tower = &model.vision;
    checker.check("clip/visual/conv1", &tower.project_patches(pixels));
    let mut x = tower.embed(pixels);
    checker.check("clip/visual/ln_pre", &x);
    for (layer, block) in tower.encoder.blocks.iter().enumerate() {
        let path = format!("clip/visual/transformer/resblocks_{layer}");
        x = checker.block(&path, "", block, &x, 2, None);
    }
    checker.check("clip/visual/transformer", &x);
    let normed = tower.post_norm.forward(&x.view([2, 10, 64]).select(1, 0));
    checker.check("clip/visual/ln_post", &normed);
    let image = model.image_features(pixels);
    for name in ["clip/visual/proj", "clip/visual", "clip"] {
        checker.check(name, &image);
    }
    let projected = tower.projection.forward(&normed);
    assert_close("step by step", &projected, &image, checker.within.towers);
    image
}

fn text_of_case_1(checker: &Checker, model: &MagicLens, ids: &Tensor) {
    let (tower, at) = (&model.text, "@case1_rows_to_eot");
    let tokens = tower.tokens.index_select(0, &ids.view([-1]));
    checker.check(&format!("clip/text/token_embedding{at}"), &tokens);
    let mask = text_mask(ids, Kind::Float);
    let mut x = tower.embed(ids, Kind::Float);
    for (layer, block) in tower.encoder.blocks.iter().enumerate() {
        let path = format!("clip/text/transformer/resblocks_{layer}");
        x = checker.block(&path, at, block, &x, 1, Some(&mask));
    }
    checker.check(&format!("clip/text/transformer{at}"), &x);
    let normed = tower.final_norm.forward(&x);
    checker.check(&format!("clip/text/ln_final{at}"), &normed);
    let end = tower.projection.forward(&normed.narrow(0, 6, 1));
    assert_close("step by step", &end, &model.text_features(ids), checker.within.towers);
}

fn head(checker: &Checker, model: &MagicLens, image: &Tensor, text: &Tensor) {
    let mut x = model.pair(image, text);
    for (index, layer) in model.fusion.layers.iter().enumerate() {
        x = checker.fusion_layer(&format!("multimodal_encoder/x_layers_{index}"), layer, &x);
    }
    checker.check("multimodal_encoder", &x);
    let (pooler, path) = (&model.pooler, "contrastive_multimodal_pooler");
    let attention = &pooler.attention;
    checker.projections(&format!("{path}/pool_attn"), &attention.inner, &x);
    // The one query, where the original computes it for each row.
    let both = |one: &Tensor| one.expand([2, -1, -1, -1], false).transpose(1, 2).contiguous();
    let query = pooler.query.unsqueeze(0);
    let unscaled = attention.inner.split(&attention.inner.q.forward(&query));
    checker.check(&format!("{path}/pool_attn/query"), &both(&unscaled));
    let scaled = attention.scaled_query(&query);
    checker.check(&format!("{path}/pool_attn/per_dim_scale"), &both(&scaled));
    let attended = attention.forward(&query, &x);
    checker.check(&format!("{path}/pool_attn/post"), &attended);
    checker.check(&format!("{path}/pool_attn"), &attended);
    let pooled = pooler.forward(&x);
    checker.check(&format!("{path}/pool_attn_ln"), &pooled);
    checker.check(path, &pooled);
    assert_close("fuse", &normalize(&pooled), &model.fuse(image, text), checker.within.whole);
}
