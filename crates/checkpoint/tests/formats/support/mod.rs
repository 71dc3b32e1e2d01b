//! Builders of valid files, from which the tests make wrong ones, and the one door to the readers.

pub(crate) mod gguf;
pub(crate) mod pickle;
pub(crate) mod zip;

use std::io::Cursor;
use std::path::PathBuf;

use gptneo_checkpoint::{Fault, Format, TensorInfo};

/// Reads `bytes` as a file of `format`, and holds what was accepted against the length of the file.
pub(crate) fn read(format: Format, bytes: &[u8]) -> Result<Vec<TensorInfo>, Fault> {
    let reader = Cursor::new(bytes);
    let tensors = match format {
        Format::Safetensors => gptneo_checkpoint::safetensors::read(reader),
        Format::Torch => gptneo_checkpoint::torch::read(reader),
        Format::Gguf => gptneo_checkpoint::gguf::read(reader).map(|(_, tensors)| tensors),
    }?;
    for tensor in &tensors {
        let end = tensor.offset() + tensor.byte_len() as u64;
        assert!(end <= bytes.len() as u64, "accepted `{}`, which ends at {end} of {}", tensor.name, bytes.len());
        assert_eq!(tensor.dtype.bytes_for(tensor.elements()), Some(tensor.byte_len()), "`{}`", tensor.name);
    }
    Ok(tensors)
}

/// Reads `bytes` and demands a refusal whose message contains `words`.
#[track_caller]
pub(crate) fn refuses(format: Format, bytes: &[u8], words: &str) {
    match read(format, bytes) {
        Ok(_) => panic!("accepted; wanted a refusal with `{words}`"),
        Err(fault) => {
            let message = fault.to_string();
            assert!(message.contains(words), "wanted `{words}` in: {message}");
            assert!(message.len() < 1000, "a message of {} bytes", message.len());
            assert!(!message.contains(char::is_control), "control characters in: {message:?}");
        }
    }
}

/// Every shorter version of `bytes` is refused.
#[track_caller]
pub(crate) fn refuses_every_truncation(format: Format, bytes: &[u8]) {
    assert!(read(format, bytes).is_ok(), "the whole file must be valid: {:?}", read(format, bytes));
    for len in 0..bytes.len() {
        assert!(read(format, &bytes[..len]).is_err(), "accepted the first {len} of {} bytes", bytes.len());
    }
}

/// Every version with one bit flipped is refused, or read without a lie about the file (see [`read`]).
pub(crate) fn survives_every_bit_flip(format: Format, bytes: &[u8]) -> usize {
    let mut flipped = bytes.to_vec();
    let mut refused = 0;
    for bit in 0..bytes.len() * 8 {
        flipped[bit / 8] ^= 1 << (bit % 8);
        refused += usize::from(read(format, &flipped).is_err());
        flipped[bit / 8] ^= 1 << (bit % 8);
    }
    refused
}

/// A safetensors file with `header` as it is given and `data` after it.
pub(crate) fn safetensors(header: &str, data: &[u8]) -> Vec<u8> {
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(header.as_bytes());
    file.extend_from_slice(data);
    file
}

/// A small valid safetensors file: a matrix, a scalar, bytes.
pub(crate) fn small_safetensors() -> Vec<u8> {
    let header = concat!(
        r#"{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"#,
        r#""b":{"dtype":"BF16","shape":[],"data_offsets":[24,26]},"#,
        r#""c":{"dtype":"U8","shape":[1,2],"data_offsets":[26,28]}}"#
    );
    safetensors(header, &(0..28).collect::<Vec<u8>>())
}

/// The pickle and the storages of a small state dict: a matrix, its transpose over the same storage, a parameter.
pub(crate) fn small_state_dict() -> (Vec<u8>, Vec<(&'static str, Vec<u8>)>) {
    let mut p = pickle::Pickle::state_dict();
    p.tensor("a", "FloatStorage", "0", 6, 0, &[2, 3], &[3, 1]);
    p.tensor("a.transposed", "FloatStorage", "0", 6, 0, &[3, 2], &[1, 3]);
    p.parameter("b", "HalfStorage", "1", 4, 1, &[3], &[1]);
    let floats = (0..6).flat_map(|x| (x as f32).to_le_bytes()).collect();
    let halves = (0..4u16).flat_map(u16::to_le_bytes).collect();
    (p.finish(), vec![("0", floats), ("1", halves)])
}

/// The small state dict as a PyTorch file.
pub(crate) fn small_torch() -> Vec<u8> {
    let (pickle, storages) = small_state_dict();
    zip::torch(&pickle, &storages.iter().map(|(key, data)| (*key, data.as_slice())).collect::<Vec<_>>())
}

/// The root of the repository.
pub(crate) fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The real checkpoint among the shared data, if this machine has it.
pub(crate) fn tinytalk() -> Option<PathBuf> {
    let path = repository().join("../shared/data/weights/tinytalk-gptneo-hf");
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("SKIPPED: {} is not there, so nothing was tested against the real checkpoint", path.display());
    None
}
