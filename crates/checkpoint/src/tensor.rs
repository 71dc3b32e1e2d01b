//! What a file says of one tensor, and the arithmetic every format shares.

use gptneo_device::DType;

use crate::error::Fault;

/// Most tensors in one file; the largest published models have a few thousand.
pub(crate) const MAX_TENSORS: usize = 1 << 16;

/// Most axes of one tensor.
pub(crate) const MAX_RANK: usize = 8;

/// One tensor of a checkpoint: what it is, and where it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TensorInfo {
    /// As the file spells it.
    pub name: String,
    /// How its elements are stored.
    pub dtype: DType,
    /// Lengths of the axes, outermost first (GGUF files store them innermost first).
    pub shape: Vec<usize>,
    /// Index of the file among the checkpoint's.
    pub(crate) file: usize,
    /// First byte in the file.
    pub(crate) offset: u64,
    /// Bytes in the file, from the first element to the last.
    pub(crate) span: usize,
    /// Elements between neighbours along each axis, where they are not those of a row-major tensor.
    pub(crate) strides: Option<Box<[usize]>>,
}

impl TensorInfo {
    /// Number of elements.
    pub fn elements(&self) -> usize {
        // Checked when the header was read.
        self.shape.iter().product()
    }

    /// Bytes that `Checkpoint::bytes` gives: the elements in row-major order, whole blocks.
    pub fn byte_len(&self) -> usize {
        if self.strides.is_some() { self.elements() * self.dtype.block_bytes() } else { self.span }
    }

    /// Position of the first byte in its file.
    pub fn offset(&self) -> u64 {
        self.offset
    }
}

/// Bytes of a tensor of `dtype` and `shape`, whose rows are whole blocks.
pub(crate) fn byte_len(name: &str, dtype: DType, shape: &[usize]) -> Result<usize, Fault> {
    if shape.len() > MAX_RANK {
        return Err(Fault::tensor(name, format_args!("at most {MAX_RANK} axes"), shape.len()));
    }
    let row = shape.last().copied().unwrap_or(1);
    if !row.is_multiple_of(dtype.block_len()) {
        let wanted = format_args!("rows of whole {dtype} blocks of {}", dtype.block_len()).to_string();
        return Err(Fault::tensor(name, wanted, format_args!("shape {shape:?}")));
    }
    let elements = shape.iter().try_fold(1usize, |product, &axis| product.checked_mul(axis));
    // Pointers reach half of the address space at most: a slice cannot be longer.
    elements
        .and_then(|elements| dtype.bytes_for(elements))
        .filter(|&bytes| isize::try_from(bytes).is_ok())
        .ok_or_else(|| Fault::tensor(name, "a size that fits in memory", format_args!("shape {shape:?}")))
}

/// Positions of `tensors` in order of their names; an error if two share one.
pub(crate) fn order_by_name(tensors: &[TensorInfo]) -> Result<Vec<usize>, Fault> {
    let mut order: Vec<usize> = (0..tensors.len()).collect();
    order.sort_unstable_by(|&a, &b| tensors[a].name.cmp(&tensors[b].name));
    match order.windows(2).find(|pair| tensors[pair[0]].name == tensors[pair[1]].name) {
        Some(pair) => Err(Fault::tensor(&tensors[pair[0]].name, "one tensor of this name", "two")),
        None => Ok(order),
    }
}

/// Refuses a file with too many tensors before room is made for them.
pub(crate) fn check_count(count: u64) -> Result<usize, Fault> {
    usize::try_from(count)
        .ok()
        .filter(|&count| count <= MAX_TENSORS)
        .ok_or_else(|| Fault::structure("number of tensors", format_args!("at most {MAX_TENSORS}"), count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_checked() {
        assert_eq!(byte_len("x", DType::F32, &[]).unwrap(), 4);
        assert_eq!(byte_len("x", DType::Q4_0, &[3, 64]).unwrap(), 108);
        assert_eq!(byte_len("x", DType::F32, &[usize::MAX, 0]).unwrap(), 0);
        for shape in [&[usize::MAX, 2][..], &[usize::MAX / 4], &[1; 9], &[isize::MAX as usize / 4 + 1]] {
            assert!(byte_len("x", DType::F32, shape).is_err(), "{shape:?}");
        }
        assert!(byte_len("x", DType::Q4_0, &[32, 2]).is_err());
    }
}
