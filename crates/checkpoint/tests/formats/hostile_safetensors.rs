//! safetensors files that lie: each is refused with words that say how.

use gptneo_checkpoint::Format;

use crate::support::{
    refuses as refuses_format, refuses_every_truncation, safetensors, small_safetensors, survives_every_bit_flip,
};

#[track_caller]
fn refuses(bytes: &[u8], words: &str) {
    refuses_format(Format::Safetensors, bytes, words);
}

/// A file with this header and `len` bytes of data is refused.
#[track_caller]
fn refuses_header(header: &str, len: usize, words: &str) {
    refuses(&safetensors(header, &vec![0; len]), words);
}

/// A file with one tensor, described by `entry`, and `len` bytes of data is refused.
#[track_caller]
fn refuses_tensor(entry: &str, len: usize, words: &str) {
    refuses_header(&format!(r#"{{"x":{{{entry}}}}}"#), len, words);
}

#[test]
fn refuses_truncations() {
    refuses_every_truncation(Format::Safetensors, &small_safetensors());
}

#[test]
fn survives_bit_flips() {
    let file = small_safetensors();
    let refused = survives_every_bit_flip(Format::Safetensors, &file);
    // Flips in names, in the metadata and in the payload cannot be seen.
    assert!(refused > file.len() * 8 / 2, "only {refused} of {} refused", file.len() * 8);
}

#[test]
fn refuses_lying_header_lengths() {
    for len in [0u64, 1, 100_000_001, 1 << 31, 1 << 32, 1 << 63, u64::MAX, u64::MAX - 7] {
        let mut file = small_safetensors();
        file[..8].copy_from_slice(&len.to_le_bytes());
        refuses(&file, "header length: wanted 2 to 100000000 bytes");
    }
    for len in [99_999_999u64, 1 << 20, 300] {
        let mut file = small_safetensors();
        file[..8].copy_from_slice(&len.to_le_bytes());
        refuses(&file, "truncated: header needs");
    }
    let mut file = small_safetensors();
    file[..8].copy_from_slice(&7u64.to_le_bytes());
    refuses(&file, "header: wanted valid JSON");
}

#[test]
fn refuses_headers_that_are_no_headers() {
    refuses_header("[]", 0, "`{` as its first byte");
    refuses_header(" {}", 0, "`{` as its first byte, found 0x20");
    refuses_header("{} {}", 0, "valid JSON");
    refuses_header("{}\0\0", 0, "valid JSON");
    refuses_header(r#"{"x":1}"#, 0, "tensor `x`");
    refuses_header(r#"{"x":null}"#, 0, "tensor `x`");
    refuses_header(r#"{"x":[]}"#, 0, "tensor `x`");
    refuses_header(r#"{"__metadata__":1}"#, 0, "a map of strings");
    refuses_header(r#"{"__metadata__":{"a":1}}"#, 0, "a string");
    refuses_header(r#"{"\ud800":{}}"#, 0, "valid JSON");
    refuses_header(&format!("{{\"x\":{}", "[".repeat(1_000_000)), 0, "valid JSON");
    refuses_header(&format!("{{\"x\":{}", "{\"shape\":".repeat(100_000)), 0, "valid JSON");
    refuses(
        &safetensors("{\"a\u{fffd}\":1}", &[]).iter().map(|&b| if b == 0xef { 0xff } else { b }).collect::<Vec<_>>(),
        "valid JSON",
    );
}

#[test]
fn refuses_keys_that_stand_twice() {
    let entry = r#"{"dtype":"U8","shape":[1],"data_offsets":[0,1]}"#;
    refuses_header(&format!(r#"{{"x":{entry},"x":{entry}}}"#), 1, "key `x` stands twice");
    refuses_header(&format!(r#"{{"x":{entry},"\u0078":{entry}}}"#), 1, "key `x` stands twice");
    refuses_header(r#"{"__metadata__":{},"__metadata__":{}}"#, 0, "key `__metadata__` stands twice");
    refuses_header(r#"{"__metadata__":{"a":"b","a":"c"}}"#, 0, "key `a` stands twice");
    refuses_tensor(r#""dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]"#, 1, "duplicate field");
    refuses_tensor(r#""dtype":"U8","shape":[1],"shape":[1],"data_offsets":[0,1]"#, 1, "duplicate field");
}

#[test]
fn refuses_incomplete_and_overfull_entries() {
    refuses_tensor("", 0, "missing field");
    refuses_tensor(r#""shape":[1],"data_offsets":[0,1]"#, 1, "missing field `dtype`");
    refuses_tensor(r#""dtype":"U8","data_offsets":[0,1]"#, 1, "missing field `shape`");
    refuses_tensor(r#""dtype":"U8","shape":[1]"#, 1, "missing field `data_offsets`");
    refuses_tensor(r#""dtype":"U8","shape":[1],"data_offsets":[0]"#, 1, "tensor `x`");
    refuses_tensor(r#""dtype":"U8","shape":[1],"data_offsets":[0,1,2]"#, 1, "tensor `x`");
    refuses_tensor(r#""dtype":"U8","shape":[1],"data_offsets":[0,1],"strides":[1]"#, 1, "unknown field `strides`");
    refuses_tensor(r#""dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]"#, 1, "found F8_E4M3");
    refuses_tensor(r#""dtype":"f32","shape":[1],"data_offsets":[0,4]"#, 4, "a type among F32");
    refuses_tensor(r#""dtype":"\u001b[2J","shape":[1],"data_offsets":[0,4]"#, 4, "a type among F32");
}

#[test]
fn refuses_sizes_that_are_none() {
    for axis in ["-1", "1.5", "1e3", "\"1\"", "null", "18446744073709551616", "1e308", "NaN"] {
        refuses_tensor(&format!(r#""dtype":"U8","shape":[{axis}],"data_offsets":[0,1]"#), 1, "valid JSON");
        refuses_tensor(&format!(r#""dtype":"U8","shape":[1],"data_offsets":[0,{axis}]"#), 1, "valid JSON");
    }
    refuses_tensor(&format!(r#""dtype":"U8","shape":[{}1],"data_offsets":[0,1]"#, "1,".repeat(64)), 1, "axes");
    refuses_tensor(&format!(r#""dtype":"U8","shape":[{}1],"data_offsets":[0,1]"#, "1,".repeat(1 << 20)), 1, "axes");
}

#[test]
fn refuses_products_that_overflow() {
    for shape in
        ["[18446744073709551615,2]", "[4294967296,4294967296]", "[9223372036854775807]", "[4611686018427387904]"]
    {
        refuses_tensor(
            &format!(r#""dtype":"F32","shape":{shape},"data_offsets":[0,0]"#),
            0,
            "a size that fits in memory",
        );
    }
    // 2^62 * 4 is 0 modulo 2^64: a reader that multiplies without care takes it for empty.
    refuses_tensor(r#""dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,0]"#, 0, "fits in memory");
}

#[test]
fn refuses_lengths_that_do_not_match() {
    refuses_tensor(
        r#""dtype":"F32","shape":[2],"data_offsets":[0,4]"#,
        4,
        "wanted 8 bytes for f32 [2], found bytes 0 to 4",
    );
    refuses_tensor(r#""dtype":"F32","shape":[],"data_offsets":[0,8]"#, 8, "wanted 4 bytes for f32 []");
    refuses_tensor(r#""dtype":"F32","shape":[2],"data_offsets":[8,0]"#, 8, "tensor `x`");
    refuses_tensor(r#""dtype":"F32","shape":[2],"data_offsets":[0,8]"#, 7, "truncated: tensor `x`");
    refuses_tensor(r#""dtype":"F32","shape":[2],"data_offsets":[0,8]"#, 9, "file length");
    refuses_tensor(
        r#""dtype":"F32","shape":[1099511627776],"data_offsets":[0,4398046511104]"#,
        8,
        "truncated: tensor `x`",
    );
    refuses_tensor(
        r#""dtype":"U8","shape":[1],"data_offsets":[18446744073709551615,18446744073709551615]"#,
        8,
        "start",
    );
}

#[test]
fn refuses_holes_and_overlaps() {
    let pair = |a: &str, b: &str| {
        format!(
            r#"{{"a":{{"dtype":"U8","shape":[4],"data_offsets":{a}}},"b":{{"dtype":"U8","shape":[4],"data_offsets":{b}}}}}"#
        )
    };
    refuses_header(&pair("[0,4]", "[5,9]"), 9, "tensor `b`: wanted to start at byte 4");
    refuses_header(&pair("[0,4]", "[3,7]"), 7, "tensor `b`: wanted to start at byte 4");
    refuses_header(&pair("[0,4]", "[0,4]"), 4, "tensor `b`: wanted to start at byte 4");
    refuses_header(&pair("[1,5]", "[5,9]"), 9, "tensor `a`: wanted to start at byte 0");
}

#[test]
fn refuses_more_tensors_than_any_model_has() {
    let mut header = String::from("{");
    for i in 0..=65_536 {
        header += &format!(r#""{i}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}},"#);
    }
    header.pop();
    header.push('}');
    refuses_header(&header, 0, "more than 65536 tensors");
}
