//! GGUF files that are valid.

use std::io::Cursor;
use std::path::Path;

use gptneo_checkpoint::gguf::{self, Value};
use gptneo_checkpoint::{Checkpoint, Format};
use gptneo_device::{Bytes, DType};

use crate::support::gguf::{File, small};
use crate::support::read;

#[test]
fn reads_both_versions() {
    for version in [2, 3] {
        let (metadata, tensors) = gguf::read(Cursor::new(small(version))).unwrap();
        assert_eq!(metadata.str("general.architecture"), Some("gpt2"));
        assert_eq!(metadata.u64("gpt2.block_count"), Some(12));
        assert_eq!(metadata.f64("gpt2.epsilon"), Some(f64::from(1e-5f32)));
        assert_eq!(metadata.bool("a.bool"), Some(true));
        assert_eq!(metadata.strings("tokens"), Some(&["a".to_owned(), "bc".to_owned()][..]));
        assert_eq!(metadata.i64s("types"), Some(vec![1, -1]));
        let seen: Vec<_> =
            tensors.iter().map(|t| (t.name.as_str(), t.dtype, t.shape.as_slice(), t.byte_len())).collect();
        assert_eq!(seen, [("wte", DType::Q8_0, &[2, 32][..], 68), ("bias", DType::F32, &[3], 12)]);
        assert_eq!(tensors[1].offset() - tensors[0].offset(), 96);
        assert_eq!(tensors[0].offset() % 32, 0);
    }
}

#[test]
fn takes_padding_after_the_last_tensor_or_none() {
    let bare = small(3);
    for padding in 0..=20 {
        let mut file = bare.clone();
        file.resize(bare.len() + padding, 0);
        assert!(read(Format::Gguf, &file).is_ok(), "{padding}");
    }
}

#[test]
fn honours_the_alignment_key() {
    let mut file = File::new(3, 2, 1);
    file.key("general.alignment", 4, &8u32.to_le_bytes()).tensor("a", &[1], 0, 0).tensor("b", &[1], 0, 8);
    file.0.resize(file.0.len().next_multiple_of(8), 0);
    file.raw(&[0; 12]);
    assert_eq!(read(Format::Gguf, &file.0).unwrap()[1].offset() % 8, 0);
}

#[test]
fn reads_a_vocabulary_alone() {
    let mut file = File::new(3, 0, 1);
    file.key("a", 0, &[1]);
    assert!(read(Format::Gguf, &file.0).unwrap().is_empty());
    assert!(read(Format::Gguf, &file.data(&[])).unwrap().is_empty());
}

#[test]
fn reads_every_tensor_type() {
    let types = [
        (0, DType::F32),
        (1, DType::F16),
        (2, DType::Q4_0),
        (3, DType::Q4_1),
        (6, DType::Q5_0),
        (7, DType::Q5_1),
        (8, DType::Q8_0),
        (9, DType::Q8_1),
        (10, DType::Q2_K),
        (11, DType::Q3_K),
        (12, DType::Q4_K),
        (13, DType::Q5_K),
        (14, DType::Q6_K),
        (15, DType::Q8_K),
        (20, DType::IQ4_NL),
        (23, DType::IQ4_XS),
        (24, DType::I8),
        (25, DType::I16),
        (26, DType::I32),
        (27, DType::I64),
        (28, DType::F64),
        (30, DType::BF16),
        (34, DType::TQ1_0),
        (35, DType::TQ2_0),
        (39, DType::MXFP4),
    ];
    for (number, dtype) in types {
        let bytes = dtype.bytes_for(256 * 3).unwrap();
        let file = File::new(3, 1, 0).tensor("x", &[256, 3], number, 0).data(&vec![0; bytes]);
        let tensors = read(Format::Gguf, &file).unwrap();
        assert_eq!((tensors[0].dtype, tensors[0].shape.as_slice()), (dtype, &[3, 256][..]));
    }
    // Booleans and unsigned bytes have no number in the format.
    assert_eq!(types.len() + 2, DType::ALL.len());
}

#[test]
fn reads_lists_of_lists() {
    let mut file = File::new(3, 0, 1);
    let inner = b"\x00\0\0\0\x02\0\0\0\0\0\0\0\x05\x06";
    file.key("x", 9, &[b"\x09\0\0\0\x02\0\0\0\0\0\0\0".as_slice(), inner, inner].concat());
    let (metadata, _) = gguf::read(Cursor::new(file.0)).unwrap();
    let inner = gguf::Array::U8(vec![5, 6]);
    assert_eq!(metadata.get("x"), Some(&Value::Array(gguf::Array::Array(vec![inner.clone(), inner]))));
}

#[test]
fn is_opened_with_its_metadata() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.gguf");
    std::fs::write(&path, small(3)).unwrap();
    let checkpoint = Checkpoint::open(&path).unwrap();
    assert_eq!(checkpoint.format(), Format::Gguf);
    assert_eq!(checkpoint.gguf().unwrap().len(), 6);
    assert_eq!(checkpoint.file_bytes(), small(3).len() as u64);
    assert_eq!(*checkpoint.bytes(checkpoint.get("bias").unwrap()).unwrap(), [1; 12]);
}

#[test]
fn is_the_same_from_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("small.gguf");
    std::fs::write(&path, small(3)).unwrap();
    let file = Checkpoint::open(&path).unwrap();
    let memory = Checkpoint::embedded(Path::new("small"), Bytes::from(small(3))).unwrap();
    assert_eq!(memory.format(), Format::Gguf);
    assert_eq!(memory.tensors(), file.tensors());
    for tensor in file.tensors() {
        assert_eq!(*memory.bytes(tensor).unwrap(), *file.bytes(tensor).unwrap());
    }
    let cut = small(3)[..60].to_vec();
    let error = Checkpoint::embedded(Path::new("small"), Bytes::from(cut)).unwrap_err();
    assert!(error.to_string().starts_with("small"), "{error}");
}
