//! How fast a network trains: whole steps of AdamW on made-up tokens.

use std::time::Instant;

use gptneo_device::train::TrainDevice;
use gptneo_model::Config;
use gptneo_model::training::{Batch, Initial, Network, NextToken, Plan, StepKey, TrainOptions, Write};

use crate::error::TrainError;
use crate::optimizer::{Optimizer, Update, state_bytes};
use crate::recipe::{Kind, OptimizerRecipe};

/// What was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// Seconds of each step: gradients, their norm, and the update.
    pub seconds: Vec<f64>,
    /// Seconds of the gradients alone.
    pub gradient_seconds: Vec<f64>,
    /// Bytes of weights, gradients, moments, activations and scratch.
    pub planned_bytes: u64,
    /// Loss of the first and of the last step, as a sign of life.
    pub losses: [f64; 2],
}

const OPTIMIZER: OptimizerRecipe = OptimizerRecipe {
    kind: Kind::AdamW,
    lr: 1e-4,
    beta1: 0.9,
    beta2: 0.95,
    eps: 1e-8,
    weight_decay: 0.1,
    decay_all: false,
    clip: 1.0,
    shard: false,
};

/// Makes one step that is not counted and then `steps`, each with `batch` sequences of `sequence` tokens. `go_on` is asked
/// between steps.
///
/// # Errors
/// If there is no room, or the model has not so many positions.
pub fn measure<D: TrainDevice>(
    device: D,
    config: Config,
    batch: usize,
    sequence: usize,
    steps: usize,
    mut go_on: impl FnMut() -> bool,
) -> Result<Measured, TrainError> {
    let options = TrainOptions::new(batch, sequence);
    let plan = Plan::new(&device, &config, &options)?;
    let vocab = config.vocab;
    let mut network = Network::new(device, config, options)?;
    network.initialise(Initial::Transformers, 1)?;
    let planned_bytes = plan.total() + state_bytes(&OPTIMIZER, network.layout(), 1);
    let mut optimizer = Optimizer::new(network.device(), OPTIMIZER, network.layout(), 0, 1)?;
    let ids: Vec<u32> = (0..=batch * sequence).map(|i| ((i * 7919 + 13) % vocab) as u32).collect();
    let positions: Vec<u32> = (0..batch).flat_map(|_| 0..sequence as u32).collect();
    let segments = vec![sequence; batch];
    let (ids, targets) = (&ids[..batch * sequence], &ids[1..]);
    let batch = Batch { ids, targets, positions: &positions, segments: &segments };
    let mut measured = Measured { seconds: Vec::new(), gradient_seconds: Vec::new(), planned_bytes, losses: [0.0; 2] };
    for number in 0..=steps as u64 {
        let begun = Instant::now();
        let mut objective = NextToken::mean(batch.counted());
        let key = StepKey { seed: 0, number };
        let outcome = network.step(&batch, &mut objective, key, Write::Set, &mut |_, _, _| ())?;
        network.device().sync();
        let gradients = begun.elapsed().as_secs_f64();
        let (device, layout, parameters) = network.parts();
        let squares = device.sum_of_squares(layout.trained(), (&parameters.gradients).into());
        let gradient_scale = (f64::from(OPTIMIZER.clip) / (squares.sqrt() + 1e-6)).min(1.0);
        let update = Update { number: number + 1, rate: OPTIMIZER.lr, gradient_scale };
        optimizer.step(device, layout, parameters, update);
        device.sync();
        if number == 0 {
            measured.losses[0] = outcome.loss;
        } else {
            measured.seconds.push(begun.elapsed().as_secs_f64());
            measured.gradient_seconds.push(gradients);
        }
        measured.losses[1] = outcome.loss;
        if !go_on() {
            break;
        }
    }
    Ok(measured)
}
