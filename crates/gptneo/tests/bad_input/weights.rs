//! Weights: truncated, lying, of other shapes, damaged. Each refusal names the file or the tensor.

use std::path::Path;

use serde_json::{Value, json};

use super::Table;
use super::runner::{Program, copy, golden};

pub(super) fn add(table: &mut Table) {
    bytes(table);
    headers(table);
    values(table);
    other_files(table);
}

fn run(dir: &Path) -> Program {
    Program::new(["run", "-n", "2", "--tokens", "1,2", "-m"]).arg(dir)
}

/// The safetensors file as header and data.
fn parts(dir: &Path) -> (Value, Vec<u8>) {
    let bytes = std::fs::read(dir.join("model.safetensors")).unwrap();
    let len = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    (serde_json::from_slice(&bytes[8..8 + len]).unwrap(), bytes[8 + len..].to_vec())
}

fn join(dir: &Path, header: &Value, data: &[u8]) {
    let header = header.to_string();
    let bytes = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat();
    std::fs::write(dir.join("model.safetensors"), bytes).unwrap();
}

/// Another file in the place of the weights.
fn bytes(table: &mut Table) {
    let mut with = |name: &str, change: &dyn Fn(Vec<u8>) -> Vec<u8>, says| {
        let dir = table.changed(&format!("bytes-{}", table.cases.len()), |dir| {
            let path = dir.join("model.safetensors");
            let changed = change(std::fs::read(&path).unwrap());
            std::fs::write(path, changed).unwrap();
        });
        table.add(format!("weights {name}"), run(&dir), 4, says);
    };
    let length = |n: u64| {
        move |mut b: Vec<u8>| {
            b[..8].copy_from_slice(&n.to_le_bytes());
            b
        }
    };
    with("empty", &|_| Vec::new(), "model.safetensors");
    with("seven bytes", &|b| b[..7].to_vec(), "model.safetensors");
    with("cut in the header", &|b| b[..100].to_vec(), "truncated");
    with("cut in the data", &|b| b[..b.len() - 1].to_vec(), "truncated");
    with("cut to half", &|b| b[..b.len() / 2].to_vec(), "truncated");
    with(
        "one byte more",
        &|mut b| {
            b.push(0);
            b
        },
        "model.safetensors",
    );
    with("header length 0", &length(0), "header length");
    with("header length 1", &length(1), "header length");
    with("header length 2^31", &length(1 << 31), "header length");
    with("header length 2^63", &length(1 << 63), "header length");
    with("header length 2^64-1", &length(u64::MAX), "header length");
    with(
        "noise",
        &|_| (0..5000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect(),
        "model.safetensors",
    );
    with(
        "text",
        &|_| b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n".to_vec(),
        "model.safetensors",
    );
    with("zeros", &|b| vec![0; b.len()], "header length");
}

/// A header that lies.
fn headers(table: &mut Table) {
    const TENSOR: &str = "transformer.h.1.ln_2.weight";
    let mut with = |name: &str, change: &dyn Fn(&mut Value), says| {
        let dir = table.changed(&format!("header-{}", table.cases.len()), |dir| {
            let (mut header, data) = parts(dir);
            change(&mut header);
            join(dir, &header, &data);
        });
        table.add(format!("header {name}"), run(&dir), 4, says);
    };
    with("shape too long", &|h| h[TENSOR]["shape"] = json!([33]), TENSOR);
    with("shape overflows", &|h| h[TENSOR]["shape"] = json!([u64::MAX, u64::MAX]), TENSOR);
    with("shape negative", &|h| h[TENSOR]["shape"] = json!([-32]), "header");
    with("rank 0", &|h| h[TENSOR]["shape"] = json!([]), TENSOR);
    with(
        "offsets beyond the file",
        &|h| h[TENSOR]["data_offsets"] = json!([1_u64 << 40, (1_u64 << 40) + 128]),
        "where the one before ends",
    );
    with(
        "offsets 2^64-1",
        &|h| h[TENSOR]["data_offsets"] = json!([u64::MAX - 128, u64::MAX]),
        "where the one before ends",
    );
    with("offsets reversed", &|h| h[TENSOR]["data_offsets"] = json!([128, 0]), TENSOR);
    with("offsets overlap", &|h| h[TENSOR]["data_offsets"] = json!([0, 128]), "tensor");
    with("offsets missing", &|h| h[TENSOR] = json!({"dtype": "F32", "shape": [32]}), "header");
    with("type unknown", &|h| h[TENSOR]["dtype"] = json!("F7"), "F7");
    with("type of another size", &|h| h[TENSOR]["dtype"] = json!("F16"), TENSOR);
    with("type holds no weights", &|h| h[TENSOR]["dtype"] = json!("I32"), "i32");
    with("entry is a number", &|h| h[TENSOR] = json!(7), "header");
    with("metadata is a list", &|h| h["__metadata__"] = json!([1, 2]), "header");
    let rename = |h: &mut Value, to: &str| {
        let entry = h.as_object_mut().unwrap().remove(TENSOR).unwrap();
        h[to] = entry;
    };
    with("tensor renamed", &move |h| rename(h, "transformer.h.1.ln_3.weight"), "transformer.h.1.ln_3.weight");
    with(
        "tensor of a layer too many",
        &move |h| rename(h, "transformer.h.9.ln_2.weight"),
        "transformer.h.9.ln_2.weight",
    );
    with(
        "layer number overflows",
        &move |h| rename(h, "transformer.h.99999999999999999999.ln_2.weight"),
        "ln_2.weight",
    );
    with("tensor repeated without prefix", &move |h| rename(h, "h.0.ln_2.weight"), "are the same part of the model");
    let dropped = table.changed("tensor-missing", |dir| {
        let (mut header, data) = parts(dir);
        // The last one in the data, so that what is left is sound.
        let all = header.as_object_mut().unwrap();
        let end = |v: &Value| v["data_offsets"][1].as_u64().unwrap_or(0);
        let last = all.iter().max_by_key(|(_, v)| end(v)).map(|(k, _)| k.clone()).unwrap();
        let start = all.remove(&last).unwrap()["data_offsets"][0].as_u64().unwrap() as usize;
        join(dir, &header, &data[..start]);
    });
    table.add("tensor missing", run(&dropped), 4, "is missing from the checkpoint");
}

/// Values that no training leaves.
fn values(table: &mut Table) {
    for (name, value) in [("NaN", f32::NAN), ("infinity", f32::INFINITY), ("minus infinity", f32::NEG_INFINITY)] {
        for tensor in ["transformer.h.0.attn.attention.q_proj.weight", "transformer.ln_f.bias"] {
            let dir = table.changed(&format!("values-{}", table.cases.len()), |dir| {
                let (header, mut data) = parts(dir);
                let at = header[tensor]["data_offsets"][0].as_u64().unwrap() as usize + 20;
                data[at..at + 4].copy_from_slice(&value.to_le_bytes());
                join(dir, &header, &data);
            });
            table.add(format!("{name} in {tensor}"), run(&dir), 4, "not finite at index 5");
        }
    }
}

/// Other formats and other files.
fn other_files(table: &mut Table) {
    let none = table.changed("weights-missing", |dir| std::fs::remove_file(dir.join("model.safetensors")).unwrap());
    table.add("weights missing", run(&none), 4, "no checkpoint here");
    let folder = table.changed("weights-folder", |dir| {
        std::fs::remove_file(dir.join("model.safetensors")).unwrap();
        std::fs::create_dir(dir.join("model.safetensors")).unwrap();
    });
    table.add("weights are a directory", run(&folder), 4, "model.safetensors");

    let mut shard = |name: &str, change: &dyn Fn(&Path), says| {
        let dir = table.path(&format!("shards-{}", table.cases.len()));
        copy(&golden("gpt_neo_sharded"), &dir);
        change(&dir);
        table.add(format!("shards {name}"), run(&dir), 4, says);
    };
    let index = |dir: &Path, text: &str| std::fs::write(dir.join("model.safetensors.index.json"), text).unwrap();
    shard(
        "one cut",
        &|d| std::fs::write(d.join("model-00002-of-00004.safetensors"), b"x").unwrap(),
        "model-00002-of-00004",
    );
    shard("index empty", &|d| index(d, ""), "index");
    shard("index without files", &|d| index(d, "{\"weight_map\": {}}"), "at least one tensor");
    shard(
        "index leaves the folder",
        &|d| index(d, "{\"weight_map\": {\"a\": \"../../etc/passwd\"}}"),
        "plain name of a file",
    );
    shard(
        "index names an absolute path",
        &|d| index(d, "{\"weight_map\": {\"a\": \"/etc/passwd\"}}"),
        "plain name of a file",
    );
    let absent = table.path("shards-absent");
    copy(&golden("gpt_neo_sharded"), &absent);
    std::fs::remove_file(absent.join("model-00003-of-00004.safetensors")).unwrap();
    table.add("shard missing", run(&absent), 3, "model-00003-of-00004.safetensors");

    let mut pickle = |name: &str, bytes: &dyn Fn(Vec<u8>) -> Vec<u8>, says| {
        let dir = table.path(&format!("pickle-{}", table.cases.len()));
        copy(&golden("gpt2_bin"), &dir);
        let path = dir.join("pytorch_model.bin");
        let changed = bytes(std::fs::read(&path).unwrap());
        std::fs::write(path, changed).unwrap();
        table.add(format!("pickle {name}"), run(&dir), 4, says);
    };
    pickle("empty", &|_| Vec::new(), "pytorch_model.bin");
    pickle("cut", &|b| b[..b.len() / 2].to_vec(), "pytorch_model.bin");
    pickle("without its end", &|b| b[..b.len() - 22].to_vec(), "pytorch_model.bin");
    // A pickle that would call os.system, bare as torch wrote before zip files.
    pickle("bare, with a call", &|_| b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00id\x85R.".to_vec(), "pytorch_model.bin");
    // The same call in the place of an allowed one.
    let call = |mut b: Vec<u8>| {
        let name = b"collections\nOrderedDict";
        let at = b.windows(name.len()).position(|w| w == name).unwrap();
        b[at..at + name.len()].copy_from_slice(b"subprocess\nPopenXXXXXXX");
        b
    };
    pickle("with a call", &call, "pytorch_model.bin");
}
