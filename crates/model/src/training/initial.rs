//! First weights.

use std::thread;

use gptneo_device::train::TrainDevice;

use crate::config::Config;
use crate::family::{Family, Role};
use crate::load::Progress;
use crate::random::Random;
use crate::source::TensorSource;
use crate::storage::{floats, for_chunks};

use super::error::TrainError;
use super::layout::{Kind, Part, Slot};
use super::network::Network;

/// How weights begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Initial {
    /// As transformers does: normal with deviation 0.02; in GPT-2 the matrices that end a branch have 1 / sqrt(2 L) of that.
    #[default]
    Transformers,
    /// As GPT-Neo was trained first (mesh-tensorflow): token embeddings and MLP 0.02, positions 0.01, queries
    /// `C^-1/2 D^-1/2` (which stands for the scaling that its scores lack), keys and values `C^-1/2`, attention output `(H D)^-1/2`,
    /// the end of the MLP `0.02 L^-1/2`.
    Original,
}

impl<D: TrainDevice> Network<D> {
    /// Draws all weights: normal matrices and embeddings, gains 1, biases 0. The same seed gives the same weights.
    ///
    /// # Errors
    /// If the family has no such initialisation.
    pub fn initialise(&mut self, initial: Initial, seed: u64) -> Result<(), TrainError> {
        if initial == Initial::Original && self.config().family != Family::GptNeo {
            return Err(TrainError::NoOriginal(self.config().family));
        }
        for place in 0..self.layout().slots().len() {
            let slot = &self.layout().slots()[place];
            let mut values = vec![0.0f32; slot.range.len()];
            match slot.kind {
                _ if slot.part != Part::Whole => continue,
                Kind::Matrix | Kind::Embedding => {
                    let deviation = deviation(initial, self.config(), slot);
                    draw(Random::of(seed, slot.role, slot.layer), deviation, &mut values);
                }
                Kind::Norm if is_gain(slot.role) => values.fill(1.0),
                Kind::Norm | Kind::Bias => {}
            }
            self.write_slot(place, &values);
        }
        Ok(())
    }

    /// Draws the adapters as PEFT does: A uniform within `C^-1/2`, B 0, so that at first they change nothing.
    pub fn initialise_adapters(&mut self, seed: u64) {
        for place in 0..self.layout().slots().len() {
            let slot = &self.layout().slots()[place];
            let mut values = vec![0.0f32; slot.range.len()];
            match slot.part {
                Part::Whole => continue,
                Part::Up => {}
                Part::Down => {
                    let bound = 1.0 / (slot.shape[1] as f64).sqrt();
                    let random = Random::new(seed, u64::MAX - place as u64);
                    for (i, value) in values.iter_mut().enumerate() {
                        *value = (random.uniform(i as u64) * 2.0 * bound - bound) as f32;
                    }
                }
            }
            self.write_slot(place, &values);
        }
    }

    /// Takes all weights but those of adapters from a source: a checkpoint of any stored type.
    ///
    /// # Errors
    /// If the source is damaged, or of another architecture than the network.
    pub fn load(&mut self, source: &dyn TensorSource, progress: &mut dyn FnMut(Progress)) -> Result<(), TrainError> {
        if source.config() != self.config() {
            return Err(TrainError::OtherArchitecture);
        }
        let (mut done, total) = (0, self.config().parameters());
        for place in 0..self.layout().slots().len() {
            let Slot { role, layer, ref shape, .. } = self.layout().slots()[place];
            if self.layout().slots()[place].part != Part::Whole {
                continue;
            }
            let len = self.layout().slots()[place].range.len();
            let values = if shape.len() == 1 {
                floats(self.device(), source, role, layer)?
            } else {
                let mut values = Vec::with_capacity(len);
                for_chunks(self.device(), &source.matrix(role, layer)?, |rows| {
                    values.extend_from_slice(rows);
                    Ok(())
                })?;
                values
            };
            self.write_slot(place, &values);
            done += len as u64;
            progress(Progress { done, total });
        }
        Ok(())
    }
}

fn is_gain(role: Role) -> bool {
    matches!(role, Role::Norm1Gain | Role::Norm2Gain | Role::FinalGain)
}

fn deviation(initial: Initial, config: &Config, slot: &Slot) -> f64 {
    let (width, head_size, layers) = (config.width as f64, config.head_size() as f64, config.layers() as f64);
    match (initial, slot.role) {
        (Initial::Transformers, Role::AttentionOutput | Role::Outer) if config.family == Family::Gpt2 => {
            0.02 / (2.0 * layers).sqrt()
        }
        (Initial::Original, Role::Positions) => 0.01,
        (Initial::Original, Role::Query) => 1.0 / (width * head_size).sqrt(),
        (Initial::Original, Role::Key | Role::Value | Role::AttentionOutput) => 1.0 / width.sqrt(),
        (Initial::Original, Role::Outer) => 0.02 / layers.sqrt(),
        _ => 0.02,
    }
}

/// Normal values by all processors.
fn draw(random: Random, deviation: f64, values: &mut [f32]) {
    let share = values.len().div_ceil(thread::available_parallelism().map_or(1, usize::from)).max(1 << 12);
    thread::scope(|scope| {
        for (i, part) in values.chunks_mut(share).enumerate() {
            scope.spawn(move || {
                for (j, value) in part.iter_mut().enumerate() {
                    *value = (random.gaussian((i * share + j) as u64) * deviation) as f32;
                }
            });
        }
    });
}
