//! A writer of GGUF bytes in which every field can be made to lie.

#[derive(Clone)]
pub(crate) struct File(pub(crate) Vec<u8>);

impl File {
    pub(crate) fn new(version: u32, tensors: u64, keys: u64) -> Self {
        let mut file = Self(b"GGUF".to_vec());
        file.u32(version).u64(tensors).u64(keys);
        file
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn u32(&mut self, value: u32) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    pub(crate) fn u64(&mut self, value: u64) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        self.u64(text.len() as u64).raw(text.as_bytes())
    }

    /// A key, the type of its value, and the value's bytes.
    pub(crate) fn key(&mut self, key: &str, kind: u32, value: &[u8]) -> &mut Self {
        self.text(key).u32(kind).raw(value)
    }

    /// An entry of the table; axes innermost first, as the format has them.
    pub(crate) fn tensor(&mut self, name: &str, axes: &[u64], kind: u32, offset: u64) -> &mut Self {
        self.text(name).u32(axes.len() as u32);
        for &axis in axes {
            self.u64(axis);
        }
        self.u32(kind).u64(offset)
    }

    /// Padding to a multiple of 32, then `data`.
    pub(crate) fn data(&mut self, data: &[u8]) -> Vec<u8> {
        self.0.resize(self.0.len().next_multiple_of(32), 0);
        self.raw(data);
        self.0.clone()
    }
}

/// A small valid file: all kinds of values, two tensors.
pub(crate) fn small(version: u32) -> Vec<u8> {
    let mut file = File::new(version, 2, 6);
    file.key("general.architecture", 8, b"\x04\0\0\0\0\0\0\0gpt2");
    file.key("gpt2.block_count", 4, &12u32.to_le_bytes());
    file.key("gpt2.epsilon", 6, &1e-5f32.to_le_bytes());
    file.key("a.bool", 7, &[1]);
    file.key("tokens", 9, b"\x08\0\0\0\x02\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0a\x02\0\0\0\0\0\0\0bc");
    file.key("types", 9, b"\x05\0\0\0\x02\0\0\0\0\0\0\0\x01\0\0\0\xff\xff\xff\xff");
    file.tensor("wte", &[32, 2], 8, 0).tensor("bias", &[3], 0, 96);
    let mut data = vec![7; 68];
    data.resize(96, 0);
    data.extend_from_slice(&[1; 12]);
    file.data(&data)
}
