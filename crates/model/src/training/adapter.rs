//! What was trained of adapters, for the decoder and for PEFT; and training that goes on from it.

use gptneo_device::train::TrainDevice;

use crate::adapter::{Adapter, AdapterError, AdapterSettings, LowRank};
use crate::family::Role;

use super::error::TrainError;
use super::layout::Part;
use super::network::Network;
use super::options::Adapters;

impl<D: TrainDevice> Network<D> {
    /// The adapters as they are now, beside the model that `base` names; `None` where the model's own parameters are trained.
    ///
    /// # Errors
    /// If there is no room for a copy.
    pub fn adapter(&self, base: Option<&str>) -> Result<Option<Adapter>, AdapterError> {
        let Some(adapters) = self.trainable().adapters() else { return Ok(None) };
        let Adapters { rank, alpha, rank_stabilised, dropout, .. } = *adapters;
        let settings = AdapterSettings { rank, alpha, rank_stabilised, dropout, base: base.map(str::to_owned) };
        let mut made = Adapter::new(self.config(), settings);
        for down in self.layout().slots().iter().filter(|slot| slot.part == Part::Down) {
            let up = self.layout().place_of(down.role, down.layer, Part::Up).expect("factors come in pairs");
            let (layer, up) = (down.layer.expect("adapters stand in layers"), &self.layout().slots()[up]);
            let [mut a, mut b] = [Vec::new(), Vec::new()];
            for (slot, values) in [(down, &mut a), (up, &mut b)] {
                let len = slot.range.len();
                values.try_reserve_exact(len).map_err(|_| AdapterError::OutOfMemory { bytes: 4 * len })?;
                values.resize(len, 0.0);
                self.device().read(self.slot_buffer(slot), slot.range.start, values);
            }
            made.insert(down.role, layer, LowRank { rank, alpha, a, b })?;
        }
        if let Some(slot) = self.layout().find(Role::Score, None) {
            let mut score = vec![0.0; slot.range.len()];
            self.device().read(self.slot_buffer(slot), slot.range.start, &mut score);
            made.insert_score(score)?;
        }
        Ok(Some(made))
    }

    /// Goes on from an adapter: it must have the rank, the scale and the targets that this network trains, and
    /// bring a classification head where the network is a classifier.
    ///
    /// # Errors
    /// If it has others; then nothing has changed.
    pub fn load_adapter(&mut self, adapter: &Adapter) -> Result<(), TrainError> {
        let Some(scale) = self.trainable().adapters().map(Adapters::scale) else {
            return Err(TrainError::OtherAdapter);
        };
        let mut writes: Vec<(usize, &[f32])> = Vec::new();
        for (place, slot) in self.layout().slots().iter().enumerate().filter(|(_, slot)| slot.part != Part::Whole) {
            let layer = slot.layer.expect("adapters stand in layers");
            let pair = adapter.get(slot.role, layer).ok_or(TrainError::OtherAdapter)?;
            let values = if slot.part == Part::Down { &pair.a } else { &pair.b };
            if values.len() != slot.range.len() || (adapter.scale(pair) - scale).abs() > 1e-6 * scale.abs() {
                return Err(TrainError::OtherAdapter);
            }
            writes.push((place, values));
        }
        if 2 * adapter.iter().count() != writes.len() {
            return Err(TrainError::OtherAdapter);
        }
        match (self.layout().place(Role::Score, None), adapter.score()) {
            (None, None) => {}
            (Some(place), Some(score)) if score.len() == self.layout().slots()[place].range.len() => {
                writes.push((place, score));
            }
            _ => return Err(TrainError::OtherAdapter),
        }
        for (place, values) in writes {
            self.write_slot(place, values);
        }
        Ok(())
    }
}
