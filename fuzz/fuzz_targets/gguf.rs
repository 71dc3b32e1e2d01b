//! GGUF: any file, and any file behind the right magic and version.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    check(data);
    check(&[b"GGUF\x03\0\0\0", data].concat());
});

fn check(file: &[u8]) {
    let Ok((metadata, tensors)) = gptneo_checkpoint::gguf::read(Cursor::new(file)) else { return };
    for (key, value) in metadata.iter() {
        assert_eq!(metadata.get(key).map(ToString::to_string), Some(value.to_string()));
    }
    for tensor in tensors {
        assert!(tensor.offset() + tensor.byte_len() as u64 <= file.len() as u64);
        assert_eq!(tensor.dtype.bytes_for(tensor.elements()), Some(tensor.byte_len()));
    }
}
