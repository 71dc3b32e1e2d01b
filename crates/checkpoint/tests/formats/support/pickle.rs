//! A writer of pickles, as `torch.save` writes them (protocol 2).

pub(crate) struct Pickle(pub(crate) Vec<u8>);

impl Pickle {
    /// Protocol, an empty dict, and the mark before its items.
    pub(crate) fn state_dict() -> Self {
        Self(b"\x80\x02}q\x00(".to_vec())
    }

    /// Protocol alone.
    pub(crate) fn bare() -> Self {
        Self(b"\x80\x02".to_vec())
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        self.raw(b"X").raw(&(text.len() as u32).to_le_bytes()).raw(text.as_bytes())
    }

    /// The shortest of the integer opcodes that torch would use.
    pub(crate) fn int(&mut self, value: i64) -> &mut Self {
        match value {
            0..=255 => self.raw(&[b'K', value as u8]),
            256..=65_535 => self.raw(b"M").raw(&(value as u16).to_le_bytes()),
            _ if i32::try_from(value).is_ok() => self.raw(b"J").raw(&(value as i32).to_le_bytes()),
            _ => self.raw(&[0x8a, 8]).raw(&value.to_le_bytes()),
        }
    }

    pub(crate) fn global(&mut self, module: &str, name: &str) -> &mut Self {
        self.raw(b"c").raw(module.as_bytes()).raw(b"\n").raw(name.as_bytes()).raw(b"\n")
    }

    pub(crate) fn ints(&mut self, values: &[i64]) -> &mut Self {
        self.raw(b"(");
        for &value in values {
            self.int(value);
        }
        self.raw(b"t")
    }

    pub(crate) fn storage(&mut self, kind: &str, key: &str, len: i64) -> &mut Self {
        self.raw(b"(").text("storage").global("torch", kind).text(key).text("cpu").int(len).raw(b"tQ")
    }

    /// `_rebuild_tensor_v2(storage, offset, size, stride, False, OrderedDict())`.
    #[allow(clippy::too_many_arguments, reason = "a tensor has that many properties")]
    pub(crate) fn rebuild(
        &mut self,
        kind: &str,
        key: &str,
        len: i64,
        offset: i64,
        shape: &[i64],
        strides: &[i64],
    ) -> &mut Self {
        self.global("torch._utils", "_rebuild_tensor_v2").raw(b"(");
        self.storage(kind, key, len).int(offset).ints(shape).ints(strides).raw(b"\x89");
        self.global("collections", "OrderedDict").raw(b")RtR")
    }

    #[allow(clippy::too_many_arguments, reason = "a tensor has that many properties")]
    pub(crate) fn tensor(
        &mut self,
        name: &str,
        kind: &str,
        key: &str,
        len: i64,
        offset: i64,
        shape: &[i64],
        strides: &[i64],
    ) {
        self.text(name).rebuild(kind, key, len, offset, shape, strides);
    }

    #[allow(clippy::too_many_arguments, reason = "a tensor has that many properties")]
    pub(crate) fn parameter(
        &mut self,
        name: &str,
        kind: &str,
        key: &str,
        len: i64,
        offset: i64,
        shape: &[i64],
        strides: &[i64],
    ) {
        self.text(name).global("torch._utils", "_rebuild_parameter").raw(b"(");
        self.rebuild(kind, key, len, offset, shape, strides)
            .raw(b"\x88")
            .global("collections", "OrderedDict")
            .raw(b")RtR");
    }

    /// Sets the items and stops.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        self.raw(b"u.");
        self.0.clone()
    }
}
