//! Aligned memory that can be refused: for packed weights and quantised activations.
//!
//! Small pieces come from the allocator on a cache line. On Linux all others lie in huge pages: weights are walked from
//! end to end for every token, and where the machine is virtual a missed translation costs two page-table walks. The
//! matrices of a small model are each smaller than a huge page, so they share maps ([`arena`]).

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;
#[cfg(target_os = "linux")]
use std::sync::Arc;

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
    Map(
        /// Unmapped with the last piece in it.
        #[expect(dead_code, reason = "held for its drop")]
        Arc<huge::Map>,
    ),
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
        if len >= arena::LEAST {
            let (start, map) = arena::piece(len).ok_or_else(refused)?;
            return Ok(Self { start, len, source: Source::Map(map) });
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
            Source::Map(_) => {}
        }
    }
}

/// Pieces laid one behind the other in maps that they share.
#[cfg(target_os = "linux")]
mod arena {
    use std::ptr::NonNull;
    use std::sync::{Arc, Mutex, PoisonError, Weak};

    use super::{ALIGN, huge};

    /// Bytes of the smallest piece that is laid here.
    pub(super) const LEAST: usize = 64 << 10;

    /// Bytes of a shared map.
    const SHARED: usize = 64 << 20;

    /// Bytes from which a piece has a map of its own: at most a sixteenth of it lies outside whole huge pages.
    const OWN: usize = 32 << 20;

    /// The map that is being filled, and how far it is.
    static FILLING: Mutex<(Weak<huge::Map>, usize)> = Mutex::new((Weak::new(), 0));

    /// `len` zeroed bytes on a cache line. Room is taken once and given back with the whole map.
    pub(super) fn piece(len: usize) -> Option<(NonNull<u8>, Arc<huge::Map>)> {
        if len >= OWN {
            let map = Arc::new(huge::Map::new(len)?);
            return Some((map.start(0), map));
        }
        let mut filling = FILLING.lock().unwrap_or_else(PoisonError::into_inner);
        let map = match filling.0.upgrade() {
            Some(map) if filling.1 + len <= SHARED => map,
            _ => {
                let map = Arc::new(huge::Map::new(SHARED)?);
                *filling = (Arc::downgrade(&map), 0);
                map
            }
        };
        let start = map.start(filling.1);
        filling.1 += len.next_multiple_of(ALIGN);
        Some((start, map))
    }
}

#[cfg(target_os = "linux")]
mod huge {
    use std::ptr::{NonNull, null_mut};

    /// The common size of a huge page; where it is another, the advice below does no harm.
    const PAGE: usize = 2 << 20;

    /// Zeroed bytes from a huge page's edge, that take memory when they are touched.
    pub(super) struct Map {
        start: NonNull<u8>,
        len: usize,
        mapped: NonNull<u8>,
        mapped_len: usize,
    }

    // SAFETY: an address range; what lies in it belongs to the pieces.
    unsafe impl Send for Map {}
    // SAFETY: as above.
    unsafe impl Sync for Map {}

    impl Map {
        pub(super) fn new(len: usize) -> Option<Self> {
            // Not rounded up to whole huge pages: the tail then lies in small ones, and no memory is lost to it.
            let mapped_len = len.checked_add(PAGE)?;
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            // SAFETY: a fresh anonymous map touches no memory of ours.
            let map = unsafe { libc::mmap(null_mut(), mapped_len, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
            if map == libc::MAP_FAILED {
                return None;
            }
            let mapped = NonNull::new(map.cast::<u8>())?;
            let skip = mapped.as_ptr().align_offset(PAGE);
            // SAFETY: `skip < PAGE`, so `start` and the `len` bytes after it lie in the map.
            let start = unsafe { mapped.add(skip) };
            // SAFETY: the range is part of our map. A refusal only costs speed.
            unsafe { libc::madvise(start.as_ptr().cast(), len, libc::MADV_HUGEPAGE) };
            Some(Self { start, len, mapped, mapped_len })
        }

        /// The byte at `offset`.
        pub(super) fn start(&self, offset: usize) -> NonNull<u8> {
            assert!(offset < self.len, "byte {offset} of a map of {}", self.len);
            // SAFETY: it lies in the map.
            unsafe { self.start.add(offset) }
        }
    }

    impl Drop for Map {
        fn drop(&mut self) {
            // SAFETY: `new` mapped exactly this range, and nothing holds a piece of it any more.
            unsafe { libc::munmap(self.mapped.as_ptr().cast(), self.mapped_len) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_every_size_are_zeroed_aligned_and_writable() {
        for len in
            [0, 1, 63, 4096, (2 << 20) - 1, 2 << 20, (5 << 20) + 77, (33 << 20) + 1, 30 << 20, 31 << 20, 20 << 20]
        {
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
    fn pieces_that_share_a_map_do_not_meet() {
        let mut pieces: Vec<Memory> = (0..40).map(|i| Memory::zeroed((300 << 10) + i, "a test").unwrap()).collect();
        for (i, piece) in pieces.iter_mut().enumerate() {
            // SAFETY: the piece has so many bytes.
            unsafe { piece.as_mut_ptr().write_bytes(i as u8, piece.len()) };
        }
        pieces.swap_remove(7);
        assert!(pieces.iter().all(|piece| piece.as_slice().iter().all(|&b| b == piece.as_slice()[0])));
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
