//! Training steps of a published shape with random weights: tokens per second, share of the machine's limit, and memory against
//! the plan.
//!
//!     cargo bench -p gptneo-model --bench train -- [SHAPE] [BATCH] [TOKENS] [STEPS] [recompute]
//!
//! The default is gpt-neo-125m with 4 x 256 tokens. AdamW's step is included, as it is in `../shared/peers/transformers_speed.py`.
#![allow(clippy::print_stdout, reason = "a bench reports to people")]
#![allow(clippy::unwrap_used, reason = "a bench that cannot go on says so by its panic")]

use std::time::Instant;

use gptneo_device::train::{AdamW, TrainDevice};
use gptneo_device::{Device, ViewMut};
use gptneo_kernels::{Cpu, CpuOptions, measure};
use gptneo_model::training::{Batch, Initial, Network, NextToken, Parameters, Recompute, StepKey, TrainOptions, Write};
use gptneo_model::{Config, shapes};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let text = |i: usize, default: &str| arguments.get(i).cloned().unwrap_or_else(|| default.to_owned());
    let number = |i: usize, default: &str| text(i, default).parse::<usize>().unwrap();
    let config = shapes::config(&text(0, "gpt-neo-125m")).expect("a published shape");
    let (batch, tokens, steps) = (number(1, "4"), number(2, "256"), number(3, "4"));
    let recompute = if arguments.iter().any(|a| a == "recompute") { Recompute::Layers } else { Recompute::Nothing };
    let cpu = Cpu::new(CpuOptions { threads: Some(2), isa: None }).unwrap();
    let limit = measure::f32_gflop_per_s(&cpu);
    println!("{}, limit {limit:.0} GFLOP/s", cpu.describe());

    let rows = batch * tokens;
    let operations = operations(&config, batch, tokens);
    let mut network =
        Network::new(cpu, config, TrainOptions { recompute, ..TrainOptions::new(batch, tokens) }).unwrap();
    network.initialise(Initial::Transformers, 1).unwrap();
    let vocab = network.config().vocab as u32;
    let ids: Vec<u32> = (0..rows as u32).map(|i| i.wrapping_mul(2_654_435_761) % vocab).collect();
    let targets: Vec<u32> = ids.iter().skip(1).chain(&ids[..1]).copied().collect();
    let positions: Vec<u32> = (0..rows).map(|i| (i % tokens) as u32).collect();
    let segments = vec![tokens; batch];
    let batch = Batch { ids: &ids, targets: &targets, positions: &positions, segments: &segments };
    let (mut first, mut second) = {
        let (device, layout, _) = network.parts();
        (device.buffer(layout.trained()).unwrap(), device.buffer(layout.trained()).unwrap())
    };
    let mut times = Vec::new();
    for number in 0..steps as u64 {
        let started = Instant::now();
        let key = StepKey { seed: 1, number };
        let outcome = network.step(&batch, &mut NextToken::mean(rows), key, Write::Set, &mut |_, _, _| ()).unwrap();
        let stepped = started.elapsed();
        let (device, layout, parameters) = network.parts();
        let Parameters { trained, gradients, .. } = parameters;
        let step = AdamW {
            rate: 1e-4,
            beta_1: 0.9,
            beta_2: 0.999,
            eps: 1e-8,
            decay: 0.01,
            correction_1: 1.0 - 0.9f32.powi(number as i32 + 1),
            correction_2: 1.0 - 0.999f32.powi(number as i32 + 1),
            gradient_scale: 1.0,
        };
        let len = layout.trained();
        device.adam_w(
            len,
            step,
            (&*gradients).into(),
            ViewMut::from(trained),
            (&mut first).into(),
            (&mut second).into(),
        );
        let all = started.elapsed();
        let gflop_per_s = operations / all.as_secs_f64() / 1e9;
        println!(
            "loss {:.4}: {:.1} tok/s, {:.2} s (gradients {:.2}, AdamW {:.2}), {gflop_per_s:.0} GFLOP/s, share {:.2}",
            outcome.loss,
            rows as f64 / all.as_secs_f64(),
            all.as_secs_f64(),
            stepped.as_secs_f64(),
            (all - stepped).as_secs_f64(),
            gflop_per_s / limit,
        );
        times.push(all);
    }
    times.sort();
    let planned = network.plan().total() + 8 * network.plan().trained;
    println!(
        "median {:.1} tok/s; peak {:.3} GB, planned {:.3} GB: {:?}",
        rows as f64 / times[times.len() / 2].as_secs_f64(),
        peak_bytes() as f64 / 1e9,
        planned as f64 / 1e9,
        network.plan()
    );
}

/// Operations needed: 6 for each weight of a product and token, and 12 for each channel, key in reach, and query.
fn operations(config: &Config, batch: usize, tokens: usize) -> f64 {
    let layer = 4 * config.width * config.width + 2 * config.width * config.inner;
    let weights = layer * config.layers() + config.vocab * config.width;
    let keys: usize =
        config.reach.iter().map(|reach| (0..tokens).map(|i| i + 1 - reach.first_key(i)).sum::<usize>()).sum();
    6.0 * weights as f64 * (batch * tokens) as f64 + 12.0 * (config.width * keys * batch) as f64
}

fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or("0 0 kB");
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) * 1024
}
