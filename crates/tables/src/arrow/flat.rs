//! FlatBuffers, as far as Arrow's descriptions need them; every offset is checked where it is followed.
//!
//! A table begins with the distance back to its vtable, which holds two lengths and then, for each field in the order of
//! the schema, where in the table it lies, 0 if it has its default. Texts, vectors and tables lie elsewhere, at a distance
//! forward from where the field lies. Source: the FlatBuffers internals document.

use crate::flaw::{Flaw, Said, damaged};

/// A table within a buffer.
#[derive(Clone, Copy)]
pub(crate) struct Table<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Where the vtable's first field stands, and how many it has.
    fields: usize,
    count: usize,
}

/// Elements of one width.
#[derive(Clone, Copy)]
pub(crate) struct Vector<'a> {
    bytes: &'a [u8],
    at: usize,
    width: usize,
    pub(crate) len: usize,
}

fn outside() -> Flaw {
    damaged("a description in it points outside of itself")
}

fn slice(bytes: &[u8], at: usize, length: usize) -> Said<&[u8]> {
    at.checked_add(length).and_then(|end| bytes.get(at..end)).ok_or_else(outside)
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Said<[u8; N]> {
    slice(bytes, at, N)?.try_into().map_err(|_| outside())
}

/// Where the thing lies that the offset at `at` leads to.
fn follow(bytes: &[u8], at: usize) -> Said<usize> {
    let distance = u32::from_le_bytes(array(bytes, at)?);
    usize::try_from(distance).ok().and_then(|distance| at.checked_add(distance)).ok_or_else(outside)
}

impl<'a> Table<'a> {
    /// The table that a buffer begins with an offset to.
    pub(crate) fn root(bytes: &'a [u8]) -> Said<Self> {
        Self::open(bytes, follow(bytes, 0)?)
    }

    fn open(bytes: &'a [u8], at: usize) -> Said<Self> {
        let back = i64::from(i32::from_le_bytes(array(bytes, at)?));
        let vtable = i64::try_from(at).ok().and_then(|at| at.checked_sub(back));
        let vtable = vtable.and_then(|vtable| usize::try_from(vtable).ok()).ok_or_else(outside)?;
        let length = usize::from(u16::from_le_bytes(array(bytes, vtable)?));
        slice(bytes, vtable, length)?;
        let count = length.checked_sub(4).ok_or_else(outside)? / 2;
        Ok(Table { bytes, at, fields: vtable + 4, count })
    }

    /// Where a field lies, if it has not its default.
    fn slot(&self, field: usize) -> Said<Option<usize>> {
        if field >= self.count {
            return Ok(None);
        }
        let offset = u16::from_le_bytes(array(self.bytes, self.fields + 2 * field)?);
        Ok((offset != 0).then_some(self.at + usize::from(offset)))
    }

    fn scalar<const N: usize>(&self, field: usize) -> Said<Option<[u8; N]>> {
        self.slot(field)?.map(|at| array(self.bytes, at)).transpose()
    }

    pub(crate) fn u8(&self, field: usize, default: u8) -> Said<u8> {
        Ok(self.scalar::<1>(field)?.map_or(default, |[byte]| byte))
    }

    pub(crate) fn bool(&self, field: usize) -> Said<bool> {
        Ok(self.u8(field, 0)? != 0)
    }

    pub(crate) fn i16(&self, field: usize, default: i16) -> Said<i16> {
        Ok(self.scalar(field)?.map_or(default, i16::from_le_bytes))
    }

    pub(crate) fn i32(&self, field: usize, default: i32) -> Said<i32> {
        Ok(self.scalar(field)?.map_or(default, i32::from_le_bytes))
    }

    pub(crate) fn i64(&self, field: usize, default: i64) -> Said<i64> {
        Ok(self.scalar(field)?.map_or(default, i64::from_le_bytes))
    }

    pub(crate) fn table(&self, field: usize) -> Said<Option<Table<'a>>> {
        let Some(at) = self.slot(field)? else { return Ok(None) };
        Table::open(self.bytes, follow(self.bytes, at)?).map(Some)
    }

    pub(crate) fn text(&self, field: usize) -> Said<Option<&'a str>> {
        let Some(letters) = self.vector(field, 1)? else { return Ok(None) };
        let letters = slice(self.bytes, letters.at, letters.len)?;
        std::str::from_utf8(letters).map(Some).map_err(|_| damaged("a name in it is not UTF-8"))
    }

    pub(crate) fn vector(&self, field: usize, width: usize) -> Said<Option<Vector<'a>>> {
        let Some(at) = self.slot(field)? else { return Ok(None) };
        let at = follow(self.bytes, at)?;
        let len = u32::from_le_bytes(array(self.bytes, at)?) as usize;
        let vector = Vector { bytes: self.bytes, at: at + 4, width, len };
        slice(self.bytes, vector.at, len.checked_mul(width).ok_or_else(outside)?)?;
        Ok(Some(vector))
    }
}

impl<'a> Vector<'a> {
    /// A 64-bit number within an element, `offset` bytes into it.
    pub(crate) fn i64(&self, index: usize, offset: usize) -> Said<i64> {
        Ok(i64::from_le_bytes(array(self.bytes, self.element(index)? + offset)?))
    }

    /// The table that an element is an offset to.
    pub(crate) fn table(&self, index: usize) -> Said<Table<'a>> {
        Table::open(self.bytes, follow(self.bytes, self.element(index)?)?)
    }

    fn element(&self, index: usize) -> Said<usize> {
        if index >= self.len {
            return Err(outside());
        }
        Ok(self.at + index * self.width)
    }
}
