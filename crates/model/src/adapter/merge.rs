//! A model with an adapter added to its matrices: `W + scale B A`, in f32; and under the adapter's classification head, if it brings
//! one.

use std::thread;

use gptneo_device::{Bytes, DType, Device, Matrix};

use super::{Adapter, AdapterError, LowRank};
use crate::config::Config;
use crate::error::LoadError;
use crate::family::Role;
use crate::source::TensorSource;
use crate::storage::for_chunks;

/// The tensors of a model, those that an adapter targets with its products added. They are f32 then, whatever they were
/// stored as; [`TensorSource::dtype`] still tells the stored type, which is what a conversion gives them back.
pub struct Merged<'a, D: Device> {
    device: &'a D,
    source: &'a dyn TensorSource,
    adapter: &'a Adapter,
    config: Config,
}

impl<'a, D: Device> Merged<'a, D> {
    /// `source` with `adapter`.
    ///
    /// # Errors
    /// If the adapter was made for matrices of other shapes.
    pub fn new(device: &'a D, source: &'a dyn TensorSource, adapter: &'a Adapter) -> Result<Self, AdapterError> {
        adapter.check(source.config())?;
        let config = adapter.adapted(source.config())?;
        Ok(Self { device, source, adapter, config })
    }
}

impl<D: Device> TensorSource for Merged<'_, D> {
    fn config(&self) -> &Config {
        &self.config
    }

    fn dtype(&self, role: Role, layer: Option<usize>) -> DType {
        if self.score(role).is_some() { DType::F32 } else { self.source.dtype(role, layer) }
    }

    fn matrix(&self, role: Role, layer: Option<usize>) -> Result<Matrix, LoadError> {
        if let Some(score) = self.score(role) {
            let bytes: Vec<u8> = score.iter().flat_map(|value| value.to_le_bytes()).collect();
            let (rows, cols) = (self.config.outputs(), self.config.width);
            return Ok(Matrix::new(DType::F32, rows, cols, bytes.into()).expect("the head was checked"));
        }
        let stored = self.source.matrix(role, layer)?;
        let Some(pair) = layer.and_then(|layer| self.adapter.get(role, layer)) else { return Ok(stored) };
        let (rows, cols) = (stored.rows(), stored.cols());
        let mut values: Vec<f32> = Vec::new();
        let room = values.try_reserve_exact(rows * cols);
        room.map_err(|_| LoadError::OutOfMemory { bytes: rows.saturating_mul(cols).saturating_mul(4) })?;
        for_chunks(self.device, &stored, |chunk| {
            values.extend_from_slice(chunk);
            Ok(())
        })?;
        drop(stored);
        add(&mut values, cols, pair, self.adapter.scale(pair));
        let bytes: Vec<u8> = values.into_iter().flat_map(f32::to_le_bytes).collect();
        Ok(Matrix::new(DType::F32, rows, cols, bytes.into()).expect("as many values as the matrix has"))
    }

    fn vector(&self, role: Role, layer: Option<usize>) -> Result<(DType, Bytes), LoadError> {
        self.source.vector(role, layer)
    }

    fn name(&self, role: Role, layer: Option<usize>) -> String {
        match self.score(role) {
            Some(_) => self.config.family.hf_name(role, layer).expect("every family has such a head").0,
            None => self.source.name(role, layer),
        }
    }
}

impl<D: Device> Merged<'_, D> {
    /// The adapter's head, if that is what the role asks for.
    fn score(&self, role: Role) -> Option<&[f32]> {
        self.adapter.score().filter(|_| role == Role::Score)
    }
}

/// `w += scale B A`, `w: [O, C]`, rows shared among all processors.
pub(crate) fn add(w: &mut [f32], cols: usize, pair: &LowRank, scale: f32) {
    let rows = w.len() / cols;
    let share = rows.div_ceil(thread::available_parallelism().map_or(1, usize::from)).max(1);
    thread::scope(|scope| {
        for (w, b) in w.chunks_mut(share * cols).zip(pair.b.chunks(share * pair.rank)) {
            scope.spawn(move || {
                for (row, b) in w.chunks_exact_mut(cols).zip(b.chunks_exact(pair.rank)) {
                    let mut sum = vec![0.0f32; cols];
                    for (&b, a) in b.iter().zip(pair.a.chunks_exact(cols)) {
                        sum.iter_mut().zip(a).for_each(|(sum, a)| *sum += b * a);
                    }
                    row.iter_mut().zip(&sum).for_each(|(w, sum)| *w += scale * sum);
                }
            });
        }
    });
}
