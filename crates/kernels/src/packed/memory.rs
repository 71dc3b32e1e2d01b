//! Aligned memory that can be refused: for packed weights and quantised activations.
//!
//! Small pieces come from the allocator on a cache line. Large ones are mapped, and on Linux asked to lie in huge
//! pages: weights are walked from end to end for every token, and where the machine is virtual a missed translation
//! costs two page-table walks.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;

use gptneo_device::DeviceError;

/// Alignment of every piece: one cache line.
pub(crate) const ALIGN: usize = 64;

/// Zeroed bytes on a cache line, freed on drop.
pub(crate) struct Memory {
    start: NonNull<u8>,
    len: usize,
    source: Source,
}

enum Source {
    Nothing,
    Allocator(Layout),
    #[cfg(target_os = "linux")]
    Map {
        start: NonNull<u8>,
        len: usize,
    },
}

// SAFETY: a piece is plain bytes with one owner; shared access only reads.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    /// No bytes.
    pub(crate) const fn empty() -> Self {
        Self { start: NonNull::dangling(), len: 0, source: Source::Nothing }
    }

    /// `len` zeroed bytes for `what`.
    pub(crate) fn zeroed(len: usize, what: &'static str) -> Result<Self, DeviceError> {
        let refused = || DeviceError::OutOfMemory { what, bytes: len };
        if len == 0 {
            return Ok(Self::empty());
        }
        #[cfg(target_os = "linux")]
        if len >= huge::PAGE {
            let (start, map, map_len) = huge::map(len).ok_or_else(refused)?;
            return Ok(Self { start, len, source: Source::Map { start: map, len: map_len } });
        }
        let layout = Layout::from_size_align(len, ALIGN).map_err(|_| refused())?;
        // SAFETY: the layout has a size above zero.
        let start = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or_else(refused)?;
        Ok(Self { start, len, source: Source::Allocator(layout) })
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn as_ptr(&self) -> *const u8 {
        self.start.as_ptr()
    }

    pub(crate) fn as_mut_ptr(&mut self) -> *mut u8 {
        self.start.as_ptr()
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        if self.len == 0 {
            return &[];
        }
        // SAFETY: `start` begins `len` initialised bytes that live as long as `self`.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        match self.source {
            Source::Nothing => {}
            // SAFETY: the allocator gave `start` for this layout.
            Source::Allocator(layout) => unsafe { dealloc(self.start.as_ptr(), layout) },
            #[cfg(target_os = "linux")]
            Source::Map { start, len } => huge::unmap(start, len),
        }
    }
}

#[cfg(target_os = "linux")]
mod huge {
    use std::ptr::{NonNull, null_mut};

    /// The common size of a huge page; where it is another, the advice below does no harm.
    pub(super) const PAGE: usize = 2 << 20;

    /// Maps room for `len` bytes from a huge page's edge: the bytes, and the whole map.
    pub(super) fn map(len: usize) -> Option<(NonNull<u8>, NonNull<u8>, usize)> {
        // Not rounded up to whole huge pages: the tail then lies in small ones, and no memory is lost to it.
        let map_len = len.checked_add(PAGE)?;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a fresh anonymous map touches no memory of ours.
        let map = unsafe { libc::mmap(null_mut(), map_len, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
        if map == libc::MAP_FAILED {
            return None;
        }
        let map = NonNull::new(map.cast::<u8>())?;
        let skip = map.as_ptr().align_offset(PAGE);
        // SAFETY: `skip < PAGE`, so `start` and the `len` bytes after it lie in the map.
        let start = unsafe { map.add(skip) };
        // SAFETY: the range is part of our map. A refusal only costs speed.
        unsafe { libc::madvise(start.as_ptr().cast(), len, libc::MADV_HUGEPAGE) };
        Some((start, map, map_len))
    }

    pub(super) fn unmap(start: NonNull<u8>, len: usize) {
        // SAFETY: `map` returned exactly this range, and its owner is being dropped.
        unsafe { libc::munmap(start.as_ptr().cast(), len) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_every_size_are_zeroed_aligned_and_writable() {
        for len in [0, 1, 63, 4096, (2 << 20) - 1, 2 << 20, (5 << 20) + 77] {
            let mut memory = Memory::zeroed(len, "a test").unwrap();
            assert_eq!(memory.as_slice().len(), len);
            assert!(len == 0 || (memory.as_ptr() as usize).is_multiple_of(ALIGN));
            assert!(memory.as_slice().iter().all(|&b| b == 0));
            for i in [0, len / 2, len.saturating_sub(1)] {
                if i < len {
                    // SAFETY: `i < len`.
                    unsafe { memory.as_mut_ptr().add(i).write(7) };
                    assert_eq!(memory.as_slice()[i], 7);
                }
            }
        }
    }

    #[test]
    fn refuses_what_no_machine_has() {
        for len in [usize::MAX, isize::MAX as usize, 1 << 55] {
            assert!(
                matches!(Memory::zeroed(len, "a test"), Err(DeviceError::OutOfMemory { bytes, .. }) if bytes == len)
            );
        }
    }
}
