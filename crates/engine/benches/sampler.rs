//! What one draw from a vocabulary of 50,257 costs, per setting: `cargo bench -p gptneo-engine`.
#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

use std::time::{Duration, Instant};

use gptneo_engine::sampler::Sampler;
use gptneo_engine::{Draw, Sampling};

/// Draws per setting.
const DRAWS: u64 = 301;

fn main() {
    // Roughly the spread of a real model's logits; any fixed noise will do.
    let noise = |i: u64| ((i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as f32 / (1 << 24) as f32 - 0.5) * 16.0;
    let logits: Vec<f32> = (0..50_257).map(noise).collect();
    let sampled = || Sampling { temperature: 0.8, ..Sampling::default() };
    let settings = [
        ("greedy", Sampling::default()),
        ("temperature", sampled()),
        ("top_k 40", Sampling { top_k: 40, ..sampled() }),
        ("top_p 0.95", Sampling { top_p: 0.95, ..sampled() }),
        ("top_k 40, top_p 0.95, min_p 0.05", Sampling { top_k: 40, top_p: 0.95, min_p: 0.05, ..sampled() }),
        ("min_p 0.05", Sampling { min_p: 0.05, ..sampled() }),
        ("typical 0.9", Sampling { typical: 0.9, ..sampled() }),
        ("temperature 5", Sampling { temperature: 5.0, ..sampled() }),
    ];
    let mut sampler = Sampler::default();
    for (name, sampling) in settings {
        let mut times: Vec<Duration> = (0..DRAWS)
            .map(|step| {
                let begun = Instant::now();
                let draw = Draw { seed: 1, sample: 0, step: step as _ };
                sampler.draw(&sampling, draw, &logits).expect("the logits are finite");
                begun.elapsed()
            })
            .collect();
        times.sort_unstable();
        println!("{name:34} {:?} a token", times[times.len() / 2]);
    }
}
