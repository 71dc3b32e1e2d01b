//! Keys and values of one layer, in pages of [`PAGE`] positions.
//!
//! A page holds for each head a block of keys, transposed (`[D][PAGE]`, so that neighbouring lanes are neighbouring keys and
//! no sum of attention crosses lanes), and after it a block of values (`[PAGE][D]`, rows padded to 8): a query that goes
//! through the heads of a page reads its memory in order. Scales of
//! [`CacheType::Q8_0`] follow the numbers of their block: for keys `[groups][PAGE]`, for values `[PAGE][groups]`, where a
//! group is 32 channels of a head. Pages that were never written cost address space only.
//!
//! F32 holds what was stored exactly; F16 rounds to nearest, and clamps to the largest finite; Q8_0 is within 1/254 of the
//! largest magnitude of its group, give or take the rounding of its f16 scale.

use gptneo_device::{CacheShape, CacheType, DeviceError, PAGE, PageTable};
use half::f16;
use half::slice::HalfFloatSliceExt;

use crate::isa::{Body, Isa};
use crate::memory::{LINE, Memory, Shared};
use crate::simd::{LANES, Simd};

/// Channels that share a scale.
pub(crate) const GROUP: usize = 32;

/// Keys and values of one layer on the CPU.
#[derive(Debug)]
pub struct Cache {
    pub(crate) shape: CacheShape,
    memory: Memory<u8>,
}

/// Which of the two, with its layout in a block of one head of one page.
#[derive(Clone, Copy)]
struct Block {
    kind: CacheType,
    head_size: usize,
    /// Values only: D rounded up to 8.
    width: usize,
    keys: bool,
}

impl Block {
    /// Numbers in a block.
    const fn numbers(self) -> usize {
        PAGE * if self.keys { self.head_size } else { self.width }
    }

    const fn groups(self) -> usize {
        self.head_size.div_ceil(GROUP)
    }

    /// Where the number of `channel` at `slot` stands.
    const fn number(self, slot: usize, channel: usize) -> usize {
        if self.keys { channel * PAGE + slot } else { slot * self.width + channel }
    }

    /// Where the scale of `group` at `slot` stands.
    const fn scale(self, slot: usize, group: usize) -> usize {
        if self.keys { group * PAGE + slot } else { slot * self.groups() + group }
    }

    const fn number_bytes(self) -> usize {
        match self.kind {
            CacheType::F32 => 4,
            CacheType::F16 => 2,
            CacheType::Q8_0 => 1,
        }
    }

    const fn bytes(self) -> usize {
        let scales = match self.kind {
            CacheType::F32 | CacheType::F16 => 0,
            CacheType::Q8_0 => PAGE * self.groups() * 2,
        };
        (self.numbers() * self.number_bytes() + scales).next_multiple_of(LINE)
    }
}

/// D rounded up to whole vectors: the width of rows of values.
pub(crate) const fn padded(head_size: usize) -> usize {
    head_size.next_multiple_of(LANES)
}

impl Cache {
    pub(crate) fn new(shape: CacheShape) -> Result<Self, DeviceError> {
        let what = "a key-value cache";
        let refused = || DeviceError::OutOfMemory { what, bytes: usize::MAX };
        // Beyond this no machine has memory, and below it a page cannot overflow.
        if shape.heads.saturating_mul(shape.head_size) > 1 << 40 {
            return Err(refused());
        }
        let bytes = page_bytes(shape).checked_mul(shape.pages).ok_or_else(refused)?;
        Ok(Self { shape, memory: Memory::zeroed(bytes, what)? })
    }

    /// All of it, for workers that write distinct heads of distinct positions.
    pub(crate) fn writer(&mut self) -> Writer<'_> {
        Writer { shape: self.shape, bytes: self.memory.shared() }
    }

    pub(crate) fn copy_page(&mut self, from: u32, to: u32) {
        let (from, to) = (from as usize, to as usize);
        assert!(from < self.shape.pages && to < self.shape.pages, "pages {from} and {to} of {}", self.shape.pages);
        let bytes = page_bytes(self.shape);
        self.memory.copy_within(from * bytes..(from + 1) * bytes, to * bytes);
    }

    /// The keys of one head of one page as they are stored.
    pub(crate) fn stored_keys(&self, page: u32, head: usize) -> Stored<'_> {
        let block = key_block(self.shape);
        Stored::new(block, self.block(page, head * head_bytes(self.shape), block.bytes()))
    }

    /// The values of one head of one page as they are stored.
    pub(crate) fn stored_values(&self, page: u32, head: usize) -> Stored<'_> {
        let block = value_block(self.shape);
        let start = head * head_bytes(self.shape) + key_block(self.shape).bytes();
        Stored::new(block, self.block(page, start, block.bytes()))
    }

    /// The stored bytes, page after page.
    pub fn bytes(&self) -> &[u8] {
        &self.memory
    }

    fn block(&self, page: u32, start: usize, len: usize) -> &[u8] {
        let page = page as usize;
        assert!(page < self.shape.pages, "page {page} of {}", self.shape.pages);
        &self.memory[page * page_bytes(self.shape) + start..][..len]
    }
}

