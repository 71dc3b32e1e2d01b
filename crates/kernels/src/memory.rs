//! Typed memory that kernels write: zeroed on demand, aligned to cache lines, refused rather than aborted; and the view
//! of it that workers share.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use gptneo_device::DeviceError;

use crate::packed;

/// A cache line, where every [`Memory`] starts.
pub(crate) const LINE: usize = 64;

/// Element types that are valid when all their bytes are zero.
pub(crate) trait Zeroable: Copy + Send + Sync + 'static {}
impl Zeroable for f32 {}
impl Zeroable for u8 {}

/// `len` zeroed values at the start of a cache line. Large ones come from the system untouched: a page of them costs
/// memory once it is written.
pub(crate) struct Memory<T: Zeroable> {
    bytes: packed::Memory,
    len: usize,
    _holds: PhantomData<T>,
}

impl<T: Zeroable> Memory<T> {
    pub(crate) const fn empty() -> Self {
        Self { bytes: packed::Memory::empty(), len: 0, _holds: PhantomData }
    }

    pub(crate) fn zeroed(len: usize, what: &'static str) -> Result<Self, DeviceError> {
        let bytes = len.checked_mul(size_of::<T>()).ok_or(DeviceError::OutOfMemory { what, bytes: usize::MAX })?;
        Ok(Self { bytes: packed::Memory::zeroed(bytes, what)?, len, _holds: PhantomData })
    }

    /// The same for what is used from end to end, again and again: rounded up to whole huge pages from an eighth of one,
    /// since kernels that walk a few hundred rows at once run out of translations for small pages.
    pub(crate) fn dense(len: usize, what: &'static str) -> Result<Self, DeviceError> {
        const HUGE: usize = 2 << 20;
        let bytes = len.saturating_mul(size_of::<T>());
        let rounded = if bytes >= HUGE / 8 { bytes.checked_next_multiple_of(HUGE).unwrap_or(bytes) } else { bytes };
        let memory = Self::zeroed(rounded.div_ceil(size_of::<T>()), what)?;
        Ok(Self { len, ..memory })
    }

    /// Makes room for at least `len` values, [`dense`](Self::dense); what was there is lost when it grows.
    pub(crate) fn reserve(&mut self, len: usize, what: &'static str) -> Result<(), DeviceError> {
        if self.len < len {
            *self = Self::empty();
            *self = Self::dense(len, what)?;
        }
        Ok(())
    }

    /// The values, to be written by several workers at once.
    pub(crate) fn shared(&mut self) -> Shared<'_, T> {
        Shared::new(self)
    }
}

impl<T: Zeroable> Deref for Memory<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        if self.len == 0 {
            return &[];
        }
        // SAFETY: `len` zeroed values on a cache line.
        unsafe { std::slice::from_raw_parts(self.bytes.as_ptr().cast(), self.len) }
    }
}

impl<T: Zeroable> DerefMut for Memory<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        if self.len == 0 {
            return &mut [];
        }
        // SAFETY: as above, and borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.bytes.as_mut_ptr().cast(), self.len) }
    }
}

impl<T: Zeroable> fmt::Debug for Memory<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Memory({} x {} bytes)", self.len, size_of::<T>())
    }
}

/// A mutable slice that workers share: each takes parts that no other has at the same time.
pub(crate) struct Shared<'a, T> {
    start: *mut T,
    len: usize,
    _borrows: PhantomData<&'a mut [T]>,
}

impl<T> Clone for Shared<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Shared<'_, T> {}

// SAFETY: a `&mut [T]` in parts; that the parts do not meet is what callers of `part` and `view` promise.
unsafe impl<T: Send> Send for Shared<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    pub(crate) fn new(slice: &'a mut [T]) -> Self {
        Self { start: slice.as_mut_ptr(), len: slice.len(), _borrows: PhantomData }
    }

    pub(crate) fn len(self) -> usize {
        self.len
    }

    /// Where element `index` lies: an address, not leave to read it.
    pub(crate) fn address(self, index: usize) -> *const T {
        self.start.wrapping_add(index).cast_const()
    }

    /// # Panics
    /// If the range does not lie within.
    ///
    /// # Safety
    /// While the part lives, nothing else reads or writes it.
    pub(crate) unsafe fn part(self, start: usize, len: usize) -> &'a mut [T] {
        assert!(start <= self.len && len <= self.len - start, "part {start}+{len} of {}", self.len);
        // SAFETY: within the slice; exclusive by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(start), len) }
    }

    /// # Panics
    /// If the range does not lie within.
    ///
    /// # Safety
    /// While the part lives, nothing writes it.
    pub(crate) unsafe fn view(self, start: usize, len: usize) -> &'a [T] {
        assert!(start <= self.len && len <= self.len - start, "part {start}+{len} of {}", self.len);
        // SAFETY: within the slice; not written by the caller's promise.
        unsafe { std::slice::from_raw_parts(self.start.add(start), len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_zeroed_and_aligned_at_every_size() {
        for len in [0, 1, 3, 16, 1000, 1 << 20] {
            let memory = Memory::<f32>::zeroed(len, "test").unwrap();
            assert_eq!(memory.len(), len);
            assert!(memory.iter().all(|&x| x == 0.0));
            assert!(len == 0 || memory.as_ptr().align_offset(LINE) == 0);
        }
    }

    #[test]
    fn refuses_what_no_machine_has() {
        let refused = Memory::<f32>::zeroed(usize::MAX / 2, "a test");
        assert!(matches!(refused, Err(DeviceError::OutOfMemory { what: "a test", .. })));
    }

    #[test]
    fn keeps_its_values_when_it_need_not_grow() {
        let mut memory = Memory::<f32>::zeroed(8, "test").unwrap();
        memory[3] = 5.0;
        memory.reserve(6, "test").unwrap();
        assert_eq!(memory[3], 5.0);
        memory.reserve(9, "test").unwrap();
        assert_eq!(memory.len(), 9);
    }
}
