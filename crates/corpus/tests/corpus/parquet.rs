//! Columns of strings: several groups of rows, values that are missing, every compression we say we read.

use std::sync::Arc;

use gptneo_corpus::{CorpusError, tokenize};
use gptneo_text::shards::Split;
use parquet::basic::{Compression, GzipLevel, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::world::{Noise, World, bytes_of, documents, texts};

const SCHEMA: &str = "message row {
    required int64 n;
    optional binary text (UTF8);
    required group more { required binary body (UTF8); repeated binary tags (UTF8); }
}";

/// A table in groups of so many rows; a `None` is a missing value. `more.body` has the same, or `-`.
fn table(rows: &[Option<String>], group: usize, compression: Compression) -> Vec<u8> {
    let properties = WriterProperties::builder().set_compression(compression).set_data_page_row_count_limit(40).build();
    let schema = Arc::new(parse_message_type(SCHEMA).unwrap());
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties)).unwrap();
    for rows in rows.chunks(group) {
        let mut out = writer.next_row_group().unwrap();
        let bytes = |text: &str| ByteArray::from(text.as_bytes().to_vec());
        let numbers: Vec<i64> = (0..rows.len() as i64).collect();
        let there: Vec<ByteArray> = rows.iter().flatten().map(|text| bytes(text)).collect();
        let levels: Vec<i16> = rows.iter().map(|row| i16::from(row.is_some())).collect();
        let bodies: Vec<ByteArray> = rows.iter().map(|row| bytes(row.as_deref().unwrap_or("-"))).collect();
        let mut column = out.next_column().unwrap().unwrap();
        column.typed::<Int64Type>().write_batch(&numbers, None, None).unwrap();
        column.close().unwrap();
        let mut column = out.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&there, Some(&levels), None).unwrap();
        column.close().unwrap();
        let mut column = out.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&bodies, None, None).unwrap();
        column.close().unwrap();
        let mut column = out.next_column().unwrap().unwrap();
        let none = vec![0; rows.len()];
        column.typed::<ByteArrayType>().write_batch(&[], Some(&none), Some(&none)).unwrap();
        column.close().unwrap();
        out.close().unwrap();
    }
    writer.into_inner().unwrap()
}

fn rows() -> Vec<Option<String>> {
    texts(500, 1).into_iter().enumerate().map(|(at, text)| (at % 7 != 3).then_some(text)).collect()
}

#[test]
fn every_row_comes_out_under_every_compression() {
    let rows = rows();
    let gzip = Compression::GZIP(GzipLevel::default());
    let zstd = Compression::ZSTD(ZstdLevel::default());
    for (at, compression) in [Compression::UNCOMPRESSED, Compression::SNAPPY, zstd, gzip].into_iter().enumerate() {
        let world = World::new().with("a.parquet", table(&rows, 130, compression));
        let report = world.run("out").unwrap();
        let missing = rows.iter().filter(|row| row.is_none()).count() as u64;
        assert_eq!(report.manifest.skipped.no_text, missing, "{at}");
        let mut found = documents(&world.output("out"), Split::Train);
        found.extend(documents(&world.output("out"), Split::HeldOut));
        found.sort();
        let named =
            |(at, row): (usize, &Option<String>)| row.clone().map(|text| (format!("a.parquet:{}", at + 1), text));
        let mut wanted: Vec<_> = rows.iter().enumerate().filter_map(named).collect();
        wanted.sort();
        assert_eq!(found, wanted, "{compression:?}");
    }
}

#[test]
fn a_column_within_a_group_is_named_with_a_dot() {
    let world = World::new().with("a.parquet", table(&rows(), 500, Compression::SNAPPY));
    let mut job = world.job("out");
    job.field = "more.body".into();
    let manifest = tokenize(&job, &()).unwrap().manifest;
    assert_eq!(manifest.train.documents + manifest.held_out.documents, 500);
}

#[test]
fn columns_without_strings_are_refused_with_their_names() {
    let world = World::new().with("a.parquet", table(&rows(), 500, Compression::SNAPPY));
    for (field, word) in [("body", "more.body"), ("n", "no strings"), ("more.tags", "lists")] {
        let mut job = world.job("out");
        job.field = field.into();
        let found = tokenize(&job, &());
        assert!(matches!(&found, Err(CorpusError::Source { detail, .. }) if detail.contains(word)), "{found:?}");
    }
}

#[test]
fn a_run_over_tables_can_be_resumed() {
    use std::sync::atomic::{AtomicBool, Ordering};
    struct Stop(Arc<AtomicBool>);
    impl gptneo_corpus::Watch for Stop {
        fn resumed(&self, _: &gptneo_corpus::Status) {}
        fn at(&self, _: &gptneo_corpus::Status) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let rows: Vec<Option<String>> = (0..16).flat_map(|_| rows()).collect();
    let world = World::new().with("a.parquet", table(&rows, 300, Compression::SNAPPY));
    let mut job = world.job("whole");
    (job.shard_tokens, job.workers) = (50_000, 1);
    tokenize(&job, &()).unwrap();
    job.output = world.output("cut");
    let mut stops = 0;
    loop {
        let cancel = Arc::new(AtomicBool::new(false));
        job.cancel = Some(Arc::clone(&cancel));
        match tokenize(&job, &Stop(cancel)) {
            Ok(_) => break,
            Err(CorpusError::Cancelled) => stops += 1,
            Err(other) => panic!("{other}"),
        }
        job.resume = true;
    }
    assert!(stops > 1, "{stops}");
    assert!(bytes_of(&job.output) == bytes_of(&world.output("whole")));
}

#[test]
fn damage_is_an_error_and_not_a_panic() {
    let whole = table(&rows(), 130, Compression::SNAPPY);
    let mut noise = Noise(5);
    for round in 0..200 {
        let mut bytes = whole.clone();
        // The footer, which says where everything lies, or anywhere.
        let last = bytes.len() as u64;
        let from = if round % 2 == 0 { last - 1200 } else { 0 };
        for _ in 0..1 + noise.below(3) {
            let at = (from + noise.below(last - from)) as usize;
            bytes[at] ^= 1 << noise.below(8);
        }
        let world = World::new().with("a.parquet", bytes);
        let mut job = world.job("out");
        // One shard: to flush many to the disk takes longer than all the rest.
        job.shard_tokens = 1_000_000;
        match tokenize(&job, &()) {
            Ok(_) | Err(CorpusError::Source { .. } | CorpusError::NoDocuments { .. }) => {}
            Err(other) => panic!("round {round}: {other:?}"),
        }
    }
}
