//! PyTorch: any archive, any bare pickle, and that pickle in an archive with two storages.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if data.starts_with(b"PK") {
        check(data);
    } else if gptneo_checkpoint::torch::state_dict(data).is_ok() {
        check(&archive(&[("a/data.pkl", data), ("a/data/0", &[0; 24]), ("a/data/1", &[0; 8])]));
    }
});

fn check(file: &[u8]) {
    let Ok(tensors) = gptneo_checkpoint::torch::read(Cursor::new(file)) else { return };
    for tensor in tensors {
        assert!(tensor.offset() + tensor.byte_len() as u64 <= file.len() as u64);
        assert_eq!(tensor.dtype.bytes_for(tensor.elements()), Some(tensor.byte_len()));
    }
}

/// A zip archive of entries that are stored as they are.
fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for (name, data) in entries {
        let start = (file.len() as u32).to_le_bytes();
        let sizes = (data.len() as u32).to_le_bytes().repeat(2);
        let name_len = (name.len() as u16).to_le_bytes();
        for part in [b"PK\x03\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0", sizes.as_slice(), &name_len, &[0; 2], name.as_bytes(), data] {
            file.extend_from_slice(part);
        }
        let fixed = b"PK\x01\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
        for part in [fixed, sizes.as_slice(), &name_len, &[0; 12], &start, name.as_bytes()] {
            directory.extend_from_slice(part);
        }
    }
    let (start, count) = ((file.len() as u32).to_le_bytes(), (entries.len() as u16).to_le_bytes());
    file.extend_from_slice(&directory);
    for part in [b"PK\x05\x06\0\0\0\0", count.as_slice(), &count, &(directory.len() as u32).to_le_bytes(), &start, &[0; 2]] {
        file.extend_from_slice(part);
    }
    file
}
