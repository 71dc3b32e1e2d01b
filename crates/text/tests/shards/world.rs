//! Datasets with known content.

use std::path::Path;

use gptneo_text::shards::{Dataset, Manifest, Settings, ShardWriter, SourceEntry, Split, Stamp, TokenizerEntry};

pub(crate) const FINGERPRINT: [u8; 32] = [7; 32];

/// Numbers without a pattern (splitmix64).
pub(crate) struct Noise(pub(crate) u64);

impl Noise {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ x >> 31) % limit
    }
}

/// Documents of 1 to `longest` ids, the last of which is `vocab - 1`: end of text.
pub(crate) fn documents(count: usize, longest: u64, vocab: u32, seed: u64) -> Vec<Vec<u32>> {
    let mut noise = Noise(seed);
    (0..count)
        .map(|_| {
            let len = noise.below(longest);
            let mut ids: Vec<u32> = (0..len).map(|_| noise.below(u64::from(vocab) - 1) as u32).collect();
            ids.push(vocab - 1);
            ids
        })
        .collect()
}

pub(crate) fn stamp(number: usize) -> Stamp {
    Stamp { source: (number % 2) as u32, record: number as u64 + 1, text_bytes: 10 + number as u32 }
}

/// Writes documents as the training split, so many to a shard.
pub(crate) fn write(dir: &Path, documents: &[Vec<u32>], vocab: u32, per_shard: usize) -> Manifest {
    let hex: String = FINGERPRINT.iter().map(|byte| format!("{byte:02x}")).collect();
    let tokenizer = TokenizerEntry { sha256: hex, vocab_size: vocab, end_of_text: vocab - 1 };
    let settings = Settings { format: None, field: "text".into(), shard_tokens: 1, held_out_ppm: 0 };
    let mut manifest = Manifest::new(tokenizer, settings);
    for name in ["a.jsonl", "b.jsonl"] {
        let name = name.to_owned();
        let sha256 = "0".repeat(64);
        manifest.sources.push(SourceEntry { name, bytes: 0, sha256, documents: 0, text_bytes: 0, tokens: 0 });
    }
    for (shard, some) in documents.chunks(per_shard).enumerate() {
        let path = dir.join(Split::Train.shard(shard as u64));
        let mut writer = ShardWriter::create(&path, vocab, FINGERPRINT).unwrap();
        for (at, ids) in some.iter().enumerate() {
            writer.push(ids, stamp(shard * per_shard + at)).unwrap();
        }
        manifest.train.push(writer.finish().unwrap());
    }
    manifest.write(dir).unwrap();
    manifest
}

/// A dataset of these documents.
pub(crate) fn dataset(dir: &Path, documents: &[Vec<u32>], vocab: u32, per_shard: usize) -> Dataset {
    write(dir, documents, vocab, per_shard);
    Dataset::open(dir, Split::Train).unwrap()
}
