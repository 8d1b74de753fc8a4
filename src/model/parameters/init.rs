//! The random start. A parameter's numbers depend on seed and name alone: not on the device, the
//! threads, libtorch's generator, or which other parameters are drawn.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;
use tch::{Kind, Tensor};

use super::layout::{Spec, Start};

/// Numbers of one stream of the generator: what one thread draws at a time.
const STRETCH: usize = 1 << 16;

/// Makes the tensor of a parameter that no file has, on the CPU.
pub(super) fn draw(spec: &Spec, seed: i64) -> Tensor {
    match spec.start {
        Start::Constant(value) => Tensor::full(&spec.shape, value, (Kind::Float, tch::Device::Cpu)),
        Start::Normal(deviation) => {
            let count = spec.shape.iter().product::<i64>() as usize;
            let numbers = normal(count, deviation as f32, key(&spec.name, seed));
            Tensor::from_slice(&numbers).view_(&spec.shape)
        }
    }
}

fn normal(count: usize, deviation: f32, key: [u8; 32]) -> Vec<f32> {
    let mut numbers = vec![0f32; count];
    numbers.par_chunks_mut(STRETCH).enumerate().for_each(|(index, stretch)| {
        let mut generator = ChaCha8Rng::from_seed(key);
        generator.set_stream(index as u64);
        for number in stretch {
            let drawn: f32 = StandardNormal.sample(&mut generator);
            *number = drawn * deviation;
        }
    });
    numbers
}

/// Eight bytes of seed and the FNV-1a hash of the name, thrice with different starts.
fn key(name: &str, seed: i64) -> [u8; 32] {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let hash = |start: u64| {
        name.bytes().fold(OFFSET ^ start, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME))
    };
    let mut key = [0; 32];
    let words = [seed.cast_unsigned(), hash(0), hash(1), hash(2)];
    for (bytes, word) in key.chunks_exact_mut(8).zip(words) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::config::ModelConfig;
    use crate::model::parameters::layout;

    fn spec(name: &str) -> Spec {
        let specs = layout(&ModelConfig::base());
        specs.into_iter().find(|spec| spec.name == name).unwrap()
    }

    fn deviation(name: &str) -> f64 {
        draw(&spec(name), 3).std(false).double_value(&[])
    }

    #[test]
    fn deviations_are_clips_own() {
        let block = "text_model.encoder.layers.5";
        for (name, expected) in [
            (format!("{block}.self_attn.q_proj.weight"), 512f64.powf(-0.5)),
            (format!("{block}.self_attn.out_proj.weight"), (512f64 * 24.0).powf(-0.5)),
            (format!("{block}.mlp.fc1.weight"), 1024f64.powf(-0.5)),
            (format!("{block}.mlp.fc2.weight"), (512f64 * 24.0).powf(-0.5)),
            ("text_model.embeddings.position_embedding.weight".to_owned(), 0.01),
            ("visual_projection.weight".to_owned(), 768f64.powf(-0.5)),
            ("fusion.layers.3.mlp.fc2.weight".to_owned(), 2048f64.powf(-0.5)),
        ] {
            let ratio = deviation(&name) / expected;
            assert!((ratio - 1.0).abs() < 0.02, "{name}: {ratio}");
        }
    }

    #[test]
    fn gains_of_the_new_layers_start_at_zero_and_of_clip_at_one() {
        for (name, expected) in [
            ("fusion.layers.0.attention_norm.scale", 0.0),
            ("pooler.norm.scale", 0.0),
            ("pooler.attention.per_dim_scale", 0.0),
            ("vision_model.pre_layrnorm.weight", 1.0),
            ("logit_scale", (1f64 / 0.07).ln()),
        ] {
            let tensor = draw(&spec(name), 3);
            let expected = tensor.full_like(expected);
            assert_eq!(tensor, expected, "{name}");
        }
    }

    #[test]
    fn streams_are_neither_repeated_nor_ragged() {
        let numbers = normal(3 * STRETCH - 5, 1.0, key("any", 1));
        assert_ne!(numbers[..8], numbers[STRETCH..STRETCH + 8]);
        assert_eq!(numbers[..100], normal(100, 1.0, key("any", 1)));
        assert_ne!(numbers[..8], normal(8, 1.0, key("and", 1)));
        assert_ne!(numbers[..8], normal(8, 1.0, key("any", 2)));
    }
}
