//! What a model will take, before anything is loaded.

use gptneo_device::{CacheType, DType, PAGE, Reach};

use crate::config::Config;
use crate::decoder::{CacheOptions, PIECE, cache_bytes};
use crate::family::{Role, roles};
use crate::storage::Storage;

/// Bytes a loaded model holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Weights, embedding included.
    pub weights: u64,
    /// Keys and values of one sequence as long as the cache, local layers holding only their window.
    pub cache: u64,
    /// Activations.
    pub work: u64,
}

impl Memory {
    /// All together.
    pub fn total(&self) -> u64 {
        self.weights + self.cache + self.work
    }
}

/// The type of cached keys and values where none is asked for: exact for exact weights, else f16.
pub fn default_cache(weights: DType) -> CacheType {
    if weights == DType::F32 { CacheType::F32 } else { CacheType::F16 }
}

/// The memory of a model stored as `storage`.
pub fn memory(config: &Config, storage: Storage, cache: CacheOptions) -> Memory {
    let bytes = |(role, _): (Role, Option<usize>)| match role.shape(config) {
        (len, None) => len as u64 * 4,
        (rows, Some(cols)) => {
            let dtype = storage.of(role, cols);
            rows as u64 * dtype.bytes_for(cols).expect("`of` chooses a type that fits") as u64
        }
    };
    let held = |reach: &Reach| match *reach {
        Reach::Global => cache.positions,
        Reach::Local { window } => cache.positions.min(window + PIECE + 3 * PAGE),
    };
    let positions: usize = config.reach.iter().map(held).sum();
    Memory {
        weights: roles(config).map(bytes).sum(),
        cache: positions as u64 * cache_bytes(config, cache.key, cache.value) as u64,
        work: ((PIECE * (3 * config.width + config.inner) + 32 * config.outputs()) * 4) as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shapes;

    fn total(shape: &str, dtype: DType) -> f64 {
        let config = shapes::config(shape).unwrap();
        let kind = default_cache(dtype);
        let cache = CacheOptions { positions: config.positions, key: kind, value: kind };
        memory(&config, Storage::new(dtype).unwrap(), cache).total() as f64 / (1u64 << 30) as f64
    }

    #[test]
    fn gpt_j_fits_eight_gib_at_four_bits_and_not_at_eight() {
        assert!(total("gpt-j-6b", DType::Q4_0) < 5.0);
        assert!((6.0..8.0).contains(&total("gpt-j-6b", DType::Q8_0)));
        assert!(total("gpt-j-6b", DType::F32) > 22.0);
    }
}
