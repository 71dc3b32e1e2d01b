//! GGUF files that lie: each is refused with words that say how.

use gptneo_checkpoint::Format;

use crate::support::gguf::{File, small};
use crate::support::{refuses as refuses_format, refuses_every_truncation, survives_every_bit_flip};

#[track_caller]
fn refuses(file: &[u8], words: &str) {
    refuses_format(Format::Gguf, file, words);
}

/// A file with one key is refused.
#[track_caller]
fn refuses_value(kind: u32, value: &[u8], words: &str) {
    refuses(&File::new(3, 0, 1).key("k", kind, value).0, words);
}

/// A file with one tensor and `len` bytes of data is refused.
#[track_caller]
fn refuses_tensor(axes: &[u64], kind: u32, offset: u64, len: usize, words: &str) {
    refuses(&File::new(3, 1, 0).tensor("x", axes, kind, offset).data(&vec![0; len]), words);
}

fn list(kind: u32, count: u64, items: &[u8]) -> Vec<u8> {
    [kind.to_le_bytes().as_slice(), &count.to_le_bytes(), items].concat()
}

#[test]
fn refuses_truncations() {
    refuses_every_truncation(Format::Gguf, &small(3));
    refuses_every_truncation(Format::Gguf, &small(2));
}

#[test]
fn survives_bit_flips() {
    let file = small(3);
    let refused = survives_every_bit_flip(Format::Gguf, &file);
    // Flips in strings, numbers of the metadata, padding and payload cannot be seen.
    assert!(refused > file.len() * 8 / 4, "only {refused} of {} refused", file.len() * 8);
}

#[test]
fn refuses_other_magics_and_versions() {
    refuses(b"", "truncated: magic needs 4 bytes, and the file has 0");
    refuses(b"GGML\x03\0\0\0", "magic: wanted `GGUF`, found `GGML`");
    refuses(b"\x1b[2J\x03\0\0\0", "magic: wanted `GGUF`");
    refuses(&File::new(1, 0, 0).0, "GGUF version 1 cannot be read");
    refuses(&File::new(3 << 24, 0, 0).0, "big-endian GGUF cannot be read");
    refuses(&File::new(2 << 24, 0, 0).0, "big-endian GGUF cannot be read");
    refuses(&File::new(4, 0, 0).0, "version: wanted 2 or 3, found 4");
    refuses(&File::new(u32::MAX, 0, 0).0, "version: wanted 2 or 3");
}

#[test]
fn refuses_lying_counts() {
    for count in [1u64 << 31, 1 << 32, 1 << 60, 1 << 63, u64::MAX] {
        refuses(&File::new(3, count, 0).0, "number of tensors: wanted at most 65536");
        refuses(&File::new(3, 0, count).0, "number of keys: wanted at most 65536");
        for kind in [0, 4, 7, 8, 9, 10, 12] {
            refuses_value(9, &list(kind, count, &[0; 64]), "");
        }
        refuses_value(8, &count.to_le_bytes(), "truncated: value of `k`");
        refuses(&File::new(3, 0, 1).u64(count).raw(&[0; 64]).0, "key: wanted at most 65535 bytes");
        refuses(&File::new(3, 1, 0).u64(count).raw(&[0; 64]).0, "name of a tensor: wanted at most 63 bytes");
    }
    refuses(&File::new(3, 60_000, 0).raw(&[0; 100]).0, "truncated: table of tensors");
    refuses(&File::new(3, 0, 60_000).raw(&[0; 100]).0, "truncated: metadata");
    refuses(&File::new(3, 1, 1).key("k", 0, &[1]).0, "truncated: table of tensors");
    refuses_value(9, &list(8, 9, &[0; 64]), "truncated: list in the metadata");
    refuses_value(9, &list(8, (1 << 22) + 1, &[0; 64]), "strings in lists");
}

#[test]
fn refuses_values_of_no_type() {
    for kind in [13, 14, 255, u32::MAX] {
        refuses_value(kind, &[0; 16], "value of `k`: wanted a type from 0 to 12");
        refuses_value(9, &list(kind, 1, &[0; 16]), "value of `k`: wanted elements of a type from 0 to 12");
    }
    refuses_value(7, &[2], "a boolean, 0 or 1, found 2");
    refuses_value(9, &list(7, 2, &[1, 255]), "a boolean, 0 or 1, found 255");
    refuses_value(8, b"\x02\0\0\0\0\0\0\0\xff\xfe", "value of `k`: wanted UTF-8");
    refuses(&File::new(3, 0, 1).u64(1).raw(b"\xff\0\0\0\0\0").0, "key: wanted UTF-8");
}

