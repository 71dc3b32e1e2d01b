//! What was trained of adapters, for the decoder and for PEFT.

use gptneo_device::train::TrainDevice;

use crate::adapter::{Adapter, AdapterError, AdapterSettings, LowRank};

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
        Ok(Some(made))
    }
}
