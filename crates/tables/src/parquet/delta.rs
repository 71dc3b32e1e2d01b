//! DELTA_BINARY_PACKED, DELTA_LENGTH_BYTE_ARRAY and DELTA_BYTE_ARRAY.

use std::rc::Rc;

use crate::flaw::{Said, damaged};
use crate::limits::Budget;
use crate::parquet::decode::{Part, Values, short};
use crate::parquet::schema::Stored;
use crate::parquet::thrift::{unzigzag, varint};

/// Whole numbers, each the one before and a difference.
pub(crate) fn whole(part: &Part, stored: Stored) -> Said<Values> {
    let mut at = 0;
    let mut numbers = differences(part.bytes(), &mut at, part.count)?;
    if stored == Stored::Int32 {
        // Sums wrap in the width of the column.
        numbers.iter_mut().for_each(|number| *number = i64::from(*number as i32));
    }
    Ok(Values::Whole(numbers))
}

/// All lengths, then all bytes.
pub(crate) fn lengths_first(part: &Part) -> Said<Values> {
    let mut at = 0;
    let lengths = lengths(part.bytes(), &mut at, part.count)?;
    let mut from = part.from + at;
    let mut spans = Vec::new();
    for length in lengths {
        let to = from.checked_add(length).filter(|&to| to <= part.page.len()).ok_or_else(short)?;
        spans.push((from, to));
        from = to;
    }
    Ok(Values::Bytes { page: part.page.clone(), spans })
}

/// What each shares with the one before, then the rest of each.
pub(crate) fn prefixed(part: &Part, budget: &mut Budget<'_>) -> Said<Values> {
    let bytes = part.bytes();
    let mut at = 0;
    let shared = lengths(bytes, &mut at, part.count)?;
    let rests = lengths(bytes, &mut at, part.count)?;
    let mut whole: Vec<u8> = Vec::new();
    let mut spans: Vec<(usize, usize)> = Vec::new();
    for (shared, rest) in shared.into_iter().zip(rests) {
        let (from, to) = spans.last().copied().unwrap_or_default();
        let end = at.checked_add(rest).filter(|&end| end <= bytes.len()).ok_or_else(short)?;
        if shared > to - from {
            return Err(damaged("a text shares more with the one before than that has"));
        }
        budget.unpack((shared + rest) as u64)?;
        let start = whole.len();
        whole.extend_from_within(from..from + shared);
        whole.extend_from_slice(&bytes[at..end]);
        spans.push((start, whole.len()));
        at = end;
    }
    Ok(Values::Bytes { page: Rc::new(whole), spans })
}

fn lengths(bytes: &[u8], at: &mut usize, count: usize) -> Said<Vec<usize>> {
    let numbers = differences(bytes, at, count)?;
    numbers.into_iter().map(|length| usize::try_from(length).map_err(|_| short())).collect()
}

/// Exactly `count` numbers from `at` on, which moves past them.
fn differences(bytes: &[u8], at: &mut usize, count: usize) -> Said<Vec<i64>> {
    let number = |at: &mut usize| {
        let (number, length) = varint(bytes.get(*at..).unwrap_or_default()).ok_or_else(short)?;
        *at += length;
        Ok(number)
    };
    let (block, parts, total) = (number(at)?, number(at)?, number(at)?);
    let mut last = unzigzag(number(at)?);
    if total != count as u64 {
        return Err(damaged(format!("a page has {total} values instead of {count}")));
    }
    // Both divide evenly by the format, so a part takes whole bytes.
    let part = block.checked_div(parts).filter(|&part| part > 0 && part % 8 == 0);
    let part =
        part.and_then(|part| usize::try_from(part).ok()).ok_or_else(|| damaged("a page has blocks of no size"))?;
    let parts = usize::try_from(parts).map_err(|_| short())?;
    let mut numbers = Vec::new();
    if count > 0 {
        numbers.push(last);
    }
    while numbers.len() < count {
        let least = unzigzag(number(at)?);
        let widths = at.checked_add(parts).and_then(|end| bytes.get(*at..end)).ok_or_else(short)?;
        *at += parts;
        for &width in widths {
            let wanted = part.min(count - numbers.len());
            // Parts after the last value are left out, whatever their width.
            if wanted == 0 {
                break;
            }
            if width > 64 {
                return Err(damaged(format!("a page has differences of {width} bits")));
            }
            let length = (part / 8).checked_mul(usize::from(width)).ok_or_else(short)?;
            let packed = at.checked_add(length).and_then(|end| bytes.get(*at..end)).ok_or_else(short)?;
            *at += length;
            for index in 0..wanted {
                last = last.wrapping_add(least).wrapping_add(bits(packed, index * usize::from(width), width));
                numbers.push(last);
            }
        }
    }
    Ok(numbers)
}

/// The `width` bits, at most 64, from bit `from` on, the lowest first.
fn bits(bytes: &[u8], from: usize, width: u8) -> i64 {
    // At most nine bytes hold them.
    let held = bytes.iter().skip(from / 8).take(9).rev().fold(0u128, |sum, &byte| sum << 8 | u128::from(byte));
    let mask = (1u128 << width) - 1;
    ((held >> (from % 8) & mask) as u64).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_examples_of_the_format() {
        // 1 to 5: differences of 1, so the packed ones are of no width.
        let mut at = 0;
        assert_eq!(differences(&[128, 1, 4, 5, 2, 2, 0, 0, 0, 0], &mut at, 5).unwrap(), [1, 2, 3, 4, 5]);
        assert_eq!(at, 10);
        // 7, 5, 3, 1, 2, 3, 4, 5: the least difference is -2, the others 0 0 0 3 3 3 3 over it, in two bits.
        let mut page = vec![128, 1, 4, 8, 14, 3, 2, 0, 0, 0, 0b1100_0000, 0b0011_1111];
        page.resize(10 + 8, 0);
        assert_eq!(differences(&page, &mut 0, 8).unwrap(), [7, 5, 3, 1, 2, 3, 4, 5]);
        for length in 0..page.len() {
            assert!(differences(&page[..length], &mut 0, 8).is_err(), "{length}");
        }
        assert!(differences(&page, &mut 0, 7).is_err());
        assert!(differences(&[128, 1, 0, 5, 2], &mut 0, 5).is_err());
    }
}