#[test]
fn refuses_lists_that_nest_without_end() {
    let mut bomb = Vec::new();
    for _ in 0..1_000_000 {
        bomb.extend_from_slice(&list(9, 1, &[]));
    }
    refuses_value(9, &bomb, "at most 4 lists in each other");
    let wide = list(9, 1 << 22, &list(0, 0, &[]).repeat(1000));
    refuses_value(9, &wide, "truncated: list in the metadata");
}

#[test]
fn refuses_names_that_stand_twice() {
    refuses(&File::new(3, 0, 2).key("k", 0, &[1]).key("k", 0, &[1]).0, "`k` twice");
    let file = File::new(3, 2, 0).tensor("x", &[8], 0, 0).tensor("x", &[8], 0, 32).data(&[0; 64]);
    refuses(&file, "tensor `x`: wanted one tensor of this name, found two");
}

#[test]
fn refuses_alignments_that_are_none() {
    for (kind, value) in [(4, 0u32), (4, 3), (4, 31), (4, u32::MAX), (5, 32), (8, 0)] {
        let mut file = File::new(3, 0, 1);
        file.key("general.alignment", kind, &value.to_le_bytes()).raw(&[0; 32]);
        refuses(&file.0, "key `general.alignment`: wanted a power of two");
    }
    let mut file = File::new(3, 1, 1);
    file.key("general.alignment", 4, &(1u32 << 31).to_le_bytes()).tensor("x", &[1], 0, 0);
    refuses(&file.data(&[0; 4]), "truncated: tensor `x` needs 2147483652 bytes");
}

#[test]
fn refuses_types_that_cannot_be_read() {
    refuses_tensor(&[256], 16, 0, 66, "tensor `x`: wanted a type that can be read, found type 16 (IQ2_XXS)");
    refuses_tensor(&[256], 4, 0, 66, "found type 4 (withdrawn from the format)");
    refuses_tensor(&[256], 9999, 0, 66, "found type 9999");
}

#[test]
fn refuses_shapes_that_are_none() {
    refuses(&File::new(3, 1, 0).text("x").u32(5).raw(&[0; 64]).0, "tensor `x`: wanted at most 4 axes, found 5");
    refuses(&File::new(3, 1, 0).text("x").u32(u32::MAX).raw(&[0; 64]).0, "at most 4 axes");
    refuses_tensor(&[u64::MAX, 2], 0, 0, 8, "a size that fits in memory");
    refuses_tensor(&[1 << 62], 0, 0, 8, "a size that fits in memory");
    refuses_tensor(&[1 << 32, 1 << 32], 0, 0, 8, "a size that fits in memory");
    refuses_tensor(&[1 << 16; 4], 0, 0, 8, "a size that fits in memory");
    refuses_tensor(&[33], 8, 0, 68, "tensor `x`: wanted rows of whole q8_0 blocks of 32, found shape [33]");
    refuses_tensor(&[2, 32], 8, 0, 68, "rows of whole q8_0 blocks");
    refuses_tensor(&[128, 2], 12, 0, 144, "rows of whole q4_k blocks of 256");
    refuses_tensor(&[], 8, 0, 34, "rows of whole q8_0 blocks");
}

#[test]
fn refuses_tensors_out_of_place() {
    refuses_tensor(&[8], 0, 32, 64, "tensor `x`: wanted offset 0, where the one before ends, found 32");
    refuses_tensor(&[8], 0, u64::MAX, 64, "wanted offset 0");
    refuses_tensor(&[8], 0, 0, 31, "truncated: tensor `x`");
    refuses_tensor(&[8], 0, 0, 33, "file length: wanted at most");
    let pair = |second: u64, len: usize| {
        File::new(3, 2, 0).tensor("a", &[7], 0, 0).tensor("b", &[8], 0, second).data(&vec![0; len])
    };
    refuses(&pair(0, 32), "tensor `b`: wanted offset 32, where the one before ends, found 0");
    refuses(&pair(28, 60), "tensor `b`: wanted offset 32");
    refuses(&pair(64, 96), "tensor `b`: wanted offset 32");
    refuses(&pair(32, 63), "truncated: tensor `b`");
    let far = File::new(3, 2, 0).tensor("a", &[1 << 60], 24, 0).tensor("b", &[1 << 60], 24, 1 << 60).data(&[0; 64]);
    refuses(&far, "truncated: tensor `a`");
    let mut wrap = File::new(3, 9, 0);
    for i in 0..9 {
        wrap.tensor(&i.to_string(), &[(1 << 61) - 32], 24, i * ((1 << 61) - 32));
    }
    refuses(&wrap.data(&[0; 64]), "an end below 2^64");
}
