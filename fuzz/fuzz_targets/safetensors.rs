//! safetensors: any file, and any header in front of the bytes that follow it.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    check(data);
    // The input as a header, so that its length need not be guessed: up to its last brace, and then the data.
    let header = data.iter().rposition(|&byte| byte == b'}').map_or(data.len(), |at| at + 1);
    let mut file = (header as u64).to_le_bytes().to_vec();
    file.extend_from_slice(data);
    check(&file);
});

fn check(file: &[u8]) {
    let Ok(tensors) = gptneo_checkpoint::safetensors::read(Cursor::new(file)) else { return };
    let reference = safetensors::SafeTensors::deserialize(file).expect("accepted what the reference refuses");
    assert_eq!(reference.len(), tensors.len());
    for tensor in tensors {
        let bytes = &file[tensor.offset() as usize..][..tensor.byte_len()];
        let view = reference.tensor(&tensor.name).expect("the same names");
        assert_eq!((view.shape(), view.data()), (tensor.shape.as_slice(), bytes));
    }
}
