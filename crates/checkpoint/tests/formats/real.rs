//! Files that other programs wrote: the real checkpoint of the shared data, the fixtures that transformers
//! saved, and files of PyTorch and of the Python package gguf.

use std::fs;
use std::path::{Path, PathBuf};

use gptneo_checkpoint::{Checkpoint, Format, first_non_finite, gguf};
use gptneo_device::DType;

use crate::support::{read, refuses_every_truncation, repository, tinytalk};

#[test]
fn reads_a_trained_gpt_neo() {
    let Some(path) = tinytalk() else { return };
    let checkpoint = Checkpoint::open(&path).unwrap();
    assert_eq!(checkpoint.format(), Format::Safetensors);
    let wte = checkpoint.get("transformer.wte.weight").expect("the embedding");
    assert_eq!(wte.shape.len(), 2);
    for tensor in checkpoint.tensors() {
        let bytes = checkpoint.bytes(tensor).unwrap();
        assert_eq!(bytes.len(), tensor.byte_len(), "{}", tensor.name);
        assert_eq!(first_non_finite(tensor.dtype, &bytes), None, "{}", tensor.name);
    }
    agrees_with_the_reference(&path.join("model.safetensors"), &checkpoint);
}

fn agrees_with_the_reference(path: &Path, checkpoint: &Checkpoint) {
    let file = fs::read(path).unwrap();
    let reference = ::safetensors::SafeTensors::deserialize(&file).unwrap();
    assert_eq!(reference.len(), checkpoint.tensors().len());
    for (name, view) in reference.iter() {
        let tensor = checkpoint.get(name).unwrap();
        assert_eq!(view.shape(), tensor.shape, "{name}");
        assert_eq!(view.data(), &*checkpoint.bytes(tensor).unwrap(), "{name}");
    }
}

/// Every directory of fixtures that holds a checkpoint.
fn fixtures() -> Vec<PathBuf> {
    let golden = repository().join("fixtures/golden");
    let mut found: Vec<_> = fs::read_dir(&golden).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.join("config.json").exists());
    found.sort();
    assert!(!found.is_empty(), "no fixtures in {}", golden.display());
    found
}

#[test]
fn reads_every_fixture() {
    let mut formats = Vec::new();
    for path in fixtures() {
        let checkpoint = Checkpoint::open(&path).unwrap_or_else(|error| panic!("{error}"));
        assert!(!checkpoint.tensors().is_empty());
        for tensor in checkpoint.tensors() {
            let bytes = checkpoint.bytes(tensor).unwrap();
            assert_eq!(bytes.len(), tensor.byte_len(), "{}: {}", path.display(), tensor.name);
        }
        let single = path.join("model.safetensors");
        if single.exists() {
            agrees_with_the_reference(&single, &checkpoint);
        }
        formats.push(checkpoint.format());
    }
    assert!(formats.contains(&Format::Torch) && formats.contains(&Format::Safetensors));
}

/// Bytes of the values from zero to `len`.
fn count<const N: usize>(len: usize, value: impl Fn(i8) -> [u8; N]) -> Vec<u8> {
    (0..len as i8).flat_map(value).collect()
}

fn floats(values: &[i8]) -> Vec<u8> {
    values.iter().flat_map(|&x| f32::from(x).to_le_bytes()).collect()
}

#[test]
fn reads_what_torch_saves() {
    use DType::*;
    let wanted: [(&str, DType, &[usize], Vec<u8>); 16] = [
        ("matrix", F32, &[3, 4], floats(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])),
        ("transposed", F32, &[4, 3], floats(&[0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11])),
        ("column", F32, &[3, 2], floats(&[1, 2, 5, 6, 9, 10])),
        ("tail", F32, &[4], floats(&[8, 9, 10, 11])),
        ("scalar", F32, &[], (-1e9f32).to_le_bytes().to_vec()),
        ("empty", F32, &[0, 4], Vec::new()),
        ("parameter", F32, &[4], floats(&[0, 1, 2, 3])),
        ("half", F16, &[3], count(3, |x| half::f16::from(x).to_le_bytes())),
        ("bfloat", BF16, &[3], count(3, |x| half::bf16::from(x).to_le_bytes())),
        ("double", F64, &[3], count(3, |x| f64::from(x).to_le_bytes())),
        ("mask", Bool, &[1, 1, 3, 3], vec![1, 0, 0, 1, 1, 0, 1, 1, 1]),
        ("bytes", U8, &[3], vec![0, 1, 2]),
        ("i8", I8, &[3], count(3, |x| (-x).to_le_bytes())),
        ("i16", I16, &[3], count(3, |x| i16::from(-x).to_le_bytes())),
        ("i32", I32, &[3], count(3, |x| i32::from(-x).to_le_bytes())),
        ("i64", I64, &[3], count(3, |x| i64::from(-x).to_le_bytes())),
    ];
    for file in ["state.bin", "protocol_4.bin"] {
        let checkpoint = Checkpoint::open(&torch_save(file)).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(checkpoint.tensors().len(), wanted.len());
        for ((name, dtype, shape, bytes), tensor) in wanted.iter().zip(checkpoint.tensors()) {
            assert_eq!(
                (tensor.name.as_str(), tensor.dtype, tensor.shape.as_slice()),
                (*name, *dtype, *shape),
                "{file}"
            );
            assert_eq!(*checkpoint.bytes(tensor).unwrap(), bytes[..], "{name} of {file}");
        }
    }
}

