//! The published sizes (arXiv 2403.19651, section 4.1; arXiv 2103.00020, table 20), and a tiny one.

use super::{CLIP_MEAN, CLIP_STD, ClipConfig, HeadConfig, ModelConfig};

impl ModelConfig {
    /// Gives MagicLens-B: CLIP ViT-B/16, 166,433,025 numbers.
    pub fn base() -> Self {
        Self::published("base", ClipConfig::vit_b(16), "vit_b16")
    }

    /// Gives MagicLens-L: CLIP ViT-L/14, 465,417,665 numbers.
    pub fn large() -> Self {
        Self::published("large", ClipConfig::vit_l14(), "vit_l14")
    }

    /// Gives the cheaper sister of [`base`](Self::base), not in the paper: CLIP ViT-B/32.
    pub fn base32() -> Self {
        Self::published("base32", ClipConfig::vit_b(32), "vit_b32")
    }

    /// Gives a model that learns small drawn scenes on a CPU in minutes: 3.6M numbers, 3.2M of them the
    /// token embedding.
    pub fn tiny() -> Self {
        let clip = ClipConfig {
            embed_dim: 64,
            vision_num_layers: 3,
            vision_features: 64,
            text_features: 64,
            text_num_heads: 4,
            text_num_layers: 2,
            vision_head_dim: 16,
            vision_num_heads: 4,
            ..ClipConfig::vit_b(12)
        };
        let head = HeadConfig::for_embed_dim(clip.embed_dim, "tiny");
        let magiclens = HeadConfig {
            num_layers: 2,
            num_heads: 4,
            fusion_dim_per_head: 16,
            pooler_dim_per_head: 64,
            ..head
        };
        Self { image_size: 48, magiclens, ..Self::published("tiny", clip, "tiny") }
    }

    /// Finds a preset by its name.
    pub fn preset(name: &str) -> Option<Self> {
        Some(match name {
            "base" => Self::base(),
            "large" => Self::large(),
            "base32" => Self::base32(),
            "tiny" => Self::tiny(),
            _ => return None,
        })
    }

    fn published(name: &str, clip: ClipConfig, clip_model_name: &str) -> Self {
        let magiclens = HeadConfig::for_embed_dim(clip.embed_dim, clip_model_name);
        Self {
            name: name.to_owned(),
            image_size: 224,
            context_length: 77,
            image_mean: CLIP_MEAN,
            image_std: CLIP_STD,
            preprocess: None,
            clip,
            magiclens,
        }
    }
}

impl ClipConfig {
    fn vit_b(patch: i64) -> Self {
        Self {
            embed_dim: 512,
            vocab_size: 49_408,
            vision_num_layers: 12,
            vision_features: 768,
            vision_patch_size: patch,
            text_features: 512,
            text_num_heads: 8,
            text_num_layers: 12,
            vision_head_dim: 64,
            vision_num_heads: 12,
        }
    }

    fn vit_l14() -> Self {
        Self {
            embed_dim: 768,
            vision_num_layers: 24,
            vision_features: 1024,
            vision_patch_size: 14,
            text_features: 768,
            text_num_heads: 12,
            vision_num_heads: 16,
            ..Self::vit_b(14)
        }
    }
}

impl HeadConfig {
    /// Gives the paper's head for towers of this output width: 4 layers, 8 heads, or 16 from 768
    /// on.
    ///
    /// Widths that the heads do not divide get as many heads as do, down to one.
    pub fn for_embed_dim(embed_dim: i64, clip_model_name: &str) -> Self {
        let most = if embed_dim >= 768 { 16 } else { 8 };
        let heads = [most, 8, 4, 2].into_iter().find(|heads| embed_dim % heads == 0).unwrap_or(1);
        Self {
            embed_dim,
            ff_hidden_size: 4 * embed_dim,
            num_layers: 4,
            num_heads: heads,
            num_query_token: 1,
            clip_model_name: clip_model_name.to_owned(),
            fusion_dim_per_head: embed_dim / heads,
            pooler_hidden_dim: 4 * embed_dim,
            pooler_dim_per_head: 4 * embed_dim / heads,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_papers_sizes_have_the_papers_number_of_parameters() {
        assert_eq!(ModelConfig::base().parameter_count(), 166_433_025);
        assert_eq!(ModelConfig::large().parameter_count(), 465_417_665);
    }

    #[test]
    fn presets_are_possible() {
        for name in ["base", "large", "base32", "tiny"] {
            let config = ModelConfig::preset(name).unwrap();
            assert_eq!((config.name.as_str(), config.check()), (name, Ok(())));
        }
        assert_eq!(ModelConfig::preset("huge"), None);
    }

    #[test]
    fn the_head_has_the_papers_heads() {
        let heads = |config: ModelConfig| {
            let head = config.magiclens;
            (head.num_heads, head.fusion_dim_per_head, head.pooler_dim_per_head)
        };
        assert_eq!(heads(ModelConfig::base()), (8, 64, 256));
        assert_eq!(heads(ModelConfig::large()), (16, 48, 192));
        assert_eq!(HeadConfig::for_embed_dim(36, "").num_heads, 4);
        assert_eq!(HeadConfig::for_embed_dim(35, "").num_heads, 1);
    }
}
