//! Thrift's compact protocol, as far as Parquet needs it. Nothing is allocated by a length before the bytes are seen.

use crate::flaw::{Flaw, Said, damaged};

/// Structures within structures.
const DEEPEST: usize = 32;

/// The type of a field, as its header has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind(u8);

impl Kind {
    const TRUE: Kind = Kind(1);
    const BINARY: Kind = Kind(8);
    const LIST: Kind = Kind(9);
    pub(crate) const STRUCT: Kind = Kind(12);
}

/// A reader, at some byte.
pub(crate) struct Thrift<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: usize,
}

fn broken() -> Flaw {
    damaged("a description in it (Thrift) is damaged or cut short")
}

impl<'a> Thrift<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Thrift { bytes, at: 0, depth: 0 }
    }

    /// Bytes read so far.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// Reads a structure: `field` gets each field's number and type, and reads its value or says with `false` that it has
    /// not, and then it is passed over.
    pub(crate) fn structure(&mut self, mut field: impl FnMut(&mut Self, i16, Kind) -> Said<bool>) -> Said<()> {
        self.deeper(|this| {
            let mut last = 0i16;
            loop {
                let header = this.byte()?;
                if header == 0 {
                    return Ok(());
                }
                let number = match header >> 4 {
                    0 => i16::try_from(this.integer()?).map_err(|_| broken())?,
                    step => last.checked_add(i16::from(step)).ok_or_else(broken)?,
                };
                last = number;
                let kind = Kind(header & 15);
                if !field(this, number, kind)? {
                    this.skip(kind)?;
                }
            }
        })
    }

    /// Reads a list of structures, calling `item` before each.
    pub(crate) fn structures(&mut self, kind: Kind, mut item: impl FnMut(&mut Self) -> Said<()>) -> Said<()> {
        if kind != Kind::LIST {
            return Err(broken());
        }
        let (of, count) = self.list()?;
        if of != Kind::STRUCT && count > 0 {
            return Err(broken());
        }
        (0..count).try_for_each(|_| item(self))
    }

    /// A whole number of any width.
    pub(crate) fn number(&mut self, kind: Kind) -> Said<i64> {
        match kind.0 {
            3 => Ok(i64::from(self.byte()?.cast_signed())),
            4..=6 => self.integer(),
            _ => Err(broken()),
        }
    }

    /// A number that must not be negative and must fit.
    pub(crate) fn size(&mut self, kind: Kind) -> Said<usize> {
        usize::try_from(self.number(kind)?).map_err(|_| damaged("a length or place in it is negative"))
    }

    /// The value of a field that is a truth value: it is in the type.
    pub(crate) fn truth(kind: Kind) -> Said<bool> {
        match kind.0 {
            1 | 2 => Ok(kind == Kind::TRUE),
            _ => Err(broken()),
        }
    }

    pub(crate) fn text(&mut self, kind: Kind) -> Said<&'a str> {
        if kind != Kind::BINARY {
            return Err(broken());
        }
        let length = self.length()?;
        std::str::from_utf8(self.take(length)?).map_err(|_| damaged("a name in it is not UTF-8"))
    }

    /// Passes over a value.
    fn skip(&mut self, kind: Kind) -> Said<()> {
        self.deeper(|this| match kind.0 {
            // A truth value is in the type of its field.
            1 | 2 => Ok(()),
            _ => this.skip_element(kind),
        })
    }

    /// Passes over an element of a list, where truth values have a byte.
    fn skip_element(&mut self, kind: Kind) -> Said<()> {
        match kind.0 {
            1..=3 => self.take(1).map(|_| ()),
            4..=6 => self.varint().map(|_| ()),
            7 => self.take(8).map(|_| ()),
            8 => {
                let length = self.length()?;
                self.take(length).map(|_| ())
            }
            9 | 10 => self.deeper(|this| {
                let (of, count) = this.list()?;
                (0..count).try_for_each(|_| this.skip_element(of))
            }),
            11 => self.deeper(|this| {
                let count = this.length()?;
                let kinds = if count == 0 { 0 } else { this.byte()? };
                for _ in 0..count {
                    this.skip_element(Kind(kinds >> 4))?;
                    this.skip_element(Kind(kinds & 15))?;
                }
                Ok(())
            }),
            12 => self.structure(|_, _, _| Ok(false)),
            _ => Err(broken()),
        }
    }

    /// The type of a list's elements and their number. Each takes a byte at least.
    fn list(&mut self) -> Said<(Kind, usize)> {
        let header = self.byte()?;
        let count = match header >> 4 {
            15 => self.length()?,
            count => usize::from(count),
        };
        if count > self.bytes.len() - self.at {
            return Err(broken());
        }
        Ok((Kind(header & 15), count))
    }

    fn deeper<T>(&mut self, inside: impl FnOnce(&mut Self) -> Said<T>) -> Said<T> {
        if self.depth >= DEEPEST {
            return Err(damaged("a description in it lies too deep"));
        }
        self.depth += 1;
        let result = inside(self);
        self.depth -= 1;
        result
    }

    fn length(&mut self) -> Said<usize> {
        usize::try_from(self.varint()?).map_err(|_| broken())
    }

    /// Zigzag: the lowest bit is the sign.
    fn integer(&mut self) -> Said<i64> {
        self.varint().map(unzigzag)
    }

    fn varint(&mut self) -> Said<u64> {
        let (number, length) = varint(self.bytes.get(self.at..).unwrap_or_default()).ok_or_else(broken)?;
        self.at += length;
        Ok(number)
    }

    fn byte(&mut self) -> Said<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn take(&mut self, length: usize) -> Said<&'a [u8]> {
        let end = self.at.checked_add(length);
        let taken = end.and_then(|end| self.bytes.get(self.at..end)).ok_or_else(broken)?;
        self.at += length;
        Ok(taken)
    }
}

/// A number in groups of seven bits, the lowest first, and the bytes it took.
pub(crate) fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut number = 0u64;
    for (at, &byte) in bytes.iter().take(10).enumerate() {
        number |= u64::from(byte & 127) << (7 * at);
        if byte < 128 {
            return Some((number, at + 1));
        }
    }
    None
}

/// The signed number of an unsigned one whose lowest bit is the sign.
pub(crate) fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}