#[test]
fn refuses_what_else_torch_saves() {
    let cases = [
        ("legacy.bin", "the PyTorch format before 1.6 cannot be read: load it in PyTorch and save its state dict"),
        ("script.bin", "found compression method 8: save the state dict alone"),
        ("module.bin", "the name `torch.nn.modules.linear.Linear`, which reading weights does not need"),
        ("expanded.bin", "tensor `x`: wanted every element at its own place"),
        ("sparse.bin", "the name `torch._utils._rebuild_sparse_tensor`"),
        ("complex.bin", "the name `torch.ComplexFloatStorage`"),
        ("training.bin", "tensor `epoch`: wanted a tensor, found an integer"),
    ];
    for (file, words) in cases {
        let message = Checkpoint::open(&torch_save(file)).unwrap_err().to_string();
        assert!(message.contains(words) && message.contains(file), "{message}");
    }
}

/// A file that `torch_save/make.py` made.
fn torch_save(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats/torch_save").join(file)
}

/// Real files cut at every byte: each shorter one is refused.
#[test]
fn refuses_every_truncation_of_a_torch_file() {
    let whole = fs::read(torch_save("state.bin")).unwrap();
    refuses_every_truncation(Format::Torch, &whole);
}

#[test]
fn reads_what_the_python_package_gguf_writes() {
    use DType::*;
    let wanted: [(&str, DType, &[usize]); 7] = [
        ("f32", F32, &[2, 3]),
        ("f16", F16, &[2, 3]),
        ("i64", I64, &[3]),
        ("vector", F32, &[5]),
        ("q8_0", Q8_0, &[2, 64]),
        ("q4_0", Q4_0, &[2, 64]),
        ("bf16", BF16, &[2, 64]),
    ];
    for (file, alignment) in [("plain.gguf", 32), ("aligned_64.gguf", 64)] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats/gguf_py").join(file);
        let checkpoint = Checkpoint::open(&path).unwrap_or_else(|error| panic!("{error}"));
        let seen: Vec<_> =
            checkpoint.tensors().iter().map(|t| (t.name.as_str(), t.dtype, t.shape.as_slice())).collect();
        assert_eq!(seen, wanted);
        assert!(checkpoint.tensors().iter().all(|t| t.offset() % alignment == 0));
        let bytes = |name: &str| checkpoint.bytes(checkpoint.get(name).unwrap()).unwrap();
        assert_eq!(*bytes("f32"), floats(&[0, 1, 2, 3, 4, 5]));
        assert_eq!(*bytes("f16"), count(6, |x| half::f16::from(x).to_le_bytes()));
        assert_eq!(*bytes("i64"), count(3, |x| i64::from(x).to_le_bytes()));
        // The first value of the first row is -1: as bf16 0xbf80, and in q8_0 the block's smallest level.
        assert_eq!(bytes("bf16")[..2], [0x80, 0xbf]);
        assert_eq!(bytes("q8_0")[2] as i8, -127);

        let metadata = checkpoint.gguf().unwrap();
        assert_eq!(metadata.str("general.architecture"), Some("gpt2"));
        assert_eq!(metadata.str("general.name"), Some("a name: é"));
        assert_eq!(metadata.u64("gpt2.block_count"), Some(2));
        assert_eq!(metadata.f64("gpt2.attention.layer_norm_epsilon"), Some(f64::from(1e-5f32)));
        assert_eq!((metadata.u64("k.u8"), metadata.i64("k.i8")), (Some(255), Some(-128)));
        assert_eq!((metadata.u64("k.u16"), metadata.i64("k.i16")), (Some(65_535), Some(-32_768)));
        assert_eq!((metadata.u64("k.u64"), metadata.i64("k.i64")), (Some(u64::MAX), Some(i64::MIN)));
        assert_eq!((metadata.i64("k.i32"), metadata.f64("k.f64")), (Some(i64::from(i32::MIN)), Some(0.1)));
        assert_eq!(metadata.bool("k.bool"), Some(true));
        assert_eq!(metadata.strings("tokenizer.ggml.tokens").unwrap(), ["a", "Ġthe", "\n", ""]);
        assert_eq!(metadata.i64s("tokenizer.ggml.token_type"), Some(vec![1, 1, 3, 6]));
        assert_eq!(metadata.get("k.floats"), Some(&vec![0.5f32, -0.5].into()));
        assert_eq!(metadata.get("k.bools"), Some(&vec![true, false].into()));
        refuses_every_truncation_of_the_header(&path, checkpoint.tensors()[0].offset());
    }
}

fn refuses_every_truncation_of_the_header(path: &Path, header_bytes: u64) {
    let whole = fs::read(path).unwrap();
    for len in 0..header_bytes as usize {
        assert!(read(Format::Gguf, &whole[..len]).is_err(), "accepted the first {len} bytes of {}", path.display());
    }
}

#[test]
fn writes_the_same_bytes_as_the_python_package_gguf() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["plain.gguf", "aligned_64.gguf"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats/gguf_py").join(file);
        let checkpoint = Checkpoint::open(&path).unwrap();
        let table: Vec<_> = checkpoint.tensors().iter().map(|t| (t.name.clone(), t.dtype, t.shape.clone())).collect();
        let copy = folder.path().join(file);
        let mut writer = gguf::Writer::create(&copy, checkpoint.gguf().unwrap(), &table).unwrap();
        for tensor in checkpoint.tensors() {
            writer.write(&checkpoint.bytes(tensor).unwrap()).unwrap();
        }
        writer.finish().unwrap();
        assert!(fs::read(&copy).unwrap() == fs::read(&path).unwrap(), "{file} differs");
    }
}
