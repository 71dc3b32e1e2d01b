//! The decoder as a [`LanguageModel`].

use gptneo_device::{CacheType, Device, Reach};

use super::adapted::PlainRoom;
use super::{Decoder, PIECE};
use crate::adapter::{Adapter, AdapterError};
use crate::config::Config;
use crate::language_model::{AdapterId, LanguageModel, ModelError, Run, SequenceId, Spec};
use crate::probe::Probe;
use crate::weights::Layer;

impl<D: Device> LanguageModel for Decoder<D> {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn open(&mut self) -> SequenceId {
        self.pages.open(None)
    }

    fn open_adapted(&mut self, adapter: AdapterId) -> Result<SequenceId, ModelError> {
        match self.residents.holds(adapter) {
            true => Ok(self.pages.open(Some(adapter))),
            false => Err(ModelError::UnknownAdapter(adapter)),
        }
    }

    fn add_adapter(&mut self, adapter: &Adapter) -> Result<AdapterId, ModelError> {
        if adapter.score().is_some() {
            return Err(AdapterError::Classifies.into());
        }
        if self.work.plain.is_none() {
            self.work.plain = Some(PlainRoom::new(&self.device, PIECE * self.config.width)?);
        }
        self.residents.add(&self.device, &self.config, adapter)
    }

    fn remove_adapter(&mut self, adapter: AdapterId) -> Result<(), ModelError> {
        match self.pages.with_adapter(adapter) {
            0 => self.residents.remove(adapter),
            sequences => Err(ModelError::AdapterInUse { adapter, sequences }),
        }
    }

    fn len(&self, sequence: SequenceId) -> Result<usize, ModelError> {
        self.pages.len(sequence)
    }

    fn fork(&mut self, sequence: SequenceId, len: usize) -> Result<SequenceId, ModelError> {
        self.pages.fork(sequence, len)
    }

    fn truncate(&mut self, sequence: SequenceId, len: usize) -> Result<(), ModelError> {
        self.pages.truncate(sequence, len)
    }

    fn can_cut(&self, sequence: SequenceId, len: usize) -> bool {
        self.pages.can_cut(sequence, len).is_ok()
    }

    fn close(&mut self, sequence: SequenceId) {
        self.pages.close(sequence);
    }

    fn fits(&self, growth: &[(Option<SequenceId>, usize)]) -> bool {
        self.pages.room(growth).is_ok()
    }

    fn cache_pages(&self) -> (usize, usize) {
        self.pages.in_use()
    }

    fn forward(&mut self, runs: &[Run<'_>], logits: &mut Vec<f32>) -> Result<(), ModelError> {
        self.step(runs, logits, None)
    }

    fn forward_probed(
        &mut self,
        runs: &[Run<'_>],
        logits: &mut Vec<f32>,
        probe: &mut dyn Probe,
    ) -> Result<(), ModelError> {
        self.step(runs, logits, Some(probe))
    }

    fn token_bytes(&self, context: usize) -> u64 {
        let Self { device, config, weights, .. } = self;
        let matrices = |l: &Layer<D>| {
            [&l.qkv.weight, &l.attention_output.weight, &l.inner.weight, &l.outer.weight]
                .map(|w| device.weight_bytes(w) as u64)
                .into_iter()
                .sum::<u64>()
        };
        let keys: u64 = config.reach.iter().map(|r| (context + 1 - r.first_key(context)) as u64).sum();
        let per_key = cache_bytes(config, self.spec.key, self.spec.value);
        weights.layers.iter().map(matrices).sum::<u64>()
            + device.weight_bytes(weights.output()) as u64
            + keys * per_key as u64
    }

    fn token_operations(&self, context: usize, logits: bool) -> u64 {
        let Config { reach, width, .. } = &self.config;
        let keys = |reach: &[Reach]| reach.iter().map(|r| (context + 1 - r.first_key(context)) as u64).sum::<u64>();
        let (layer, output) = self.matrix_elements;
        let layers = reach.len() as u64;
        if logits {
            return 2 * (layers * layer + output) + 4 * keys(reach) * *width as u64;
        }
        // Of the last layer keys and values alone.
        let last = 2 * (width * width) as u64;
        2 * ((layers - 1) * layer + last) + 4 * keys(&reach[..reach.len() - 1]) * *width as u64
    }

    fn weight_bytes(&self) -> u64 {
        let Self { device, weights, .. } = self;
        let layers: u64 = weights
            .layers
            .iter()
            .flat_map(|l| [&l.qkv.weight, &l.attention_output.weight, &l.inner.weight, &l.outer.weight])
            .map(|w| device.weight_bytes(w) as u64)
            .sum();
        let rest = [Some(&weights.embedding), weights.positions.as_ref(), weights.head.as_ref()];
        layers + rest.into_iter().flatten().map(|w| device.weight_bytes(w) as u64).sum::<u64>()
    }
}

/// Bytes that one position takes in the cache of one layer.
pub(crate) fn cache_bytes(config: &Config, key: CacheType, value: CacheType) -> usize {
    let one = |kind| match kind {
        CacheType::F32 => config.width * 4,
        CacheType::F16 => config.width * 2,
        // One byte a channel, and a two-byte scale for 32 channels or a whole small head.
        CacheType::Q8_0 => config.width + 2 * config.heads * config.head_size().div_ceil(32),
    };
    one(key) + one(value)
}
