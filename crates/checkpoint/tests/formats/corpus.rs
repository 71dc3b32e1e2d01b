//! The kept corpus of the fuzz targets: what is called valid is read, what is called hostile refused.

use std::fs;

use gptneo_checkpoint::Format;
use gptneo_checkpoint::torch::state_dict;

use crate::support::{read, repository};

fn check(target: &str, accepts: impl Fn(&[u8]) -> bool) {
    let folder = repository().join("fuzz/corpus").join(target);
    let (mut valid, mut hostile) = (0, 0);
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let accepted = accepts(&fs::read(&path).unwrap());
        if name.starts_with("valid-") {
            assert!(accepted, "refused {target}/{name}");
            valid += 1;
        } else if name.starts_with("hostile-") {
            assert!(!accepted, "accepted {target}/{name}");
            hostile += 1;
        }
    }
    assert!(valid >= 5 && hostile >= 5, "{valid} valid and {hostile} hostile seeds in {}", folder.display());
}

#[test]
fn safetensors() {
    check("safetensors", |bytes| read(Format::Safetensors, bytes).is_ok());
}

#[test]
fn gguf() {
    check("gguf", |bytes| read(Format::Gguf, bytes).is_ok());
}

#[test]
fn pickle() {
    check("pickle", |bytes| match bytes {
        [b'P', b'K', ..] => read(Format::Torch, bytes).is_ok(),
        _ => state_dict(bytes).is_ok(),
    });
}