/// f32 of scratch that widening the keys or values of one head of one page may need.
pub(crate) const fn scratch_len(head_size: usize) -> usize {
    PAGE * padded(head_size)
}

const fn key_block(shape: CacheShape) -> Block {
    Block { kind: shape.key, head_size: shape.head_size, width: padded(shape.head_size), keys: true }
}

const fn value_block(shape: CacheShape) -> Block {
    Block { kind: shape.value, head_size: shape.head_size, width: padded(shape.head_size), keys: false }
}

/// Bytes of the keys and values of one head of one page.
const fn head_bytes(shape: CacheShape) -> usize {
    key_block(shape).bytes() + value_block(shape).bytes()
}

const fn page_bytes(shape: CacheShape) -> usize {
    shape.heads * head_bytes(shape)
}

/// Keys `[D][PAGE]` or values `[PAGE][padded D]` of one head of one page.
#[derive(Clone, Copy)]
pub(crate) enum Stored<'a> {
    Floats(&'a [f32]),
    Halves(&'a [f16]),
    Steps(Steps<'a>),
}

/// 8-bit numbers and their scales.
#[derive(Clone, Copy)]
pub(crate) struct Steps<'a> {
    block: Block,
    pub(crate) numbers: &'a [i8],
    /// Keys: `[groups][PAGE]`; values: `[PAGE][groups]`.
    pub(crate) scales: &'a [f16],
}

impl<'a> Stored<'a> {
    fn new(block: Block, bytes: &'a [u8]) -> Self {
        let count = block.numbers();
        match block.kind {
            CacheType::F32 => Self::Floats(elements(bytes, count)),
            CacheType::F16 => Self::Halves(elements(bytes, count)),
            CacheType::Q8_0 => {
                let (numbers, scales) = bytes.split_at(count);
                let (numbers, scales) = (elements(numbers, count), elements(scales, PAGE * block.groups()));
                Self::Steps(Steps { block, numbers, scales })
            }
        }
    }

    /// Where the numbers start, to be fetched ahead.
    pub(crate) fn start(self) -> *const u8 {
        match self {
            Stored::Floats(numbers) => numbers.as_ptr().cast(),
            Stored::Halves(numbers) => numbers.as_ptr().cast(),
            Stored::Steps(steps) => steps.numbers.as_ptr().cast(),
        }
    }

    /// As f32: in place, or widened into `scratch` of [`scratch_len`].
    #[inline(always)]
    pub(crate) fn widen<S: Simd>(self, s: S, scratch: &'a mut [f32]) -> &'a [f32] {
        match self {
            Stored::Floats(numbers) => numbers,
            Stored::Halves(numbers) => {
                let out = &mut scratch[..numbers.len()];
                for (lanes, numbers) in out.as_chunks_mut::<LANES>().0.iter_mut().zip(numbers.as_chunks::<LANES>().0) {
                    // SAFETY: eight halves.
                    *lanes = s.to_array(unsafe { s.load_f16(numbers.as_ptr()) });
                }
                out
            }
            Stored::Steps(steps) => {
                let out = &mut scratch[..steps.numbers.len()];
                if steps.block.keys {
                    steps.widen_keys(s, out)
                } else {
                    steps.widen_values(s, out)
                }
                out
            }
        }
    }
}

impl Steps<'_> {
    #[inline(always)]
    fn widen_keys<S: Simd>(self, s: S, out: &mut [f32]) {
        let (rows, numbers) = (out.as_chunks_mut::<PAGE>().0, self.numbers.as_chunks::<PAGE>().0);
        for (channel, (out, numbers)) in rows.iter_mut().zip(numbers).enumerate() {
            let scales = &self.scales[channel / GROUP * PAGE..][..PAGE];
            for at in (0..PAGE).step_by(LANES) {
                // SAFETY: all three have PAGE places.
                unsafe {
                    let scale = s.load_f16(scales.as_ptr().add(at));
                    let value = s.mul(s.load_i8(numbers.as_ptr().add(at)), scale);
                    s.store(out.as_mut_ptr().add(at), value);
                }
            }
        }
    }

    #[inline(always)]
    fn widen_values<S: Simd>(self, s: S, out: &mut [f32]) {
        let Block { width, .. } = self.block;
        let groups = self.block.groups();
        let (mut slot, mut group) = (0, 0);
        // PAGE is a multiple of 8, and so is the number of scales.
        for scales in self.scales.as_chunks::<LANES>().0 {
            // SAFETY: eight halves.
            for scale in s.to_array(unsafe { s.load_f16(scales.as_ptr()) }) {
                let row = slot * width;
                for at in (row + group * GROUP..row + width.min((group + 1) * GROUP)).step_by(LANES) {
                    let (numbers, out) = (&self.numbers[at..at + LANES], &mut out[at..at + LANES]);
                    // SAFETY: eight places in both.
                    unsafe { s.store(out.as_mut_ptr(), s.mul(s.load_i8(numbers.as_ptr()), s.splat(scale))) };
                }
                group += 1;
                if group == groups {
                    (slot, group) = (slot + 1, 0);
                }
            }
        }
    }

    /// Scales of a position or of a channel.
    pub(crate) fn groups(self) -> usize {
        self.block.groups()
    }
}

/// The first `count` elements of a block; every pattern of bits is one.
fn elements<T: Number>(bytes: &[u8], count: usize) -> &[T] {
    assert!(bytes.len() >= count * size_of::<T>() && bytes.as_ptr().cast::<T>().is_aligned());
    // SAFETY: aligned, long enough, and any bits are a number.
    unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast(), count) }
}

