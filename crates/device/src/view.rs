//! Parts of a buffer as arguments: where a tensor begins. Its length follows from the operation.

/// A tensor to read: it begins at `start` of `buffer`.
#[derive(Debug)]
pub struct View<'a, B> {
    /// Holds the tensor.
    pub buffer: &'a B,
    /// Its first value.
    pub start: usize,
}

impl<B> Clone for View<'_, B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B> Copy for View<'_, B> {}

impl<'a, B> View<'a, B> {
    /// The tensor that begins at `start`.
    pub fn at(buffer: &'a B, start: usize) -> Self {
        Self { buffer, start }
    }
}

impl<'a, B> From<&'a B> for View<'a, B> {
    fn from(buffer: &'a B) -> Self {
        Self { buffer, start: 0 }
    }
}

/// A tensor to write: it begins at `start` of `buffer`.
#[derive(Debug)]
pub struct ViewMut<'a, B> {
    /// Holds the tensor.
    pub buffer: &'a mut B,
    /// Its first value.
    pub start: usize,
}

impl<'a, B> ViewMut<'a, B> {
    /// The tensor that begins at `start`.
    pub fn at(buffer: &'a mut B, start: usize) -> Self {
        Self { buffer, start }
    }
}

impl<'a, B> From<&'a mut B> for ViewMut<'a, B> {
    fn from(buffer: &'a mut B) -> Self {
        Self { buffer, start: 0 }
    }
}
