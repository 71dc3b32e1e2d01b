//! Tables that pyarrow wrote read back as the rows it wrote.

use std::fs;

use gptneo_eval::data::DataError;
use serde_json::Value;

use crate::support::{as_json, fixture, rows};

fn expected(name: &str) -> Value {
    serde_json::from_slice(&fs::read(fixture(name)).unwrap()).unwrap()
}

fn check(file: &str, wanted: &Value) {
    let found = as_json(rows(&fixture(file)).unwrap_or_else(|error| panic!("{error}")));
    let (found, wanted) = (found.as_array().unwrap(), wanted.as_array().unwrap());
    assert_eq!(found.len(), wanted.len(), "{file}");
    for (at, (found, wanted)) in found.iter().zip(wanted).enumerate() {
        let (found, wanted) = (found.as_object().unwrap(), wanted.as_object().unwrap());
        for (name, value) in wanted {
            assert_eq!(found.get(name), Some(value), "{file}, row {at}, {name}");
        }
        assert_eq!(found.len(), wanted.len(), "{file}, row {at}");
    }
}

#[test]
fn parquet_of_every_kind_reads_back() {
    let wanted = expected("kinds.json");
    for name in ["", "_gzip", "_zstd_v2", "_plain_v2", "_pages", "_pages_v2", "_old_lists", "_delta"] {
        check(&format!("kinds{name}.parquet"), &wanted);
    }
}

#[test]
fn arrow_of_every_kind_reads_back() {
    let wanted = expected("kinds.json");
    for name in ["stream", "zstd", "file"] {
        check(&format!("kinds_{name}.arrow"), &wanted);
    }
}

#[test]
fn dictionaries_grow_and_are_replaced() {
    let wanted = expected("words.json");
    check("words_delta.arrow", &wanted);
    check("words_replaced.arrow", &wanted);
}

#[test]
fn a_hard_csv_is_what_python_makes_of_it() {
    check("hard.csv", &expected("hard.json"));
}

#[test]
fn what_is_not_read_is_refused_with_its_name() {
    for (file, wanted) in [
        ("brotli.parquet", "its pages are compressed with Brotli"),
        ("lz4.arrow", "its buffers are compressed with LZ4"),
        ("decimals.parquet", "column \"number\": it holds decimals"),
        ("decimals.arrow", "column \"number\": it holds decimals"),
        ("bytes.parquet", "row 1: column \"bytes\": it holds bytes that are not UTF-8 text"),
        ("bytes.arrow", "row 1: column \"bytes\": it holds bytes that are not UTF-8 text"),
        ("times.parquet", "column \"time\": it holds times of day"),
        ("times.arrow", "column \"time\": it holds times of day"),
        ("views.arrow", "column \"text\": it holds views of texts"),
    ] {
        let error = rows(&fixture("refused").join(file)).unwrap_err();
        assert!(matches!(error, DataError::Unsupported { .. }), "{error:?}");
        let said = error.to_string();
        assert!(said.contains(wanted) && said.contains(file) && said.contains("save it as jsonl"), "{said}");
    }
}
