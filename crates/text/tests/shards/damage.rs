//! Whatever happens to the bytes, nothing panics, nothing large is allocated, and no wrong id is handed out.

use std::fs;
use std::path::Path;

use gptneo_text::TextError;
use gptneo_text::shards::{Dataset, MANIFEST, Mixture, Order, Shard, Split};

use super::world::{Noise, documents, write};

/// A shard of some 3000 tokens in one piece.
fn shard(dir: &Path) -> (std::path::PathBuf, Vec<u8>) {
    write(dir, &documents(100, 60, 500, 1), 500, 100);
    let path = dir.join(Split::Train.shard(0));
    let bytes = fs::read(&path).unwrap();
    (path, bytes)
}

fn verified(path: &Path) -> Result<(), TextError> {
    Shard::open(path).and_then(|shard| shard.verify())
}

#[test]
fn any_changed_byte_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let (path, bytes) = shard(dir.path());
    verified(&path).unwrap();
    let mut noise = Noise(1);
    let header = 0..96;
    let anywhere = (0..200).map(|_| noise.below(bytes.len() as u64) as usize).collect::<Vec<_>>();
    for at in header.chain(anywhere).chain(bytes.len() - 8..bytes.len()) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        fs::write(&path, damaged).unwrap();
        let found = verified(&path);
        assert!(matches!(&found, Err(TextError::Shard { path: named, .. }) if *named == path), "{at}: {found:?}");
    }
}

#[test]
fn any_other_length_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let (path, bytes) = shard(dir.path());
    for len in (0..200).chain([bytes.len() / 2, bytes.len() - 1]) {
        fs::write(&path, &bytes[..len]).unwrap();
        assert!(matches!(Shard::open(&path), Err(TextError::Shard { .. })), "{len}");
    }
    let longer = [bytes, vec![0]].concat();
    fs::write(&path, longer).unwrap();
    assert!(matches!(Shard::open(&path), Err(TextError::Shard { .. })));
}

#[test]
fn a_header_cannot_ask_for_memory() {
    use sha2::{Digest, Sha256};
    let dir = tempfile::tempdir().unwrap();
    let (path, bytes) = shard(dir.path());
    // Counts beyond the file, with a header that is otherwise right.
    for (field, value) in [(24, u64::MAX), (24, 1 << 40), (32, u64::MAX / 24), (32, 1 << 50), (32, u64::MAX)] {
        let mut hostile = bytes.clone();
        hostile[field..field + 8].copy_from_slice(&value.to_le_bytes());
        let sum = Sha256::digest(&hostile[..88]);
        hostile[88..96].copy_from_slice(&sum[..8]);
        fs::write(&path, hostile).unwrap();
        let found = Shard::open(&path);
        assert!(matches!(found, Err(TextError::Shard { .. })), "{field} {value}: {found:?}");
    }
}

#[test]
fn an_index_that_lies_is_refused() {
    use sha2::{Digest, Sha256};
    let dir = tempfile::tempdir().unwrap();
    let (path, bytes) = shard(dir.path());
    let tokens = u64::from_le_bytes(bytes[24..32].try_into().unwrap());
    let ids = 96 + (tokens as usize * 2).next_multiple_of(8);
    let body = bytes.len() - 8;
    // The checksums are made right again: only the content lies.
    let check = |entry: usize, end: u64| {
        let mut hostile = bytes.clone();
        hostile[ids + 24 * entry..][..8].copy_from_slice(&end.to_le_bytes());
        let sum = Sha256::digest(&hostile[96..body]);
        hostile[body..].copy_from_slice(&sum[..8]);
        fs::write(&path, &hostile).unwrap();
        assert!(matches!(verified(&path), Err(TextError::Shard { .. })), "{entry} ends at {end}");
        // Whatever the index says, asking for documents ends, in words or with an answer.
        let data = Dataset::open(dir.path(), Split::Train).unwrap();
        for at in 0..tokens {
            let _ = data.documents_in(at..tokens);
        }
    };
    check(0, u64::MAX);
    check(50, 0);
    check(50, tokens + 1);
    check(99, tokens - 1);
    check(99, 0);
}

#[test]
fn damage_elsewhere_does_not_stop_a_sequence() {
    // Two parts of a file far from each other: a sequence reads its own and not the whole.
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &documents(1000, 600, 500, 1), 500, 1000);
    let path = dir.path().join(Split::Train.shard(0));
    let mut bytes = fs::read(&path).unwrap();
    let at = 96 + 3 * (64 << 10) + 1000;
    bytes[at] ^= 1;
    fs::write(&path, bytes).unwrap();
    let order = Order::new(Mixture::single(Dataset::open(dir.path(), Split::Train).unwrap()).unwrap(), 64, 0).unwrap();
    let piece = 3 * (32 << 10)..4 * (32 << 10);
    let (mut sound, mut damaged) = (0, 0);
    for index in 0..order.epoch(0) {
        let tokens = order.place(index).tokens;
        let touches = tokens.start < piece.end && tokens.end > piece.start;
        match order.sequence(index) {
            Ok(_) if !touches => sound += 1,
            Err(TextError::Shard { detail, .. }) if touches && detail.contains("checksum") => damaged += 1,
            other => panic!("{tokens:?}: {other:?}"),
        }
    }
    assert!(sound > 1000 && damaged > 500, "{sound} {damaged}");
}

#[test]
fn a_manifest_is_checked_against_itself_and_its_files() {
    let dir = tempfile::tempdir().unwrap();
    let (path, bytes) = shard(dir.path());
    let manifest = fs::read_to_string(dir.path().join(MANIFEST)).unwrap();
    let check = |text: &str| {
        fs::write(dir.path().join(MANIFEST), text).unwrap();
        let found = Dataset::open(dir.path(), Split::Train);
        assert!(matches!(found, Err(TextError::Shard { .. })), "{text:.300}: {found:?}");
    };
    check("");
    check("[]");
    check(&"[".repeat(100_000));
    check(&manifest.replace("\"version\": 1", "\"version\": 2"));
    check(&manifest.replace("train-00000.tokens", "../train-00000.tokens"));
    check(&manifest.replace("train-00000.tokens", "/etc/passwd"));
    check(&manifest.replace("\"vocab_size\": 500", "\"vocab_size\": 499"));
    check(&manifest.replace("\"documents\": 100", "\"documents\": 18446744073709551615"));
    check(&manifest.replacen("\"documents\": 100", "\"documents\": 101", 1));
    check(&manifest.replace("\"field\"", "\"unknown\""));
    check(&manifest.replace(&format!("\"bytes\": {}", bytes.len()), "\"bytes\": 7"));
    fs::write(dir.path().join(MANIFEST), &manifest).unwrap();
    Dataset::open(dir.path(), Split::Train).unwrap();
    // A sound shard, but not the one that was counted.
    let other = tempfile::tempdir().unwrap();
    write(other.path(), &documents(100, 60, 501, 1), 501, 100);
    let mut foreign = fs::read(other.path().join(Split::Train.shard(0))).unwrap();
    foreign.resize(bytes.len(), 0);
    fs::write(&path, foreign).unwrap();
    let data = Dataset::open(dir.path(), Split::Train).unwrap();
    assert!(matches!(data.read(0, &mut [0; 4]), Err(TextError::Shard { .. })));
    fs::remove_file(&path).unwrap();
    assert!(matches!(Dataset::open(dir.path(), Split::Train), Err(TextError::Read { .. })));
    fs::remove_file(dir.path().join(MANIFEST)).unwrap();
    assert!(matches!(Dataset::open(dir.path(), Split::Train), Err(TextError::NoShards { .. })));
}
