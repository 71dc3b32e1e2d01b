//! What asks for too much is refused before it has it.

use std::io::Write;

use gptneo_eval::data::{DataError, Limits, Reading, read_rows};

use crate::support::{fixture, rows_of};

fn check(name: &str, bytes: &[u8], limits: &Limits, wanted: &str) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    let error = read_rows(&path, &Reading::default(), limits).unwrap_err();
    assert!(matches!(error, DataError::TooLarge { .. }), "{error:?}");
    let said = error.to_string();
    assert!(said.contains(wanted) && said.contains("raise that limit"), "{said}");
}

#[test]
fn each_limit_holds_for_text() {
    let all = Limits::default;
    let lines = b"{\"a\":\"xxxxxxxxxx\"}\n{\"a\":[[1,2,3]]}\n";
    check("a.jsonl", lines, &Limits { file_bytes: 20, ..all() }, "a file of more than 20 bytes (file_bytes)");
    check("a.jsonl", lines, &Limits { rows: 1, ..all() }, "line 2: more than 1 rows (rows)");
    check("a.jsonl", lines, &Limits { values: 6, ..all() }, "line 2: more than 6 values in its rows (values)");
    check(
        "a.jsonl",
        lines,
        &Limits { text_bytes: 9, ..all() },
        "line 1: a text of 10 bytes; 9 are allowed (text_bytes)",
    );
    check("a.jsonl", lines, &Limits { decoded_bytes: 11, ..all() }, "more than 11 bytes of text in its rows");
    check("a.jsonl", lines, &Limits { depth: 2, ..all() }, "line 2: lists and objects lie more than 2 deep");
    let deep = [b"{\"a\":".as_slice(), &b"[".repeat(100_000)].concat();
    check("a.jsonl", &deep, &all(), "lists and objects lie more than 32 deep");
    check("a.json", &b"[".repeat(100_000), &all(), "lists and objects lie more than 32 deep");
    check("a.csv", b"a\nxxxxxxxxxx\n", &Limits { text_bytes: 9, ..all() }, "line 2: a text of 10 bytes");
    check("a.txt", b"a\nb\nc\n", &Limits { rows: 2, ..all() }, "line 3: more than 2 rows");
}

#[test]
fn tables_as_wide_as_they_are_long_are_refused_quickly() {
    let wide = [b"a".as_slice(), &b",".repeat(1 << 20)].concat();
    let said = rows_of("a.csv", &wide, &Reading::default()).unwrap_err().to_string();
    assert!(said.contains("line 1: more than 100000 fields"), "{said}");
}

#[test]
fn bombs_do_not_go_off() {
    let limits = Limits { decoded_bytes: 1 << 20, ..Limits::default() };
    let zeros = vec![b' '; 64 << 20];
    let zst = zstd::encode_all(zeros.as_slice(), 3).unwrap();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&zeros).unwrap();
    let gz = encoder.finish().unwrap();
    for (name, bytes) in [("a.jsonl.zst", zst), ("a.csv.gz", gz)] {
        assert!(bytes.len() < 100_000, "{name} is no bomb");
        check(name, &bytes, &limits, "it unpacks to more than 1048576 bytes (decoded_bytes)");
    }
}

#[test]
fn each_limit_holds_for_tables() {
    let all = Limits::default;
    for name in ["kinds.parquet", "kinds_stream.arrow", "kinds_zstd.arrow", "kinds_zstd_v2.parquet"] {
        let bytes = std::fs::read(fixture(name)).unwrap();
        check(name, &bytes, &Limits { rows: 20, ..all() }, "row 21: more than 20 rows");
        check(name, &bytes, &Limits { values: 500, ..all() }, "more than 500 values");
        check(name, &bytes, &Limits { text_bytes: 299, ..all() }, "a text of 300 bytes");
        check(name, &bytes, &Limits { depth: 2, ..all() }, "more than 2 deep");
        check(name, &bytes, &Limits { decoded_bytes: 3_000, ..all() }, "more than 3000 bytes");
    }
}
