//! A copy of a network's weights on the host, to be written or loaded elsewhere while training goes on.

use gptneo_device::train::TrainDevice;
use gptneo_device::{Bytes, DType, Matrix};

use crate::adapter;
use crate::config::Config;
use crate::error::LoadError;
use crate::family::Role;
use crate::source::TensorSource;

use super::layout::{Layout, Part};
use super::network::Network;

/// Weights at one moment, as a [`TensorSource`]: [`crate::write_hf`] makes a Hugging Face directory of it that transformers
/// loads, [`crate::load()`] a decoder that samples.
#[derive(Clone, Debug)]
pub struct Snapshot {
    config: Config,
    layout: Layout,
    /// f32, little-endian, one for each slot; those of adapters' factors are empty.
    tensors: Vec<Bytes>,
}

impl<D: TrainDevice> Network<D> {
    /// Copies the weights, with the products of adapters added to the matrices that they stand beside.
    ///
    /// # Errors
    /// If the host has no room for them.
    pub fn snapshot(&self) -> Result<Snapshot, LoadError> {
        let room = 4 * self.layout().trained();
        let adapter = self.adapter(None).map_err(|_| LoadError::OutOfMemory { bytes: room })?;
        let mut tensors = Vec::with_capacity(self.layout().slots().len());
        for slot in self.layout().slots() {
            if slot.part != Part::Whole {
                tensors.push(Bytes::from(Vec::new()));
                continue;
            }
            let mut bytes = crate::layout::zeroed(4 * slot.range.len())?;
            let mut values = vec![0.0; slot.range.len().min(CHUNK)];
            for (i, part) in bytes.chunks_mut(4 * CHUNK).enumerate() {
                let values = &mut values[..part.len() / 4];
                self.device().read(self.slot_buffer(slot), slot.range.start + i * CHUNK, values);
                for (bytes, value) in part.as_chunks_mut::<4>().0.iter_mut().zip(values) {
                    *bytes = value.to_le_bytes();
                }
            }
            if let (Some(layer), Some(adapter)) = (slot.layer, &adapter)
                && let Some(pair) = adapter.get(slot.role, layer)
            {
                let mut values: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
                adapter::add(&mut values, slot.shape[1], pair, adapter.scale(pair));
                for (bytes, value) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(values) {
                    *bytes = value.to_le_bytes();
                }
            }
            tensors.push(Bytes::from(bytes));
        }
        Ok(Snapshot { config: self.config().clone(), layout: self.layout().clone(), tensors })
    }
}

/// Values copied at once.
const CHUNK: usize = 1 << 16;

impl Snapshot {
    fn place(&self, role: Role, layer: Option<usize>) -> usize {
        self.layout.place(role, layer).expect("a role of the configuration")
    }
}

impl TensorSource for Snapshot {
    fn config(&self) -> &Config {
        &self.config
    }

    fn dtype(&self, _: Role, _: Option<usize>) -> DType {
        DType::F32
    }

    fn matrix(&self, role: Role, layer: Option<usize>) -> Result<Matrix, LoadError> {
        let place = self.place(role, layer);
        let [rows, cols] = self.layout.slots()[place].shape[..] else {
            panic!("{} is no matrix", self.layout.slots()[place].name)
        };
        Ok(Matrix::new(DType::F32, rows, cols, self.tensors[place].clone()).expect("its own shape"))
    }

    fn vector(&self, role: Role, layer: Option<usize>) -> Result<(DType, Bytes), LoadError> {
        Ok((DType::F32, self.tensors[self.place(role, layer)].clone()))
    }

    fn name(&self, role: Role, layer: Option<usize>) -> String {
        self.layout.slots()[self.place(role, layer)].name.clone()
    }
}
