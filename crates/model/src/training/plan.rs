//! The memory of a run, known before it starts.

use gptneo_device::train::TrainDevice;

use crate::config::Config;

use super::error::TrainError;
use super::layout::Layout;
use super::map::Map;
use super::options::TrainOptions;
use super::room::Sizes;

/// Bytes that a network takes; a pure function of the configuration, the options and the device's threads. The optimiser's state
/// comes on top: 8 bytes for each trained value with AdamW.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Parameters, trained and frozen.
    pub weights: u64,
    /// Gradients of the trained ones.
    pub gradients: u64,
    /// What the forward pass keeps for the backward pass.
    pub activations: u64,
    /// What is used anew in each layer, the logits, and the kernels' own.
    pub scratch: u64,
    /// Trained values.
    pub trained: u64,
}

impl Plan {
    /// The plan of a network on a device.
    ///
    /// # Errors
    /// If the options make no network.
    pub fn new<D: TrainDevice>(device: &D, config: &Config, options: &TrainOptions) -> Result<Self, TrainError> {
        options.check()?;
        let layout = Layout::new(config, &options.trainable)?;
        let sizes = Sizes::new(config, &Map::new(config, &layout, options.trainable.adapters()), options);
        Ok(sizes.plan(device, config, options.longest, [layout.trained(), layout.frozen()]))
    }

    /// All of it.
    pub fn total(&self) -> u64 {
        self.weights + self.gradients + self.activations + self.scratch
    }
}
