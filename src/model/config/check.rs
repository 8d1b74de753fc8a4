//! Which sizes can be: everything positive and bounded, heads that divide, patches that fit.

use serde::Deserialize;

use super::{ClipConfig, HeadConfig, ModelConfig};
use crate::model::preprocess::Preprocess;

/// No layer of a model that exists is wider, and no product of sizes below it overflows.
const WIDEST: i64 = 1 << 16;

/// Says which size of a config cannot be, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Impossible(String);

/// The config as it was written, before anything is filled in.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Unchecked {
    name: String,
    image_size: i64,
    context_length: i64,
    image_mean: [f64; 3],
    image_std: [f64; 3],
    #[serde(default)]
    preprocess: Option<Preprocess>,
    clip: ClipConfig,
    magiclens: HeadConfig,
}

impl TryFrom<Unchecked> for ModelConfig {
    type Error = Impossible;

    fn try_from(written: Unchecked) -> Result<Self, Impossible> {
        let mut config = Self {
            name: written.name,
            image_size: written.image_size,
            context_length: written.context_length,
            image_mean: written.image_mean,
            image_std: written.image_std,
            preprocess: written.preprocess,
            clip: written.clip,
            magiclens: written.magiclens,
        };
        config.fill_in();
        config.check()?;
        Ok(config)
    }
}

impl ModelConfig {
    /// Tells whether such a model can be; the error names the key.
    pub fn check(&self) -> Result<(), Impossible> {
        self.check_ranges()?;
        self.check_divisions()?;
        self.check_derived()?;
        let usable = |value: &f64| value.is_finite();
        require(self.image_mean.iter().all(usable), || "image_mean is not finite".to_owned())?;
        let positive = |value: &f64| value.is_finite() && *value > 0.0;
        require(self.image_std.iter().all(positive), || "image_std is not positive".to_owned())
    }

    fn check_ranges(&self) -> Result<(), Impossible> {
        let (clip, head) = (&self.clip, &self.magiclens);
        for (key, value, most) in [
            ("image_size", self.image_size, WIDEST),
            ("context_length", self.context_length, WIDEST),
            ("clip.embed_dim", clip.embed_dim, WIDEST),
            ("clip.vocab_size", clip.vocab_size, 1 << 24),
            ("clip.vision_num_layers", clip.vision_num_layers, 1024),
            ("clip.vision_features", clip.vision_features, WIDEST),
            ("clip.vision_patch_size", clip.vision_patch_size, 1024),
            ("clip.vision_num_heads", clip.vision_num_heads, WIDEST),
            ("clip.text_features", clip.text_features, WIDEST),
            ("clip.text_num_heads", clip.text_num_heads, WIDEST),
            ("clip.text_num_layers", clip.text_num_layers, 1024),
            ("magiclens.embed_dim", head.embed_dim, WIDEST),
            ("magiclens.ff_hidden_size", head.ff_hidden_size, 4 * WIDEST),
            ("magiclens.num_layers", head.num_layers, 1024),
            ("magiclens.num_heads", head.num_heads, WIDEST),
            ("magiclens.num_query_token", head.num_query_token, 1),
        ] {
            require((1..=most).contains(&value), || format!("{key} = {value}, not 1 to {most}"))?;
        }
        Ok(())
    }

    fn check_divisions(&self) -> Result<(), Impossible> {
        let (clip, head) = (&self.clip, &self.magiclens);
        for (whole, whole_key, part, part_key) in [
            (self.image_size, "image_size", clip.vision_patch_size, "clip.vision_patch_size"),
            (clip.vision_features, "clip.vision_features", clip.vision_num_heads, "its heads"),
            (clip.text_features, "clip.text_features", clip.text_num_heads, "its heads"),
            (head.embed_dim, "magiclens.embed_dim", head.num_heads, "its heads"),
        ] {
            require(whole % part == 0, || {
                format!("{whole_key} = {whole} is not divided by {part_key} = {part}")
            })?;
        }
        Ok(())
    }

    fn check_derived(&self) -> Result<(), Impossible> {
        let (clip, head) = (&self.clip, &self.magiclens);
        let vision_head = clip.vision_features / clip.vision_num_heads;
        let fusion_head = head.embed_dim / head.num_heads;
        for (key, value, expected) in [
            ("clip.vision_head_dim", clip.vision_head_dim, vision_head),
            ("magiclens.embed_dim", head.embed_dim, clip.embed_dim),
            ("magiclens.fusion_dim_per_head", head.fusion_dim_per_head, fusion_head),
            ("magiclens.pooler_hidden_dim", head.pooler_hidden_dim, 4 * head.embed_dim),
            ("magiclens.pooler_dim_per_head", head.pooler_dim_per_head, 4 * fusion_head),
        ] {
            require(value == expected, || {
                format!("{key} = {value}, but the other sizes make it {expected}")
            })?;
        }
        Ok(())
    }

    /// Computes what was left out (0). Never divides by zero: [`Self::check`] comes after.
    fn fill_in(&mut self) {
        let or = |value: &mut i64, default: i64| {
            if *value == 0 {
                *value = default;
            }
        };
        let clip = &mut self.clip;
        or(&mut clip.vision_num_heads, (clip.vision_features / 64).max(1));
        or(
            &mut clip.vision_head_dim,
            clip.vision_features.checked_div(clip.vision_num_heads).unwrap_or(0),
        );
        let head = &mut self.magiclens;
        let per_head = head.embed_dim.checked_div(head.num_heads).unwrap_or(0);
        or(&mut head.fusion_dim_per_head, per_head);
        or(&mut head.pooler_hidden_dim, head.embed_dim.saturating_mul(4));
        or(&mut head.pooler_dim_per_head, per_head.saturating_mul(4));
    }
}

fn require(holds: bool, problem: impl FnOnce() -> String) -> Result<(), Impossible> {
    if holds { Ok(()) } else { Err(Impossible(problem())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(change: impl FnOnce(&mut ModelConfig)) -> String {
        let mut config = ModelConfig::base();
        change(&mut config);
        config.check().unwrap_err().to_string()
    }

    #[test]
    fn impossible_sizes_are_named() {
        assert_eq!(problem(|c| c.image_size = 0), "image_size = 0, not 1 to 65536");
        assert_eq!(
            problem(|c| c.image_size = 225),
            "image_size = 225 is not divided by clip.vision_patch_size = 16"
        );
        assert!(problem(|c| c.clip.text_num_heads = 7).starts_with("clip.text_features = 512"));
        assert!(problem(|c| c.magiclens.embed_dim = 256).contains("the other sizes make it 512"));
        assert!(problem(|c| c.magiclens.pooler_hidden_dim = 512).contains("pooler_hidden_dim"));
        assert!(problem(|c| c.clip.vision_head_dim = 32).contains("vision_head_dim = 32"));
        assert_eq!(problem(|c| c.image_std[1] = 0.0), "image_std is not positive");
        assert_eq!(problem(|c| c.image_mean[2] = f64::NAN), "image_mean is not finite");
    }

    #[test]
    fn no_number_that_a_file_may_hold_is_too_much() {
        for number in [i64::MIN, -1, 0, 1, i64::MAX] {
            let mut value = serde_json::to_value(ModelConfig::base()).unwrap();
            for table in ["clip", "magiclens"] {
                for (_, field) in value[table].as_object_mut().unwrap() {
                    if field.is_number() {
                        *field = number.into();
                    }
                }
            }
            assert!(serde_json::from_value::<ModelConfig>(value).is_err(), "{number}");
        }
    }
}
