//! The sizes of a model that decide what it costs, and its number of parameters.
//!
//! Not the model's own configuration: no names, heads or statistics of pixels, as these change nothing
//! here. Layers as in the released code, <https://arxiv.org/abs/2403.19651> (section 3.2).

/// A transformer of CLIP: blocks of attention and an MLP four times as wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tower {
    /// Blocks.
    pub layers: u64,
    /// Width D of the residual stream.
    pub width: u64,
}

/// What a MagicLens model is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelSize {
    /// Side of the image, in pixels.
    pub image: u64,
    /// Side of a patch, in pixels.
    pub patch: u64,
    /// The image tower.
    pub vision: Tower,
    /// The text tower.
    pub text: Tower,
    /// Ids the tokenizer may give.
    pub vocabulary: u64,
    /// Positions of the text tower.
    pub context: u64,
    /// Width E of embeddings and of the fusion layers.
    pub embed: u64,
    /// Fusion layers.
    pub fusion: u64,
    /// Heads of the pooler.
    pub pooler_heads: u64,
}

/// Parameters by part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// The image tower with its projection.
    pub vision: u64,
    /// The text tower with its projection and the logit scale.
    pub text: u64,
    /// The fusion layers.
    pub fusion: u64,
    /// The attention pooler.
    pub pooler: u64,
}

impl Parameters {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.vision + self.text + self.fusion + self.pooler
    }
}

impl ModelSize {
    /// CLIP ViT-B/16 below: the base model of the paper.
    pub fn base() -> Self {
        Self {
            image: 224,
            patch: 16,
            vision: Tower { layers: 12, width: 768 },
            text: Tower { layers: 12, width: 512 },
            vocabulary: 49_408,
            context: 77,
            embed: 512,
            fusion: 4,
            pooler_heads: 8,
        }
    }

    /// CLIP ViT-L/14 below: the large model of the paper.
    pub fn large() -> Self {
        Self {
            patch: 14,
            vision: Tower { layers: 24, width: 1024 },
            text: Tower { layers: 12, width: 768 },
            embed: 768,
            pooler_heads: 16,
            ..Self::base()
        }
    }

    /// CLIP ViT-B/32 below: four times fewer patches.
    pub fn base32() -> Self {
        Self { patch: 32, ..Self::base() }
    }

    /// Patches of an image.
    pub fn patches(&self) -> u64 {
        (self.image / self.patch).pow(2)
    }

    /// Tokens of the image tower: patches and the class token.
    pub fn image_tokens(&self) -> u64 {
        self.patches() + 1
    }

    /// Width of the pooler's queries, keys and values.
    pub fn pooler_width(&self) -> u64 {
        4 * self.embed
    }

    /// Counts the parameters, as the released checkpoints have them.
    pub fn parameters(&self) -> Parameters {
        let Self { vision, text, embed, .. } = *self;
        let norm = |width: u64| 2 * width;
        let patches =
            3 * self.patch.pow(2) * vision.width + (self.image_tokens() + 1) * vision.width;
        let ends = norm(vision.width) * 2 + vision.width * embed;
        let tokens = (self.vocabulary + self.context) * text.width;
        Parameters {
            vision: patches + vision.layers * block(vision.width) + ends,
            text: tokens
                + text.layers * block(text.width)
                + norm(text.width)
                + text.width * embed
                + 1,
            fusion: self.fusion * block(embed),
            pooler: self.pooler_parameters(),
        }
    }

    /// The learned query, three projections up, one down, a scale a head dimension, a LayerNorm.
    fn pooler_parameters(&self) -> u64 {
        let wide = self.pooler_width();
        let up = 3 * (self.embed * wide + wide);
        let down = wide * self.embed + self.embed;
        self.embed + up + down + wide / self.pooler_heads + 2 * self.embed
    }
}

/// Four projections of attention, two of the MLP, all with bias, and two LayerNorms.
fn block(width: u64) -> u64 {
    let attention = 4 * (width * width + width);
    let mlp = 8 * width * width + 5 * width;
    attention + mlp + 4 * width
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The released checkpoints, `shared/PAPER.md`; B/32 differs in its patches and positions alone.
    #[test]
    fn parameters_are_those_of_the_released_models() {
        assert_eq!(ModelSize::base().parameters().total(), 166_433_025);
        assert_eq!(ModelSize::large().parameters().total(), 465_417_665);
        let more = 3 * (32 * 32 - 16 * 16) * 768 - (196 - 49) * 768;
        assert_eq!(ModelSize::base32().parameters().total(), 166_433_025 + more);
    }

    #[test]
    fn clip_alone_is_as_large_as_it_is_known_to_be() {
        let base = ModelSize::base().parameters();
        assert_eq!(base.vision + base.text, 149_620_737);
        let large = ModelSize::large().parameters();
        assert_eq!(large.vision + large.text, 427_616_513);
    }

    #[test]
    fn images_are_cut_into_patches() {
        let sizes = [ModelSize::base(), ModelSize::large(), ModelSize::base32()];
        assert_eq!(sizes.map(|size| size.image_tokens()), [197, 257, 50]);
    }
}
