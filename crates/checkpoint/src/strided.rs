//! Views whose elements do not lie in row-major order: a transposed matrix, a slice of columns.
//!
//! PyTorch stores a view as its storage, an offset and strides. A view that reads no element twice is copied into
//! row-major order when its bytes are asked for; one that does (`expand`) is refused, since its size is unbounded by
//! that of the file.

/// How the elements of a view lie in its storage.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Row-major, without gaps.
    Contiguous,
    /// In another order or with gaps, each element at its own place.
    Strided,
    /// Several indices share one element.
    Overlapping,
}

/// How a view of `shape` with `strides` (in elements) lies. The two have one length.
pub(crate) fn layout(shape: &[usize], strides: &[usize]) -> Layout {
    if shape.contains(&0) {
        return Layout::Contiguous;
    }
    let mut expected = 1usize;
    let row_major = shape.iter().zip(strides).rev().all(|(&axis, &stride)| {
        let fits = axis == 1 || stride == expected;
        expected = expected.saturating_mul(axis);
        fits
    });
    if row_major {
        return Layout::Contiguous;
    }
    // Sorted by stride, every axis must step over all that the narrower ones reach.
    let mut axes: Vec<_> = shape.iter().zip(strides).filter(|(axis, _)| **axis > 1).collect();
    axes.sort_unstable_by_key(|(_, stride)| **stride);
    let mut reach = 1usize;
    for (&axis, &stride) in axes {
        if stride < reach {
            return Layout::Overlapping;
        }
        reach = reach.saturating_add((axis - 1).saturating_mul(stride));
    }
    Layout::Strided
}

/// Elements from the first to the last of a view, `None` on overflow. Zero for an empty view.
pub(crate) fn span(shape: &[usize], strides: &[usize]) -> Option<usize> {
    if shape.contains(&0) {
        return Some(0);
    }
    shape
        .iter()
        .zip(strides)
        .try_fold(1usize, |span, (&axis, &stride)| span.checked_add((axis - 1).checked_mul(stride)?))
}

/// The elements of a view in row-major order.
///
/// # Panics
/// If `bytes` is shorter than the span of the view, or elements are not 1, 2, 4 or 8 bytes.
pub(crate) fn gather(bytes: &[u8], element_bytes: usize, shape: &[usize], strides: &[usize], out: &mut Vec<u8>) {
    match element_bytes {
        1 => gather_elements::<1>(bytes, shape, strides, out),
        2 => gather_elements::<2>(bytes, shape, strides, out),
        4 => gather_elements::<4>(bytes, shape, strides, out),
        8 => gather_elements::<8>(bytes, shape, strides, out),
        other => panic!("elements of {other} bytes have no strides"),
    }
}

fn gather_elements<const N: usize>(bytes: &[u8], shape: &[usize], strides: &[usize], out: &mut Vec<u8>) {
    if shape.contains(&0) {
        return;
    }
    let (elements, _) = bytes.as_chunks::<N>();
    let Some((&row, outer)) = shape.split_last() else {
        out.extend_from_slice(&elements[0]);
        return;
    };
    let step = strides[outer.len()];
    let mut index = vec![0usize; outer.len()];
    let mut start = 0usize;
    loop {
        for i in 0..row {
            out.extend_from_slice(&elements[start + i * step]);
        }
        // The next row, as an odometer counts.
        let mut axis = outer.len();
        loop {
            if axis == 0 {
                return;
            }
            axis -= 1;
            index[axis] += 1;
            start += strides[axis];
            if index[axis] < outer[axis] {
                break;
            }
            start -= strides[axis] * outer[axis];
            index[axis] = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gathered(shape: &[usize], strides: &[usize]) -> Vec<u8> {
        let bytes: Vec<u8> = (0..24).collect();
        let mut out = Vec::new();
        gather(&bytes, 1, shape, strides, &mut out);
        out
    }

    #[test]
    fn tells_views_apart() {
        assert_eq!(layout(&[2, 3], &[3, 1]), Layout::Contiguous);
        assert_eq!(layout(&[1, 3], &[77, 1]), Layout::Contiguous);
        assert_eq!(layout(&[], &[]), Layout::Contiguous);
        assert_eq!(layout(&[0, 3], &[0, 0]), Layout::Contiguous);
        assert_eq!(layout(&[3, 2], &[1, 3]), Layout::Strided);
        assert_eq!(layout(&[2, 2], &[3, 1]), Layout::Strided);
        assert_eq!(layout(&[4], &[0]), Layout::Overlapping);
        assert_eq!(layout(&[2, 3], &[2, 1]), Layout::Overlapping);
        assert_eq!(layout(&[usize::MAX, usize::MAX], &[usize::MAX, 1]), Layout::Contiguous);
    }

    #[test]
    fn puts_a_transposed_matrix_in_order() {
        assert_eq!(gathered(&[3, 2], &[1, 3]), [0, 3, 1, 4, 2, 5]);
        assert_eq!(gathered(&[2, 2, 2], &[1, 8, 2]), [0, 2, 8, 10, 1, 3, 9, 11]);
        assert_eq!(gathered(&[3], &[5]), [0, 5, 10]);
        assert_eq!(gathered(&[], &[]), [0]);
    }

    #[test]
    fn spans_are_checked() {
        assert_eq!(span(&[3, 2], &[1, 3]), Some(6));
        assert_eq!(span(&[3, 0], &[usize::MAX, 3]), Some(0));
        assert_eq!(span(&[3, 2], &[usize::MAX, 3]), None);
    }
}
