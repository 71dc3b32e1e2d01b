//! The values of a page: PLAIN, dictionary and RLE. [`super::delta`] has the others.

use std::rc::Rc;

use crate::flaw::{Flaw, Said, damaged, unsupported};
use crate::limits::Budget;
use crate::parquet::delta;
use crate::parquet::schema::Stored;
use crate::parquet::thrift::varint;

/// Values that are there, in order.
#[derive(Debug, Clone)]
pub(crate) enum Values {
    Bool(Vec<bool>),
    Whole(Vec<i64>),
    Float(Vec<f64>),
    /// Parts of the page, each from one place to another.
    Bytes {
        page: Rc<Vec<u8>>,
        spans: Vec<(usize, usize)>,
    },
    Indexed {
        dictionary: Rc<Values>,
        indices: Vec<u32>,
    },
}

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Scalar<'a> {
    Bool(bool),
    Whole(i64),
    Float(f64),
    Bytes(&'a [u8]),
}

impl Values {
    pub(crate) fn at(&self, at: usize) -> Option<Scalar<'_>> {
        match self {
            Values::Bool(values) => values.get(at).map(|&value| Scalar::Bool(value)),
            Values::Whole(values) => values.get(at).map(|&value| Scalar::Whole(value)),
            Values::Float(values) => values.get(at).map(|&value| Scalar::Float(value)),
            Values::Bytes { page, spans } => {
                let &(from, to) = spans.get(at)?;
                page.get(from..to).map(Scalar::Bytes)
            }
            Values::Indexed { dictionary, indices } => match dictionary.as_ref() {
                // A dictionary has no dictionary.
                Values::Indexed { .. } => None,
                values => values.at(usize::try_from(*indices.get(at)?).ok()?),
            },
        }
    }
}

/// The part of a page that holds values.
pub(crate) struct Part {
    pub(crate) page: Rc<Vec<u8>>,
    /// Where the values begin.
    pub(crate) from: usize,
    /// How many there are; it was counted.
    pub(crate) count: usize,
}

impl Part {
    pub(crate) fn bytes(&self) -> &[u8] {
        self.page.get(self.from..).unwrap_or_default()
    }
}

pub(crate) fn short() -> Flaw {
    damaged("a page is shorter than its values")
}

/// Values by the number of their `Encoding`.
pub(crate) fn values(
    part: &Part,
    encoding: i64,
    stored: Stored,
    dictionary: Option<&Rc<Values>>,
    budget: &mut Budget<'_>,
) -> Said<Values> {
    let bytes = part.bytes();
    match encoding {
        0 => plain(part, stored),
        2 | 8 => {
            let dictionary = dictionary.ok_or_else(|| damaged("a page wants a dictionary, and there is none"))?;
            let dictionary = dictionary.clone();
            if part.count == 0 {
                return Ok(Values::Indexed { dictionary, indices: Vec::new() });
            }
            let (&width, packed) = bytes.split_first().ok_or_else(short)?;
            Ok(Values::Indexed { dictionary, indices: hybrid(packed, width, part.count)? })
        }
        3 if stored == Stored::Bool => {
            if part.count == 0 {
                return Ok(Values::Bool(Vec::new()));
            }
            let (length, packed) = bytes.split_first_chunk().ok_or_else(short)?;
            let packed = packed.get(..u32::from_le_bytes(*length) as usize).ok_or_else(short)?;
            Ok(Values::Bool(hybrid(packed, 1, part.count)?.into_iter().map(|bit| bit == 1).collect()))
        }
        5 if matches!(stored, Stored::Int32 | Stored::Int64) => delta::whole(part, stored),
        6 if stored == Stored::Bytes => delta::lengths_first(part),
        7 if stored == Stored::Bytes => delta::prefixed(part, budget),
        9 => Err(unsupported("its floats are split by bytes (BYTE_STREAM_SPLIT)")),
        other => Err(unsupported(format!("its values are stored by encoding {other}"))),
    }
}

