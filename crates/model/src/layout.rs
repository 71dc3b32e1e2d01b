//! Turning stored layouts into plain rows `[O, C]`, and back.

use crate::error::LoadError;

/// A byte vector of `len` zeros, or an error where there is no room.
pub(crate) fn zeroed(len: usize) -> Result<Vec<u8>, LoadError> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(len).map_err(|_| LoadError::OutOfMemory { bytes: len })?;
    bytes.resize(len, 0);
    Ok(bytes)
}

/// `[rows, cols]` of `element` bytes each to `[cols, rows]`.
pub(crate) fn transpose(bytes: &[u8], rows: usize, cols: usize, element: usize) -> Result<Vec<u8>, LoadError> {
    /// A square of this side fits the first-level cache, read by rows and written by columns.
    const SIDE: usize = 32;
    let mut out = zeroed(bytes.len())?;
    for r0 in (0..rows).step_by(SIDE) {
        for c0 in (0..cols).step_by(SIDE) {
            for c in c0..(c0 + SIDE).min(cols) {
                for r in r0..(r0 + SIDE).min(rows) {
                    let (from, to) = ((r * cols + c) * element, (c * rows + r) * element);
                    out[to..to + element].copy_from_slice(&bytes[from..from + element]);
                }
            }
        }
    }
    Ok(out)
}

/// `[H, 3, block]` to `[3, H, block]`, `block` bytes long.
pub(crate) fn thirds(bytes: &[u8], heads: usize, block: usize) -> Result<Vec<u8>, LoadError> {
    permute(bytes, heads, block, |head, third| third * heads + head, |head, third| head * 3 + third)
}

/// `[3, H, block]` to `[H, 3, block]`: the inverse of [`thirds`].
pub(crate) fn head_major(bytes: &[u8], heads: usize, block: usize) -> Result<Vec<u8>, LoadError> {
    permute(bytes, heads, block, |head, third| head * 3 + third, |head, third| third * heads + head)
}

fn permute(
    bytes: &[u8],
    heads: usize,
    block: usize,
    to: impl Fn(usize, usize) -> usize,
    from: impl Fn(usize, usize) -> usize,
) -> Result<Vec<u8>, LoadError> {
    let mut out = zeroed(bytes.len())?;
    for head in 0..heads {
        for third in 0..3 {
            let (to, from) = (to(head, third) * block, from(head, third) * block);
            out[to..to + block].copy_from_slice(&bytes[from..from + block]);
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transposes_a_ragged_shape_and_back() {
        let bytes: Vec<u8> = (0..37 * 70 * 2).map(|i| (i % 251) as u8).collect();
        let turned = transpose(&bytes, 37, 70, 2).unwrap();
        assert_eq!(turned[2..4], bytes[70 * 2..70 * 2 + 2], "[0, 1] of the result is [1, 0]");
        assert_eq!(transpose(&turned, 70, 37, 2).unwrap(), bytes);
    }

    #[test]
    fn thirds_puts_all_queries_first() {
        // Two heads of one byte: q0 k0 v0 q1 k1 v1.
        assert_eq!(thirds(&[1, 2, 3, 4, 5, 6], 2, 1).unwrap(), [1, 4, 2, 5, 3, 6]);
        assert_eq!(head_major(&[1, 4, 2, 5, 3, 6], 2, 1).unwrap(), [1, 2, 3, 4, 5, 6]);
    }
}
