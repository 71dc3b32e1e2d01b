//! Published shapes by name, for `random:SHAPE` and for memory plans without a checkpoint.
//!
//! Sources: the configurations of the released checkpoints; for gpt-neo-350m the training repository's, since its
//! release was withdrawn.

use gptneo_device::{Activation, Pairing, Reach};

use crate::config::{Biases, Config, Position, Residual, ScoreScale};
use crate::family::Family;

/// Name, layers, width, heads, vocabulary.
const SHAPES: &[(Family, &str, [usize; 4])] = &[
    (Family::GptNeo, "gpt-neo-125m", [12, 768, 12, 50257]),
    (Family::GptNeo, "gpt-neo-350m", [24, 1024, 16, 50257]),
    (Family::GptNeo, "gpt-neo-1.3b", [24, 2048, 16, 50257]),
    (Family::GptNeo, "gpt-neo-2.7b", [32, 2560, 20, 50257]),
    (Family::GptJ, "gpt-j-6b", [28, 4096, 16, 50400]),
    (Family::Gpt2, "gpt2", [12, 768, 12, 50257]),
    (Family::Gpt2, "gpt2-medium", [24, 1024, 16, 50257]),
    (Family::Gpt2, "gpt2-large", [36, 1280, 20, 50257]),
    (Family::Gpt2, "gpt2-xl", [48, 1600, 25, 50257]),
    (Family::GptNeoX, "pythia-14m", [6, 128, 4, 50304]),
    (Family::GptNeoX, "pythia-31m", [6, 256, 8, 50304]),
    (Family::GptNeoX, "pythia-70m", [6, 512, 8, 50304]),
    (Family::GptNeoX, "pythia-160m", [12, 768, 12, 50304]),
    (Family::GptNeoX, "pythia-410m", [24, 1024, 16, 50304]),
    (Family::GptNeoX, "pythia-1b", [16, 2048, 8, 50304]),
    (Family::GptNeoX, "pythia-1.4b", [24, 2048, 16, 50304]),
    (Family::GptNeoX, "pythia-2.8b", [32, 2560, 32, 50304]),
    (Family::GptNeoX, "pythia-6.9b", [32, 4096, 32, 50432]),
    (Family::GptNeoX, "pythia-12b", [36, 5120, 40, 50688]),
    (Family::GptNeoX, "gpt-neox-20b", [44, 6144, 64, 50432]),
];

/// Every known name.
pub fn names() -> impl Iterator<Item = &'static str> {
    SHAPES.iter().map(|(_, name, _)| *name)
}

/// The architecture of a published model; a GPT-Neo size alone (`125m`) names the GPT-Neo.
pub fn config(name: &str) -> Option<Config> {
    let lower = name.to_ascii_lowercase();
    let named = |s: &&(Family, &str, [usize; 4])| s.1 == lower || s.1.strip_prefix("gpt-neo-") == Some(&lower);
    let &(family, _, [layers, width, heads, vocab]) = SHAPES.iter().find(named)?;
    let rotary = |dims, pairing| Position::Rotary { dims, pairing, base: 10_000.0 };
    let all = Biases { qkv: true, attention_output: true, head: false };
    let base = Config {
        family,
        vocab,
        positions: 2048,
        width,
        heads,
        inner: 4 * width,
        eps: 1e-5,
        activation: Activation::GeluTanh,
        position: Position::Learned,
        residual: Residual::Sequential,
        reach: vec![Reach::Global; layers],
        scale: ScoreScale::InverseSqrt,
        biases: all,
        tied: true,
        classifier: None,
        bos: Some(50256),
        eos: Some(50256),
    };
    let local = |layer: usize| if layer.is_multiple_of(2) { Reach::Global } else { Reach::Local { window: 256 } };
    Some(match family {
        Family::Gpt2 => Config { positions: 1024, ..base },
        Family::GptNeo => Config {
            reach: (0..layers).map(local).collect(),
            scale: ScoreScale::One,
            biases: Biases { qkv: false, ..all },
            ..base
        },
        Family::GptJ => Config {
            position: rotary(64, Pairing::Adjacent),
            residual: Residual::ParallelSharedNorm,
            biases: Biases { qkv: false, attention_output: false, head: true },
            tied: false,
            ..base
        },
        Family::GptNeoX => Config {
            position: rotary(width / heads / 4, Pairing::Halves),
            residual: Residual::ParallelTwoNorms,
            // Pythia uses the exact function; the 20B model its fast form.
            activation: if width == 6144 { Activation::GeluTanh } else { Activation::GeluErf },
            tied: false,
            bos: Some(0),
            eos: Some(0),
            ..base
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_the_published_counts() {
        for (name, parameters) in [
            ("gpt-neo-125m", 125_198_592),
            ("350M", 355_798_016),
            ("1.3b", 1_315_575_808),
            ("gpt-neo-2.7b", 2_651_307_520),
            ("gpt-j-6b", 6_050_882_784),
            ("gpt2", 124_439_808),
            ("pythia-14m", 14_067_712),
            ("pythia-160m", 162_322_944),
        ] {
            assert_eq!(config(name).unwrap().parameters(), parameters, "{name}");
        }
    }

    #[test]
    fn every_shape_is_sound() {
        for name in names() {
            config(name).unwrap().check().unwrap();
        }
        assert_eq!(config("llama-7b"), None);
    }
}
