//! What is no document is counted, what is damaged is refused, what is there already is not overwritten.

use std::fs;

use gptneo_corpus::{CorpusError, Format, find, tokenize};
use gptneo_text::shards::Skipped;

use super::world::{World, jsonl, texts};

#[test]
fn records_that_are_no_documents_are_counted_and_named() {
    let lines: [&[u8]; 9] = [
        b"{\"text\": \"good\"}",
        b"",
        b"{\"text\": \"  \"}",
        b"{\"text\": \"\xff\"}",
        b"not json",
        b"{\"other\": \"x\"}",
        b"{\"text\": 7}",
        b"[1, 2]",
        b"{\"text\": \"also good\"}",
    ];
    let world = World::new().with("a.jsonl", lines.join(&b'\n'));
    let report = world.run("out").unwrap();
    let wanted = Skipped { empty: 2, not_utf8: 1, not_json: 2, no_text: 2, too_long: 0, unencodable: 0 };
    assert_eq!(report.manifest.skipped, wanted);
    assert_eq!(report.manifest.train.documents + report.manifest.held_out.documents, 2);
    assert_eq!(report.examples.len(), 5);
    assert_eq!(report.examples[0], "a.jsonl:2: it is empty");
    assert_eq!(report.examples[2], "a.jsonl:4: it is not UTF-8");
}

#[test]
fn a_corpus_of_nothing_is_an_error_and_leaves_no_manifest() {
    for bytes in ["", "\n\n", "{}\n{}\n"] {
        let world = World::new().with("a.jsonl", bytes);
        let found = world.run("out");
        assert!(matches!(found, Err(CorpusError::NoDocuments { .. })), "{bytes:?}: {found:?}");
        assert_eq!(fs::read_dir(world.output("out")).unwrap().count(), 0);
    }
}

#[test]
fn damaged_compression_is_an_error_that_names_the_file() {
    let text = jsonl(&texts(300, 1));
    let whole = zstd::encode_all(text.as_bytes(), 3).unwrap();
    let mut flipped = whole.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0x55;
    for (name, bytes) in [
        ("cut.jsonl.zst", &whole[..whole.len() / 2]),
        ("flipped.jsonl.zst", &flipped),
        ("text.jsonl.zst", text.as_bytes()),
        ("text.jsonl.gz", text.as_bytes()),
        ("text.parquet", text.as_bytes()),
        ("empty.parquet", b""),
    ] {
        let world = World::new().with(name, bytes);
        let found = world.run("out");
        // A flipped byte can also come out as other text: zstd has no checksum unless asked for.
        let fine = name.starts_with("flipped") && found.is_ok();
        assert!(fine || matches!(&found, Err(CorpusError::Source { path, .. }) if path.ends_with(name)), "{found:?}");
    }
}

#[test]
fn a_folder_with_shards_is_not_overwritten() {
    let world = World::new().with("a.jsonl", jsonl(&texts(30, 1)));
    world.run("out").unwrap();
    assert!(matches!(world.run("out"), Err(CorpusError::Output { .. })));
    let mut job = world.job("out");
    job.resume = true;
    let again = tokenize(&job, &()).unwrap();
    assert_eq!(again.resumed_tokens, again.manifest.train.tokens + again.manifest.held_out.tokens);
    job.field = "other".into();
    assert!(matches!(tokenize(&job, &()), Err(CorpusError::Output { detail, .. }) if detail.contains("field")));
}

#[test]
fn the_format_can_be_said_where_the_name_does_not_tell() {
    let world = World::new().with("data.bin", jsonl(&texts(3, 1)));
    assert!(matches!(find(&world.names, None, None), Err(CorpusError::Setting { .. })));
    for (format, wanted) in [(Format::Jsonl, 3), (Format::Text, 1)] {
        let sources = find(&world.names, Some(format), None).unwrap().sources;
        assert_eq!(sources[0].format, format);
        let world = World::new().with("a.jsonl", "{}");
        let mut job = world.job("out");
        job.sources = sources;
        let manifest = tokenize(&job, &()).unwrap().manifest;
        assert_eq!(manifest.train.documents + manifest.held_out.documents, wanted);
    }
}