/// Types of which every pattern of bits is a value.
trait Number {}
impl Number for f32 {}
impl Number for f16 {}
impl Number for i8 {}

/// Writes rows into a cache from several workers.
#[derive(Clone, Copy)]
pub(crate) struct Writer<'a> {
    shape: CacheShape,
    bytes: Shared<'a, u8>,
}

impl Writer<'_> {
    /// Stores key and value `[D]` of one head at a position.
    ///
    /// # Safety
    /// No other worker writes this head of this position, and none reads its page, at the same time.
    pub(crate) unsafe fn store(&self, table: PageTable<'_>, position: usize, head: usize, key: &[f32], value: &[f32]) {
        let page = cache_page(table, position / PAGE) as usize;
        assert!(page < self.shape.pages, "page {page} of {}", self.shape.pages);
        assert!(key.len() == self.shape.head_size && value.len() == self.shape.head_size, "one head of key and value");
        let slot = position % PAGE;
        let (keys, values) = (key_block(self.shape), value_block(self.shape));
        let start = page * page_bytes(self.shape) + head * head_bytes(self.shape);
        // SAFETY: passed on.
        unsafe {
            self.put(keys, start, slot, key);
            self.put(values, start + keys.bytes(), slot, value);
        }
    }

    /// Asks for the memory that [`Writer::store`] will write: each key is spread over as many lines as it has channels.
    pub(crate) fn fetch(&self, isa: Isa, table: PageTable<'_>, position: usize, head: usize) {
        let page = cache_page(table, position / PAGE) as usize;
        let start = page * page_bytes(self.shape) + head * head_bytes(self.shape);
        let keys = key_block(self.shape);
        for (block, start) in [(keys, start), (value_block(self.shape), start + keys.bytes())] {
            isa.run(Fetch { block, slot: position % PAGE, start: self.bytes.address(start) });
        }
    }

    /// # Safety
    /// As [`Writer::store`].
    unsafe fn put(&self, block: Block, start: usize, slot: usize, x: &[f32]) {
        match block.kind {
            CacheType::F32 => {
                for (channel, x) in x.iter().enumerate() {
                    // SAFETY: this slot's numbers are ours.
                    unsafe { self.write(start + 4 * block.number(slot, channel), x.to_le_bytes()) };
                }
            }
            CacheType::F16 => {
                let (mut finite, mut halves) = ([0.0f32; GROUP], [f16::ZERO; GROUP]);
                for (group, x) in x.chunks(GROUP).enumerate() {
                    // An infinity would turn masked scores of the tile into NaN.
                    finite.iter_mut().zip(x).for_each(|(finite, x)| *finite = x.clamp(-65504.0, 65504.0));
                    halves.convert_from_f32_slice(&finite);
                    for (i, half) in halves[..x.len()].iter().enumerate() {
                        // SAFETY: this slot's numbers are ours.
                        unsafe { self.write(start + 2 * block.number(slot, group * GROUP + i), half.to_le_bytes()) };
                    }
                }
            }
            CacheType::Q8_0 => {
                for (group, x) in x.chunks(GROUP).enumerate() {
                    let largest = x.iter().fold(0.0f32, |m, x| m.max(x.abs()));
                    let scale = f16::from_f32((largest / 127.0).min(65504.0));
                    let step = scale.to_f32();
                    let inverse = if step > 0.0 { 1.0 / step } else { 0.0 };
                    let at = start + block.numbers() + 2 * block.scale(slot, group);
                    // SAFETY: this slot's numbers and scales are ours.
                    unsafe { self.write(at, scale.to_le_bytes()) };
                    for (i, x) in x.iter().enumerate() {
                        let steps = (x * inverse).round_ties_even().clamp(-127.0, 127.0) as i8;
                        // SAFETY: as above.
                        unsafe { self.write(start + block.number(slot, group * GROUP + i), steps.to_le_bytes()) };
                    }
                }
            }
        }
    }

    /// # Safety
    /// As [`Writer::store`].
    unsafe fn write<const B: usize>(&self, at: usize, bytes: [u8; B]) {
        // SAFETY: passed on.
        unsafe { self.bytes.part(at, B) }.copy_from_slice(&bytes);
    }
}

