//! Broken files give errors in words: cut anywhere, with bits turned, with bytes exchanged, with lengths that lie.

use std::fs;
use std::path::Path;

use gptneo_eval::data::{DataError, Limits, Reading, read_rows};

use crate::support::fixture;

/// Every table, small enough to be broken thousands of times.
const TABLES: [&str; 13] = [
    "kinds.parquet",
    "kinds_gzip.parquet",
    "kinds_zstd_v2.parquet",
    "kinds_plain_v2.parquet",
    "kinds_pages.parquet",
    "kinds_pages_v2.parquet",
    "kinds_old_lists.parquet",
    "kinds_delta.parquet",
    "kinds_stream.arrow",
    "kinds_zstd.arrow",
    "kinds_file.arrow",
    "words_delta.arrow",
    "words_replaced.arrow",
];

/// Numbers without a pattern.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

/// Small, so that a lie is refused quickly.
fn limits() -> Limits {
    Limits { decoded_bytes: 8 << 20, rows: 10_000, values: 300_000, text_bytes: 1 << 20, ..Limits::default() }
}

/// Reads bytes as a file; an error has to name it.
fn read(path: &Path, bytes: &[u8]) -> Result<usize, DataError> {
    fs::write(path, bytes).unwrap();
    let read = read_rows(path, &Reading::default(), &limits());
    if let Err(error) = &read {
        assert!(error.to_string().contains(path.file_name().unwrap().to_str().unwrap()), "{error}");
    }
    read.map(|read| read.rows.len())
}

/// What holds a table, and a place to break copies of it.
fn each_table(mut with: impl FnMut(&str, &[u8], &Path)) {
    let dir = tempfile::tempdir().unwrap();
    for name in TABLES {
        with(name, &fs::read(fixture(name)).unwrap(), &dir.path().join(name));
    }
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    each_table(|name, whole, path| {
        read(path, whole).unwrap();
        let step = whole.len() / 60 + 1;
        let ends = (0..whole.len()).step_by(step).chain(whole.len().saturating_sub(40)..whole.len());
        for end in ends {
            assert!(read(path, &whole[..end]).is_err(), "{name} cut to {end} of {} bytes was read", whole.len());
        }
    });
}

#[test]
fn turned_bits_never_panic() {
    let mut noise = Noise(1);
    each_table(|_, whole, path| {
        let mut refused = 0;
        for _ in 0..150 {
            let mut bytes = whole.to_vec();
            for _ in 0..=noise.below(4) {
                let at = noise.below(bytes.len());
                bytes[at] ^= 1 << noise.below(8);
            }
            refused += usize::from(read(path, &bytes).is_err());
        }
        // A bit within a text makes another text; one in a description does not.
        assert!(refused > 0);
    });
}

#[test]
fn lying_lengths_never_panic() {
    let mut noise = Noise(2);
    let lies = [0, 1, 0x7f, 0xff, 0xffff, 0x7fff_ffff, 0xffff_ffff, u64::MAX >> 1, u64::MAX];
    each_table(|_, whole, path| {
        for _ in 0..200 {
            let mut bytes = whole.to_vec();
            let lie = lies[noise.below(lies.len())].to_le_bytes();
            let length = [1, 2, 4, 8][noise.below(4)];
            // Descriptions stand at both ends.
            let at = match noise.below(3) {
                0 => noise.below(bytes.len()),
                1 => noise.below(bytes.len().min(4_000)),
                _ => bytes.len() - 1 - noise.below(bytes.len().min(9_000)),
            };
            let end = (at + length).min(bytes.len());
            bytes[at..end].copy_from_slice(&lie[..end - at]);
            drop(read(path, &bytes));
        }
    });
}

#[test]
fn exchanged_parts_never_panic() {
    let mut noise = Noise(3);
    each_table(|_, whole, path| {
        for _ in 0..60 {
            let mut bytes = whole.to_vec();
            let length = 1 + noise.below(bytes.len() / 4);
            let (from, to) = (noise.below(bytes.len() - length), noise.below(bytes.len() - length));
            bytes.copy_within(from..from + length, to);
            drop(read(path, &bytes));
            let cut = whole.len() - length;
            drop(read(path, &[&whole[..from.min(cut)], &whole[(from + length).min(whole.len())..]].concat()));
        }
    });
}

#[test]
fn random_bytes_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut noise = Noise(4);
    for name in ["a.parquet", "a.arrow", "a.jsonl", "a.json", "a.csv", "a.tsv", "a.txt", "a.jsonl.gz", "a.csv.zst"] {
        let path = dir.path().join(name);
        for length in 1..200 {
            let mut bytes: Vec<u8> = (0..length).map(|_| noise.next() as u8).collect();
            // Not UTF-8, whatever the rest is.
            bytes.push(0xff);
            assert!(read(&path, &bytes).is_err(), "{name} of {length} random bytes was read");
            let as_parquet = [b"PAR1", bytes.as_slice(), &(length as u32).to_le_bytes(), b"PAR1"].concat();
            assert!(read(&path, &as_parquet).is_err());
            assert!(read(&path, &[b"ARROW1\0\0", bytes.as_slice(), b"ARROW1"].concat()).is_err());
            assert!(read(&path, &[&[0xff; 4], &(length as u32).to_le_bytes()[..], bytes.as_slice()].concat()).is_err());
        }
    }
}

#[test]
fn descriptions_as_deep_as_the_file_is_long_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    // A structure within a structure, and so on.
    let deep = vec![0x1c; 1 << 20];
    let footer = [b"PAR1", deep.as_slice(), &(deep.len() as u32).to_le_bytes(), b"PAR1"].concat();
    assert!(read(&dir.path().join("a.parquet"), &footer).is_err());
    // A schema of 65,536 groups with one part each: `name`, `num_children`.
    let element = [0x48, 1, b'a', 0x15, 2, 0];
    let mut schema = vec![0x29, 0xfc, 0x80, 0x80, 0x04];
    schema.extend(element.repeat(65_536));
    schema.push(0);
    let footer = [b"PAR1", schema.as_slice(), &(schema.len() as u32).to_le_bytes(), b"PAR1"].concat();
    let said = read(&dir.path().join("b.parquet"), &footer).unwrap_err().to_string();
    assert!(said.contains("its columns lie more than 64 deep"), "{said:.200}");
}

#[test]
fn text_cut_anywhere_never_panics() {
    let dir = tempfile::tempdir().unwrap();
    let csv = "a,b\n\"ünïcödé, ✓\",2\n3,\"4\"\"5\"\n".as_bytes();
    let json = "{\"ü\":[1,\"\\ud83e\\udd80\",{\"b\":null}],\"c\":-1.5e3}\n{\"c\":true}".as_bytes();
    for (name, bytes) in [("a.csv", csv), ("a.tsv", csv), ("a.txt", csv), ("a.jsonl", json), ("a.json", json)] {
        for end in 0..bytes.len() {
            drop(read(&dir.path().join(name), &bytes[..end]));
        }
    }
}
