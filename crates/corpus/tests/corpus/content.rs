//! Every document comes out once, where it should, and the number of workers changes nothing.

use std::collections::BTreeMap;
use std::io::Write;

use gptneo_corpus::tokenize;
use gptneo_text::shards::{Manifest, Split};

use super::world::{World, bytes_of, documents, jsonl, texts};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Four formats of the same kind of text, and what should come of each.
fn mixed() -> (World, BTreeMap<String, String>) {
    let (a, b, c, d) = (texts(200, 1), texts(150, 2), texts(100, 3), texts(3, 4));
    let world = World::new()
        .with("a.jsonl.zst", zstd::encode_all(jsonl(&a).as_bytes(), 3).unwrap())
        .with("b.jsonl.gz", gzip(jsonl(&b).as_bytes()))
        .with("c.txt", c.join("<|endoftext|>"))
        .with("d.jsonl", jsonl(&d).trim_end());
    let name = |source: &str, texts: &[String]| -> Vec<(String, String)> {
        texts.iter().enumerate().map(|(at, text)| (format!("{source}:{}", at + 1), text.clone())).collect()
    };
    let all = [("a.jsonl.zst", &a), ("b.jsonl.gz", &b), ("c.txt", &c), ("d.jsonl", &d)];
    (world, all.into_iter().flat_map(|(source, texts)| name(source, texts)).collect())
}

#[test]
fn every_document_comes_out_once_in_order() {
    let (world, wanted) = mixed();
    let report = world.run("out").unwrap();
    let out = world.output("out");
    let (train, held_out) = (documents(&out, Split::Train), documents(&out, Split::HeldOut));
    let found: BTreeMap<String, String> = train.iter().chain(&held_out).cloned().collect();
    assert_eq!(found, wanted);
    assert_eq!(train.len() + held_out.len(), wanted.len());
    // In each split the order is that of the sources.
    for split in [&train, &held_out] {
        let key = |name: &str| {
            let (source, record) = name.rsplit_once(':').unwrap();
            (source.to_owned(), record.parse::<u64>().unwrap())
        };
        assert!(split.is_sorted_by_key(|(name, _)| key(name)));
    }
    // A tenth of 453, give or take four deviations.
    assert!((20..=72).contains(&held_out.len()), "{} held out", held_out.len());
    let Manifest { sources, train, held_out, skipped, .. } = &report.manifest;
    assert_eq!(skipped.total(), 0);
    assert!(train.shards.len() > 5 && train.shards.iter().all(|shard| shard.tokens < 4000), "{:?}", train.shards);
    let text_bytes: u64 = wanted.values().map(|text| text.len() as u64).sum();
    assert_eq!(train.text_bytes + held_out.text_bytes, text_bytes);
    assert_eq!(sources.iter().map(|source| source.text_bytes).sum::<u64>(), text_bytes);
    assert_eq!(sources.iter().map(|source| source.tokens).sum::<u64>(), train.tokens + held_out.tokens);
    assert_eq!(sources.iter().map(|source| source.documents).collect::<Vec<_>>(), [200, 150, 100, 3]);
    assert!(sources.iter().all(|source| source.sha256.len() == 64));
}

#[test]
fn the_number_of_workers_changes_no_byte() {
    let (world, _) = mixed();
    world.run("out").unwrap();
    let wanted = bytes_of(&world.output("out"));
    for workers in [1, 3, 16] {
        let mut job = world.job(&format!("out{workers}"));
        job.workers = workers;
        tokenize(&job, &()).unwrap();
        assert!(bytes_of(&job.output) == wanted, "{workers} workers");
    }
}

#[test]
fn the_split_follows_the_text_and_not_its_place() {
    let texts = texts(300, 5);
    let twice: Vec<&String> = texts.iter().chain(texts.iter().rev()).collect();
    let world = World::new().with("a.jsonl", jsonl(&twice));
    world.run("out").unwrap();
    let count = |split| {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        documents(&world.output("out"), split).into_iter().for_each(|(_, text)| *counts.entry(text).or_default() += 1);
        counts
    };
    let (train, held_out) = (count(Split::Train), count(Split::HeldOut));
    assert!(!held_out.is_empty() && train.values().chain(held_out.values()).all(|&count| count == 2));
    assert!(held_out.keys().all(|text| !train.contains_key(text)));
}

#[test]
fn everything_or_nothing_can_be_held_out() {
    let world = World::new().with("a.jsonl", jsonl(&texts(60, 6)));
    for (ppm, train, held_out) in [(0, 60, 0), (1_000_000, 0, 60)] {
        let mut job = world.job(&ppm.to_string());
        job.held_out_ppm = ppm;
        let manifest = tokenize(&job, &()).unwrap().manifest;
        assert_eq!((manifest.train.documents, manifest.held_out.documents), (train, held_out));
        // Held-out text is cut into shards as well.
        assert!(manifest.train.shards.len() + manifest.held_out.shards.len() > 1);
    }
}

#[test]
fn special_tokens_in_a_document_are_text() {
    let world = World::new().with("a.jsonl", jsonl(&["one <|endoftext|> two"]));
    let mut job = world.job("out");
    job.held_out_ppm = 0;
    let manifest = tokenize(&job, &()).unwrap().manifest;
    assert_eq!(manifest.train.documents, 1);
    assert!(manifest.train.tokens > 8, "{}", manifest.train.tokens);
    assert_eq!(documents(&job.output, Split::Train)[0].1, "one <|endoftext|> two");
}
