//! Every parameter of a model with its shape, in the order of names. No tensors: from here come the
//! check of files, the count and the random start. CLIP's standard deviations are those of
//! <https://github.com/openai/CLIP/blob/main/clip/model.py>, `initialize_parameters`.

use super::Origin;
use crate::model::config::ModelConfig;

/// What is known of a parameter before there is one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Spec {
    pub name: String,
    pub shape: Vec<i64>,
    pub start: Start,
    pub origin: Origin,
    pub decays: bool,
}

/// The numbers that a parameter starts with where no file has any.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Start {
    Constant(f64),
    /// Mean 0, this standard deviation.
    Normal(f64),
}

/// The natural logarithm of 1/0.07: CLIP's own start of the temperature.
const LOGIT_SCALE: f64 = 2.659_260_036_932_778;

/// All parameters of a model of these sizes, ordered by name.
pub(crate) fn layout(config: &ModelConfig) -> Vec<Spec> {
    let mut list = List { specs: Vec::new(), origin: Origin::Reused };
    vision(&mut list, config);
    text(&mut list, config);
    list.matter("logit_scale", &[], Start::Constant(LOGIT_SCALE));
    list.origin = Origin::New;
    fusion(&mut list, config);
    pooler(&mut list, config);
    list.specs.sort_by(|one, other| one.name.cmp(&other.name));
    list.specs
}

/// The sum of all sizes, without making any tensor.
pub(crate) fn element_count(config: &ModelConfig) -> i64 {
    layout(config).iter().map(|spec| spec.shape.iter().product::<i64>()).sum()
}

fn vision(list: &mut List, config: &ModelConfig) {
    let (clip, tower) = (&config.clip, "vision_model");
    let (width, patch) = (clip.vision_features, clip.vision_patch_size);
    let start = Start::Normal(inverse_root(width));
    list.matter(&format!("{tower}.embeddings.class_embedding"), &[width], start);
    let positions = [config.vision_tokens(), width];
    list.matter(&format!("{tower}.embeddings.position_embedding.weight"), &positions, start);
    // PyTorch draws a convolution from a uniform distribution of this deviation.
    let kernel = Start::Normal(inverse_root(3 * 3 * patch * patch));
    let name = format!("{tower}.embeddings.patch_embedding.weight");
    list.matrix(&name, &[width, 3, patch, patch], kernel);
    // Hugging Face's spelling.
    list.norm(&format!("{tower}.pre_layrnorm"), width);
    list.tower(tower, clip.vision_num_layers, width);
    list.norm(&format!("{tower}.post_layernorm"), width);
    list.matrix("visual_projection.weight", &[clip.embed_dim, width], start);
}

fn text(list: &mut List, config: &ModelConfig) {
    let (clip, tower) = (&config.clip, "text_model");
    let width = clip.text_features;
    let tokens = format!("{tower}.embeddings.token_embedding.weight");
    list.matter(&tokens, &[clip.vocab_size, width], Start::Normal(0.02));
    let positions = format!("{tower}.embeddings.position_embedding.weight");
    list.matter(&positions, &[config.context_length, width], Start::Normal(0.01));
    list.tower(tower, clip.text_num_layers, width);
    list.norm(&format!("{tower}.final_layer_norm"), width);
    let start = Start::Normal(inverse_root(width));
    list.matrix("text_projection.weight", &[clip.embed_dim, width], start);
}

fn fusion(list: &mut List, config: &ModelConfig) {
    let head = &config.magiclens;
    for layer in (0..head.num_layers).map(|layer| format!("fusion.layers.{layer}")) {
        list.offset_norm(&format!("{layer}.attention_norm"), head.embed_dim);
        list.capped_attention(&format!("{layer}.attention"), head.embed_dim, head.embed_dim);
        list.offset_norm(&format!("{layer}.mlp_norm"), head.embed_dim);
        list.lecun(&format!("{layer}.mlp.fc1"), head.ff_hidden_size, head.embed_dim);
        list.lecun(&format!("{layer}.mlp.fc2"), head.embed_dim, head.ff_hidden_size);
    }
}

fn pooler(list: &mut List, config: &ModelConfig) {
    let head = &config.magiclens;
    let query = [head.num_query_token, head.embed_dim];
    list.matter("pooler.query", &query, Start::Normal(1.0));
    list.capped_attention("pooler.attention", head.embed_dim, head.pooler_hidden_dim);
    let scale = [head.pooler_dim_per_head];
    list.matter("pooler.attention.per_dim_scale", &scale, Start::Constant(0.0));
    list.offset_norm("pooler.norm", head.embed_dim);
}

