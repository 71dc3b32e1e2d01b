//! What was written is read.

use std::fs;

use gptneo_text::shards::{Dataset, Manifest, Shard, ShardWriter, Split, sha256_of};

use super::world::{FINGERPRINT, Noise, dataset, documents, stamp, write};

#[test]
fn every_token_and_document_comes_back() {
    // Ids of two bytes and of four, documents of one token and of many pieces, shards whose index crosses pieces.
    for (vocab, count, longest, per_shard) in [(300, 4000, 40, 1700), (65_536, 5, 90_000, 2), (65_537, 900, 200, 900)] {
        let dir = tempfile::tempdir().unwrap();
        let written = documents(count, longest, vocab, 1);
        let read = dataset(dir.path(), &written, vocab, per_shard);
        let stream: Vec<u32> = written.concat();
        assert_eq!(read.tokens(), stream.len() as u64);
        assert_eq!(read.documents(), count as u64);
        let mut noise = Noise(2);
        let check = |from: usize, to: usize| {
            let mut ids = vec![0; to - from];
            read.read(from as u64, &mut ids).unwrap();
            assert_eq!(ids, stream[from..to], "{from}..{to} of {vocab}");
        };
        check(0, stream.len());
        for _ in 0..200 {
            let from = noise.below(stream.len() as u64);
            let to = from + noise.below((stream.len() as u64 - from).min(3000) + 1);
            check(from as usize, to as usize);
        }
        let mut start = 0;
        for (number, ids) in written.iter().enumerate() {
            let (span, found) = read.document(number as u64).unwrap();
            assert_eq!(span.tokens, start..start + ids.len() as u64);
            assert_eq!(found, stamp(number));
            start = span.tokens.end;
        }
        let name = read.name(2).unwrap();
        assert_eq!(name, "a.jsonl:3");
    }
}

#[test]
fn documents_are_found_by_their_tokens() {
    let dir = tempfile::tempdir().unwrap();
    let written = documents(500, 30, 100, 3);
    let read = dataset(dir.path(), &written, 100, 120);
    let ends: Vec<u64> = written
        .iter()
        .scan(0, |end, ids| {
            *end += ids.len() as u64;
            Some(*end)
        })
        .collect();
    let mut noise = Noise(4);
    for _ in 0..500 {
        let from = noise.below(read.tokens());
        let to = from + 1 + noise.below((read.tokens() - from).min(200));
        let found: Vec<u64> = read.documents_in(from..to).unwrap().iter().map(|span| span.document).collect();
        let first = ends.partition_point(|&end| end <= from) as u64;
        let last = ends.partition_point(|&end| end < to) as u64;
        assert_eq!(found, (first..=last).collect::<Vec<_>>(), "{from}..{to}");
    }
}

#[test]
fn the_manifest_tells_the_hash_of_each_shard() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = write(dir.path(), &documents(100, 50, 100, 5), 100, 40);
    assert_eq!(manifest, Manifest::open(dir.path()).unwrap());
    assert_eq!(manifest.train.shards.len(), 3);
    for shard in &manifest.train.shards {
        let path = dir.path().join(&shard.file);
        let (sha256, bytes) = sha256_of(&mut fs::File::open(&path).unwrap()).unwrap();
        assert_eq!((&sha256, bytes), (&shard.sha256, shard.bytes));
        let shard = Shard::open(&path).unwrap();
        shard.verify().unwrap();
        assert_eq!(shard.tokenizer(), FINGERPRINT);
    }
}

#[test]
fn an_unfinished_shard_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = ShardWriter::create(&dir.path().join("x.tokens"), 10, FINGERPRINT).unwrap();
    writer.push(&[1, 2, 9], stamp(0)).unwrap();
    drop(writer);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn an_empty_split_has_no_tokens() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &documents(3, 5, 10, 1), 10, 3);
    let read = Dataset::open(dir.path(), Split::HeldOut).unwrap();
    assert_eq!((read.tokens(), read.documents(), read.text_bytes()), (0, 0, 0));
}
