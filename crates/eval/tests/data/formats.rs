//! Formats by name and by option.

use std::fs;
use std::io::Write;
use std::path::Path;

use gptneo_eval::data::{DataError, Format, Limits, Reading, read_rows};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{as_json, rows_of};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn check(name: &str, text: &str, how: &Reading, wanted: Value) {
    let zst = zstd::encode_all(text.as_bytes(), 1).unwrap();
    for (ending, bytes) in [("", text.as_bytes()), (".gz", &gzip(text.as_bytes())), (".zst", &zst)] {
        let found = rows_of(&format!("{name}{ending}"), bytes, how).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(as_json(found), wanted, "{name}{ending}");
    }
}

fn refused(name: &str, text: &str, how: &Reading, wanted: &str) {
    let said = rows_of(name, text.as_bytes(), how).unwrap_err().to_string();
    assert!(said.contains(wanted), "{said}");
}

#[test]
fn lines_of_json() {
    let plain = Reading::default();
    check(
        "a.jsonl",
        "\u{feff}{\"a\":1}\r\n\n {\"a\":0.1}\n{\"a\":[null,true]}",
        &plain,
        json!([{"a":1},{"a":0.1},{"a":[null,true]}]),
    );
    check("a.ndjson", "", &plain, json!([]));
    refused("a.jsonl", "{}\n\n[1]\n", &plain, "line 3: this is a list, not an object");
    refused("a.jsonl", "{}\n{\"a\":\n", &plain, "line 2: no JSON: EOF while parsing a value");
    refused("a.jsonl", "{} {}\n", &plain, "line 1: no JSON: trailing characters (column 4)");
    refused("a.jsonl", "{\"a\":NaN}\n", &plain, "line 1: no JSON");
}

#[test]
fn floats_are_those_of_python() {
    // Numbers that quick parsers miss by the last bit.
    for number in ["5.465313394948064", "0.4137156509024372", "1.7976931348623157e308", "2.2250738585072011e-308"] {
        let rows = rows_of("a.jsonl", format!("{{\"a\":{number}}}").as_bytes(), &Reading::default()).unwrap();
        assert_eq!(rows[0]["a"].as_f64().unwrap(), number.parse::<f64>().unwrap(), "{number}");
    }
}

#[test]
fn json_in_its_forms() {
    let plain = Reading::default();
    check("a.json", "[{\"a\":1}, {\"b\":\"x\"}, 3]", &plain, json!([{"a":1},{"b":"x"},{"_value":3}]));
    check("a.json", "{\"17\":{\"a\":1},\"5\":{}}", &plain, json!([{"_key":"17","a":1},{"_key":"5"}]));
    check("a.json", "{\"x\":\"yes\"}", &plain, json!([{"_key":"x","_value":"yes"}]));
    check("a.json", "{\"a\":1}\n{\"a\":2}\n", &plain, json!([{"a":1},{"a":2}]));
    let at = Reading { at: Some("data.intrasentence".to_owned()), ..plain.clone() };
    check("a.json", "{\"data\":{\"intrasentence\":[{\"a\":1}],\"x\":[]}}", &at, json!([{"a":1}]));
    refused("a.json", "{\"data\":{\"b\":1}}", &at, "`at` wants a field \"intrasentence\"; there are b");
    refused(
        "a.json",
        "{\"data\":[1]}",
        &at,
        "invalid type: sequence, expected an object with the field \"intrasentence\" (`at`)",
    );
    let key = Reading { key: Some("pmid".to_owned()), ..plain.clone() };
    check("a.json", "{\"17\":{\"a\":1}}", &key, json!([{"pmid":"17","a":1}]));
    refused("a.json", "{\"17\":{\"pmid\":1}}", &key, "row 1: it has a field \"pmid\" of its own");
    refused("a.json", "[{}] x", &plain, "line 1: no JSON: trailing characters");
    refused("a.json", "\n\n[{]", &plain, "line 3: no JSON");
    check("a.json", "{\"z\":{},\"a\":{}}", &plain, json!([{"_key":"z"},{"_key":"a"}]));
    refused("a.json", "3", &plain, "expected a list or an object of rows");
}

#[test]
fn objects_of_json_keep_their_order_where_the_map_does() {
    let rows = rows_of("a.jsonl", b"{\"b\":1,\"a\":2}", &Reading::default()).unwrap();
    let straight: Value = serde_json::from_str("{\"b\":1,\"a\":2}").unwrap();
    assert!(rows[0].keys().eq(straight.as_object().unwrap().keys()));
}

#[test]
fn tables_of_text() {
    let plain = Reading::default();
    check("a.csv", "a,b\n1,\"x,\ny\"\n", &plain, json!([{"a":"1","b":"x,\ny"}]));
    check("a.tsv", "a\tb\n\"1\t2\"\t3\n", &plain, json!([{"a":"1\t2","b":"3"}]));
    let cola = Reading {
        columns: Some(["source", "label", "mark", "sentence"].map(str::to_owned).to_vec()),
        unquoted: true,
        integers: vec!["label".to_owned()],
        ..plain.clone()
    };
    check(
        "a.tsv",
        "gj04\t1\t\t\"Well,\" he said.\ngj04\t0\t*\tHe \"said.\n",
        &cola,
        json!([
            {"source":"gj04","label":1,"mark":"","sentence":"\"Well,\" he said."},
            {"source":"gj04","label":0,"mark":"*","sentence":"He \"said."},
        ]),
    );
    refused("a.tsv", "gj04\tx\t\tWell.\n", &cola, "line 1: column \"label\": \"x\" is no whole number");
    let none = Reading { integers: vec!["c".to_owned()], ..plain };
    refused("a.csv", "a,b\n1,2\n", &none, "`integers` names a column \"c\"; there are a, b");
}

#[test]
fn lines_of_text() {
    let plain = Reading::default();
    check(
        "a.txt",
        "one\r\n\n three \nfour",
        &plain,
        json!([{"text":"one"},{"text":""},{"text":" three "},{"text":"four"}]),
    );
    let label = Reading {
        format: Some(Format::Text),
        columns: Some(vec!["label".to_owned()]),
        integers: vec!["label".to_owned()],
        ..plain
    };
    check("labels.lst", "1\n0\n", &label, json!([{"label":1},{"label":0}]));
}

#[test]
fn options_that_would_be_ignored_are_mistakes() {
    let at = Reading { at: Some("data".to_owned()), ..Reading::default() };
    refused("a.csv", "a\n", &at, "the option `at` goes with json");
    let integers = Reading { integers: vec!["a".to_owned()], ..Reading::default() };
    refused("a.parquet", "", &integers, "the option `integers` goes with csv");
    refused("a.bin", "", &Reading::default(), "its name does not tell its format");
    let two = Reading { columns: Some(vec!["a".to_owned(), "b".to_owned()]), ..Reading::default() };
    refused("a.txt", "x", &two, "a line of text is one field");
}

#[test]
fn the_hash_is_that_of_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.jsonl.gz");
    let bytes = gzip(b"{\"a\":1}\n");
    fs::write(&path, &bytes).unwrap();
    let read = read_rows(&path, &Reading::default(), &Limits::default()).unwrap();
    let wanted: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!((read.sha256, read.bytes), (wanted, bytes.len() as u64));
    let none = read_rows(Path::new("/no/such.jsonl"), &Reading::default(), &Limits::default());
    assert!(matches!(none, Err(DataError::Read { .. })));
}