struct List {
    specs: Vec<Spec>,
    origin: Origin,
}

impl List {
    /// A parameter that decays.
    fn matrix(&mut self, name: &str, shape: &[i64], start: Start) {
        self.push(name, shape, start, true);
    }

    /// A parameter that does not.
    fn matter(&mut self, name: &str, shape: &[i64], start: Start) {
        self.push(name, shape, start, false);
    }

    fn push(&mut self, name: &str, shape: &[i64], start: Start, decays: bool) {
        let (name, shape, origin) = (name.to_owned(), shape.to_vec(), self.origin);
        self.specs.push(Spec { name, shape, start, origin, decays });
    }

    fn linear(&mut self, name: &str, out: i64, input: i64, deviation: f64) {
        self.matrix(&format!("{name}.weight"), &[out, input], Start::Normal(deviation));
        self.matter(&format!("{name}.bias"), &[out], Start::Constant(0.0));
    }

    /// Keeps the variance of what passes through, as flax's default does.
    fn lecun(&mut self, name: &str, out: i64, input: i64) {
        self.linear(name, out, input, inverse_root(input));
    }

    fn norm(&mut self, name: &str, width: i64) {
        self.matter(&format!("{name}.weight"), &[width], Start::Constant(1.0));
        self.matter(&format!("{name}.bias"), &[width], Start::Constant(0.0));
    }

    /// A norm that multiplies by 1 + scale.
    fn offset_norm(&mut self, name: &str, width: i64) {
        self.matter(&format!("{name}.scale"), &[width], Start::Constant(0.0));
        self.matter(&format!("{name}.bias"), &[width], Start::Constant(0.0));
    }

    fn capped_attention(&mut self, name: &str, width: i64, hidden: i64) {
        for projection in ["q_proj", "k_proj", "v_proj"] {
            self.lecun(&format!("{name}.{projection}"), hidden, width);
        }
        self.lecun(&format!("{name}.out_proj"), width, hidden);
    }

    fn tower(&mut self, name: &str, layers: i64, width: i64) {
        let attention = inverse_root(width);
        let residual = attention * inverse_root(2 * layers);
        for layer in (0..layers).map(|layer| format!("{name}.encoder.layers.{layer}")) {
            self.norm(&format!("{layer}.layer_norm1"), width);
            for projection in ["q_proj", "k_proj", "v_proj"] {
                let name = format!("{layer}.self_attn.{projection}");
                self.linear(&name, width, width, attention);
            }
            self.linear(&format!("{layer}.self_attn.out_proj"), width, width, residual);
            self.norm(&format!("{layer}.layer_norm2"), width);
            self.linear(&format!("{layer}.mlp.fc1"), 4 * width, width, inverse_root(2 * width));
            self.linear(&format!("{layer}.mlp.fc2"), width, 4 * width, residual);
        }
    }
}

fn inverse_root(value: i64) -> f64 {
    (value as f64).sqrt().recip()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn there_are_as_many_tensors_as_in_the_released_checkpoints() {
        assert_eq!(layout(&ModelConfig::base()).len(), 474);
        assert_eq!(layout(&ModelConfig::large()).len(), 666);
    }

    #[test]
    fn names_are_unique() {
        let specs = layout(&ModelConfig::base());
        let names: BTreeSet<_> = specs.iter().map(|spec| &spec.name).collect();
        assert_eq!(names.len(), specs.len());
    }

    #[test]
    fn only_matrices_that_multiply_decay() {
        let specs = layout(&ModelConfig::base());
        let kept: Vec<_> =
            specs.iter().filter(|spec| !spec.decays && spec.shape.len() > 1).collect();
        let names: Vec<_> = kept.iter().map(|spec| spec.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "pooler.query",
                "text_model.embeddings.position_embedding.weight",
                "text_model.embeddings.token_embedding.weight",
                "vision_model.embeddings.position_embedding.weight",
            ]
        );
        // 12 + 12 tower blocks and 4 fusion layers of six, the pooler's four, two projections and
        // the patches.
        assert_eq!(specs.iter().filter(|spec| spec.decays).count(), 28 * 6 + 4 + 2 + 1);
        assert!(specs.iter().filter(|spec| spec.decays).all(|spec| spec.shape.len() >= 2));
    }

    #[test]
    fn fusion_and_pooler_are_new_and_nothing_else_is() {
        for spec in layout(&ModelConfig::large()) {
            let ours = spec.name.starts_with("fusion.") || spec.name.starts_with("pooler.");
            assert_eq!(spec.origin == Origin::New, ours, "{}", spec.name);
        }
    }
}