fn plain(part: &Part, stored: Stored) -> Said<Values> {
    let (bytes, count) = (part.bytes(), part.count);
    Ok(match stored {
        Stored::Bool => {
            let bits = bytes.get(..count.div_ceil(8)).ok_or_else(short)?;
            Values::Bool((0..count).map(|at| bits[at / 8] >> (at % 8) & 1 == 1).collect())
        }
        Stored::Int32 => Values::Whole(each(bytes, count, |four| i64::from(i32::from_le_bytes(four)))?),
        Stored::Int64 => Values::Whole(each(bytes, count, i64::from_le_bytes)?),
        Stored::Float => Values::Float(each(bytes, count, |four| f64::from(f32::from_le_bytes(four)))?),
        Stored::Double => Values::Float(each(bytes, count, f64::from_le_bytes)?),
        Stored::Bytes => {
            let mut spans = Vec::new();
            let mut at = part.from;
            for _ in 0..count {
                let length = part.page.get(at..).and_then(<[u8]>::first_chunk).ok_or_else(short)?;
                let from = at + 4;
                at = from.checked_add(u32::from_le_bytes(*length) as usize).ok_or_else(short)?;
                if at > part.page.len() {
                    return Err(short());
                }
                spans.push((from, at));
            }
            Values::Bytes { page: part.page.clone(), spans }
        }
        Stored::Fixed(width) => {
            let length = count.checked_mul(width).filter(|&length| length <= bytes.len() && width > 0);
            length.ok_or_else(short)?;
            let span = |at| (part.from + at * width, part.from + (at + 1) * width);
            Values::Bytes { page: part.page.clone(), spans: (0..count).map(span).collect() }
        }
    })
}

fn each<const N: usize, T>(bytes: &[u8], count: usize, value: impl Fn([u8; N]) -> T) -> Said<Vec<T>> {
    let (chunks, _) = bytes.as_chunks::<N>();
    Ok(chunks.get(..count).ok_or_else(short)?.iter().map(|chunk| value(*chunk)).collect())
}

/// `count` numbers of `width` bits, in runs: the lowest bit of a run's header tells groups of eight packed numbers from one
/// number repeated.
pub(crate) fn hybrid(mut bytes: &[u8], width: u8, count: usize) -> Said<Vec<u32>> {
    if width > 32 {
        return Err(damaged(format!("a page has numbers of {width} bits")));
    }
    let mut numbers = Vec::new();
    while numbers.len() < count {
        let left = count - numbers.len();
        let (header, length) = varint(bytes).ok_or_else(short)?;
        bytes = &bytes[length..];
        let run = usize::try_from(header >> 1).map_err(|_| short())?;
        if header & 1 == 1 {
            let packed = run.saturating_mul(usize::from(width)).min(bytes.len());
            let wanted = run.saturating_mul(8).min(left);
            // Some writers leave out the end of the last group.
            unpack(&bytes[..packed], width, wanted, &mut numbers)?;
            bytes = &bytes[packed..];
        } else {
            let number = bytes.get(..usize::from(width).div_ceil(8)).ok_or_else(short)?;
            bytes = &bytes[number.len()..];
            let number = number.iter().rev().fold(0, |sum, &byte| sum << 8 | u32::from(byte));
            numbers.resize(numbers.len() + run.min(left), number);
        }
    }
    Ok(numbers)
}

/// Numbers of `width` bits, the lowest bit first.
fn unpack(bytes: &[u8], width: u8, count: usize, numbers: &mut Vec<u32>) -> Said<()> {
    if bytes.len().saturating_mul(8) < count.saturating_mul(usize::from(width)) {
        return Err(short());
    }
    let mask = (1u64 << width) - 1;
    let (mut held, mut bits, mut bytes) = (0u64, 0u8, bytes.iter());
    for _ in 0..count {
        while bits < width {
            held |= u64::from(*bytes.next().ok_or_else(short)?) << bits;
            bits += 8;
        }
        numbers.push((held & mask) as u32);
        held >>= width;
        bits -= width;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_runs_and_packed_groups() {
        // The example of Encodings.md: 0 to 7 in three bits each.
        let packed = [0b0000_0011, 0b1000_1000, 0b1100_0110, 0b1111_1010];
        assert_eq!(hybrid(&packed, 3, 8).unwrap(), [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(hybrid(&[10, 7, 3, 1], 3, 7).unwrap(), [7, 7, 7, 7, 7, 1, 0]);
        assert_eq!(hybrid(&[6, 0x34, 0x12], 16, 3).unwrap(), [0x1234; 3]);
        assert_eq!(hybrid(&[8], 0, 4).unwrap(), [0; 4]);
        assert!(hybrid(&packed[..3], 3, 8).is_err());
        assert!(hybrid(&[], 1, 1).is_err());
        assert!(hybrid(&[2, 1], 33, 1).is_err());
        // A run that promises more than anybody asked for.
        assert_eq!(hybrid(&[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 1], 1, 3).unwrap(), [1; 3]);
    }
}
