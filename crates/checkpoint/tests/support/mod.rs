//! Builders of valid files, from which the tests make wrong ones.
#![allow(dead_code, reason = "each test binary uses a part")]

pub mod pickle;
pub mod zip;

use std::path::PathBuf;

/// A safetensors file with `header` as it is given and `data` after it.
pub fn safetensors(header: &str, data: &[u8]) -> Vec<u8> {
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(header.as_bytes());
    file.extend_from_slice(data);
    file
}

/// A small valid safetensors file: two tensors and a scalar.
pub fn small_safetensors() -> Vec<u8> {
    let header = r#"{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"b":{"dtype":"BF16","shape":[],"data_offsets":[24,26]},"c":{"dtype":"U8","shape":[1,2],"data_offsets":[26,28]}}"#;
    safetensors(header, &(0..28).collect::<Vec<u8>>())
}

/// A small valid PyTorch file: a matrix, its transpose over the same storage, a half-precision parameter.
pub fn small_torch() -> Vec<u8> {
    let mut p = pickle::Pickle::state_dict();
    p.tensor("a", "FloatStorage", "0", 6, 0, &[2, 3], &[3, 1]);
    p.tensor("a.transposed", "FloatStorage", "0", 6, 0, &[3, 2], &[1, 3]);
    p.parameter("b", "HalfStorage", "1", 4, 1, &[3], &[1]);
    let floats: Vec<u8> = (0..6).flat_map(|x| (x as f32).to_le_bytes()).collect();
    let halves: Vec<u8> = (0..4u16).flat_map(u16::to_le_bytes).collect();
    zip::torch(&p.finish(), &[("0", &floats), ("1", &halves)])
}

/// The real checkpoint among the shared data, if this machine has it.
pub fn tinytalk() -> Option<PathBuf> {
    let shared = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/weights/tinytalk-gptneo-hf");
    if shared.is_dir() {
        return Some(shared);
    }
    eprintln!("SKIPPED: {} is not there, so nothing was tested against the real checkpoint", shared.display());
    None
}