/// Asks for the numbers and scales of a slot of a block at `start`.
struct Fetch {
    block: Block,
    slot: usize,
    start: *const u8,
}

impl Body for Fetch {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { block, slot, start } = self;
        let size = block.number_bytes();
        // A line at a time where channels are neighbours.
        let step = if block.keys { 1 } else { LINE / size };
        for channel in (0..block.head_size).step_by(step) {
            s.prefetch(start.wrapping_add(size * block.number(slot, channel)));
        }
        if block.kind == CacheType::Q8_0 {
            for group in 0..block.groups() {
                s.prefetch(start.wrapping_add(block.numbers() + 2 * block.scale(slot, group)));
            }
        }
    }
}

/// The cache page that holds page `index` of a sequence.
///
/// # Panics
/// If the table does not cover it.
pub(crate) fn cache_page(table: PageTable<'_>, index: usize) -> u32 {
    index.checked_sub(table.first).and_then(|i| table.pages.get(i).copied()).unwrap_or_else(|| {
        panic!("page {index} of a sequence whose table holds {} from {}", table.pages.len(), table.first)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct ReadBack<'a>(&'a Cache, u32, usize, &'a mut [f32], &'a mut [f32]);
    impl Body for ReadBack<'_> {
        type Out = (Vec<f32>, Vec<f32>);
        #[inline(always)]
        fn run<S: Simd>(self, s: S) -> Self::Out {
            let Self(cache, page, head, keys, values) = self;
            let keys = cache.stored_keys(page, head).widen(s, keys).to_vec();
            (keys, cache.stored_values(page, head).widen(s, values).to_vec())
        }
    }

    fn check(kind: CacheType, head_size: usize, bound: f32) {
        let shape = CacheShape { pages: 3, heads: 2, head_size, key: kind, value: kind };
        let mut cache = Cache::new(shape).unwrap();
        let channel = |position: usize, c: usize| ((position * 31 + c * 7) as f32).sin() * 2.0;
        let pages = [2u32, 0];
        let table = PageTable { first: 1, pages: &pages };
        for position in [64, 65, 127, 128, 130] {
            for head in 0..2 {
                let key: Vec<f32> = (0..head_size).map(|c| channel(position + head, c)).collect();
                let value: Vec<f32> = (0..head_size).map(|c| -channel(position, c + head)).collect();
                // SAFETY: one thread.
                unsafe { cache.writer().store(table, position, head, &key, &value) };
            }
        }
        cache.copy_page(0, 1);
        for isa in Isa::available() {
            let mut scratch = [vec![0.0; scratch_len(head_size)], vec![0.0; scratch_len(head_size)]];
            for (position, page) in [(64, 2), (65, 2), (127, 2), (128, 0), (130, 0), (128, 1), (130, 1)] {
                for head in 0..2 {
                    let [a, b] = &mut scratch;
                    let (keys, values) = isa.run(ReadBack(&cache, page, head, a, b));
                    for c in 0..head_size {
                        let (key, value) = (channel(position + head, c), -channel(position, c + head));
                        let slot = position % PAGE;
                        assert!((keys[c * PAGE + slot] - key).abs() <= bound, "{isa} {kind:?} key {position} {c}");
                        assert!((values[slot * padded(head_size) + c] - value).abs() <= bound, "{isa} {kind:?} value");
                    }
                }
            }
        }
    }

    #[test]
    fn reads_back_what_was_stored_within_the_type() {
        for head_size in [1, 4, 7, 23, 32, 40, 64, 80, 96] {
            check(CacheType::F32, head_size, 0.0);
            check(CacheType::F16, head_size, 2.0 / 2048.0);
            check(CacheType::Q8_0, head_size, 2.0 / 250.0);
        }
    }

    #[test]
    fn refuses_a_cache_beyond_memory() {
        let (key, value) = (CacheType::F16, CacheType::F16);
        for (pages, heads) in [(usize::MAX / 1024, 16), (1, usize::MAX), (usize::MAX, 1 << 36)] {
            let shape = CacheShape { pages, heads, head_size: 64, key, value };
            assert!(matches!(Cache::new(shape), Err(DeviceError::OutOfMemory { .. })));
        }
    }
}
