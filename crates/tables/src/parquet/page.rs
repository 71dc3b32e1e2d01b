//! The pages of a column in a group of rows, one after another.

use std::rc::Rc;

use crate::flaw::{Said, damaged, limit, unsupported};
use crate::inflate::{Compression, unpack_exactly};
use crate::limits::Budget;
use crate::parquet::decode::{Part, Values, hybrid, short, values};
use crate::parquet::footer::Chunk;
use crate::parquet::schema::Leaf;
use crate::parquet::source::Source;
use crate::parquet::thrift::{Kind, Thrift};

/// Compressed bytes of a page.
const LONGEST_PAGE: usize = 1 << 30;

/// Bytes in which a page's description is looked for, at first and at last: it may hold the least and the greatest of its texts.
const FIRST_WINDOW: usize = 1 << 10;
const LAST_WINDOW: usize = 1 << 25;

/// Values of a page, and where in their rows they stand.
pub(crate) struct Page {
    /// For each: the list that it goes on with, by depth; 0 begins a row. Empty where there are no lists.
    pub(crate) repeats: Vec<u32>,
    /// For each: how deep it is defined. Empty where all are.
    pub(crate) defined: Vec<u32>,
    /// Places in it, whether there is a value or not.
    pub(crate) len: usize,
    /// The values that are there.
    pub(crate) values: Values,
}

/// The pages that are left.
pub(crate) struct Pages<S> {
    source: S,
    at: u64,
    codec: i64,
    leaf: Leaf,
    /// Values that are left.
    left: usize,
    dictionary: Option<Rc<Values>>,
}

/// A page's own description.
#[derive(Default)]
struct Header {
    kind: i64,
    unpacked: usize,
    packed: usize,
    values: usize,
    nulls: usize,
    encoding: i64,
    /// How levels are stored, in pages of version 1.
    level_encodings: [Option<i64>; 2],
    /// Bytes of levels, in pages of version 2.
    level_bytes: [usize; 2],
    /// In pages of version 2, whether the values are compressed.
    is_plain: bool,
}

impl<S: Source> Pages<S> {
    pub(crate) fn new(source: S, chunk: &Chunk, leaf: Leaf) -> Self {
        // Where both are said, the dictionary comes first; some writers forget to say it.
        let at = chunk.dictionary_page.map_or(chunk.data_page, |at| at.min(chunk.data_page)) as u64;
        Pages { source, at, codec: chunk.codec, leaf, left: chunk.values, dictionary: None }
    }

    /// The next page with values; `None` after the last.
    pub(crate) fn next_page(&mut self, budget: &mut Budget<'_>) -> Said<Option<Page>> {
        while self.left > 0 {
            let (header, from) = self.header()?;
            if header.packed > LONGEST_PAGE {
                let (found, most) = (header.packed, LONGEST_PAGE);
                return Err(limit(format!("a page of {found} bytes; those of up to {most} are read")));
            }
            let source = self.source.clone();
            let packed = source.bytes(from, header.packed)?;
            if packed.len() < header.packed {
                return Err(damaged("a page goes beyond the end of the file"));
            }
            let packed = packed.as_ref();
            self.at = from + packed.len() as u64;
            match header.kind {
                // Some writers leave pages without values.
                0 | 3 if header.values == 0 => {}
                0 => {
                    self.count(&header, budget)?;
                    return self.first_version(&header, packed, budget).map(Some);
                }
                3 => {
                    self.count(&header, budget)?;
                    return self.second_version(&header, packed, budget).map(Some);
                }
                2 => self.read_dictionary(&header, packed, budget)?,
                // An index of pages, which nobody writes.
                1 => {}
                other => return Err(damaged(format!("a page is of the unknown kind {other}"))),
            }
        }
        Ok(None)
    }

    /// The description of the next page, and where its bytes begin. How long a description is it does not say, so more of the file is
    /// tried until it is whole.
    fn header(&self) -> Said<(Header, u64)> {
        let mut window = FIRST_WINDOW;
        loop {
            let bytes = self.source.bytes(self.at, window)?;
            let mut thrift = Thrift::new(&bytes);
            match Header::read(&mut thrift) {
                Ok(header) => return Ok((header, self.at + thrift.position() as u64)),
                Err(_) if bytes.len() == window && window < LAST_WINDOW => window *= 8,
                Err(flaw) => return Err(flaw),
            }
        }
    }

    /// Places are counted before anything is allocated for them: a few bytes may stand for millions.
    fn count(&mut self, header: &Header, budget: &mut Budget<'_>) -> Said<()> {
        budget.values(header.values as u64)?;
        let left = self.left.checked_sub(header.values);
        self.left = left.ok_or_else(|| damaged("its pages have other numbers of values than it declares"))?;
        Ok(())
    }

    fn read_dictionary(&mut self, header: &Header, packed: &[u8], budget: &mut Budget<'_>) -> Said<()> {
        if self.dictionary.is_some() {
            return Err(damaged("a column has two dictionaries"));
        }
        budget.values(header.values as u64)?;
        let page = Rc::new(self.unpack(packed, header.unpacked, budget)?);
        let part = Part { page, from: 0, count: header.values };
        // The old name of PLAIN, in this place.
        let encoding = if header.encoding == 2 { 0 } else { header.encoding };
        self.dictionary = Some(Rc::new(values(&part, encoding, self.leaf.stored, None, budget)?));
        Ok(())
    }

    /// Levels stand before the values, each with its length, all of it compressed.
    fn first_version(&self, header: &Header, packed: &[u8], budget: &mut Budget<'_>) -> Said<Page> {
        let page = self.unpack(packed, header.unpacked, budget)?;
        let mut from = 0;
        let mut levels = |encoding: Option<i64>, highest: u16| -> Said<Vec<u32>> {
            if highest == 0 {
                return Ok(Vec::new());
            }
            if encoding != Some(3) {
                return Err(unsupported("its levels are stored in the old way (BIT_PACKED)"));
            }
            let (length, rest) = page.get(from..).and_then(<[u8]>::split_first_chunk).ok_or_else(short)?;
            let packed = rest.get(..u32::from_le_bytes(*length) as usize).ok_or_else(short)?;
            from += 4 + packed.len();
            hybrid(packed, width(highest), header.values)
        };
        let [of_defined, of_repeats] = header.level_encodings;
        let repeats = levels(of_repeats, self.leaf.repeats)?;
        let defined = levels(of_defined, self.leaf.defined)?;
        self.page(header, repeats, defined, page, from, budget)
    }

    /// Levels stand before the values, uncompressed.
    fn second_version(&self, header: &Header, packed: &[u8], budget: &mut Budget<'_>) -> Said<Page> {
        let [of_defined, of_repeats] = header.level_bytes;
        let (repeats, rest) = packed.split_at_checked(of_repeats).ok_or_else(short)?;
        let (defined, rest) = rest.split_at_checked(of_defined).ok_or_else(short)?;
        let levels = |bytes: &[u8], highest: u16| match highest {
            0 => Ok(Vec::new()),
            _ => hybrid(bytes, width(highest), header.values),
        };
        let (repeats, defined) = (levels(repeats, self.leaf.repeats)?, levels(defined, self.leaf.defined)?);
        let unpacked = header.unpacked.checked_sub(of_repeats).and_then(|length| length.checked_sub(of_defined));
        let unpacked = unpacked.ok_or_else(short)?;
        // Where nothing is there, nothing was compressed.
        let values = if header.is_plain || unpacked == 0 || header.nulls == header.values {
            budget.unpack(rest.len() as u64)?;
            rest.to_vec()
        } else {
            self.unpack(rest, unpacked, budget)?
        };
        self.page(header, repeats, defined, values, 0, budget)
    }

    fn page(
        &self,
        header: &Header,
        repeats: Vec<u32>,
        defined: Vec<u32>,
        bytes: Vec<u8>,
        from: usize,
        budget: &mut Budget<'_>,
    ) -> Said<Page> {
        let there = u32::from(self.leaf.defined);
        let too_deep = defined.iter().any(|&level| level > there);
        if too_deep || repeats.iter().any(|&level| level > u32::from(self.leaf.repeats)) {
            return Err(damaged("a value lies deeper than its column"));
        }
        let count = if there == 0 { header.values } else { defined.iter().filter(|&&level| level == there).count() };
        let part = Part { page: Rc::new(bytes), from, count };
        let values = values(&part, header.encoding, self.leaf.stored, self.dictionary.as_ref(), budget)?;
        Ok(Page { repeats, defined, len: header.values, values })
    }

    /// By the number of the `CompressionCodec`.
    fn unpack(&self, packed: &[u8], length: usize, budget: &mut Budget<'_>) -> Said<Vec<u8>> {
        match self.codec {
            0 => {
                budget.unpack(packed.len() as u64)?;
                Ok(packed.to_vec())
            }
            1 => snappy(packed, length, budget),
            2 => unpack_exactly(packed, Compression::Gzip, length, budget),
            6 => unpack_exactly(packed, Compression::Zstd, length, budget),
            other => {
                let name = match other {
                    3 => "LZO",
                    4 => "Brotli",
                    5 | 7 => "LZ4",
                    _ => "an unknown method",
                };
                Err(unsupported(format!("its pages are compressed with {name}")))
            }
        }
    }
}

fn snappy(packed: &[u8], length: usize, budget: &mut Budget<'_>) -> Said<Vec<u8>> {
    let broken = |_| damaged("its compressed bytes are damaged or cut short (Snappy)");
    if snap::raw::decompress_len(packed).map_err(broken)? != length {
        return Err(damaged(format!("a compressed block does not have the {length} bytes that it declares")));
    }
    budget.unpack(length as u64)?;
    // Three bytes copy 64 at the most: a longer promise is a lie, told to make us allocate.
    if length / 64 > packed.len() {
        return Err(damaged("a compressed block declares more bytes than it can stand for"));
    }
    snap::raw::Decoder::new().decompress_vec(packed).map_err(broken)
}

/// The bits that numbers up to `highest` need.
fn width(highest: u16) -> u8 {
    (u16::BITS - highest.leading_zeros()) as u8
}

impl Header {
    fn read(thrift: &mut Thrift<'_>) -> Said<Header> {
        let mut header = Header::default();
        thrift.structure(|thrift, field, kind| {
            match field {
                1 => header.kind = thrift.number(kind)?,
                2 => header.unpacked = thrift.size(kind)?,
                3 => header.packed = thrift.size(kind)?,
                5 | 7 if kind == Kind::STRUCT => header.read_first(thrift)?,
                8 if kind == Kind::STRUCT => header.read_second(thrift)?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(header)
    }

    /// `DataPageHeader`, and `DictionaryPageHeader`, which has its first two fields.
    fn read_first(&mut self, thrift: &mut Thrift<'_>) -> Said<()> {
        thrift.structure(|thrift, field, kind| {
            match field {
                1 => self.values = thrift.size(kind)?,
                2 => self.encoding = thrift.number(kind)?,
                // A dictionary has a truth value here.
                3 if self.kind == 0 => self.level_encodings[0] = Some(thrift.number(kind)?),
                4 => self.level_encodings[1] = Some(thrift.number(kind)?),
                _ => return Ok(false),
            }
            Ok(true)
        })
    }

    /// `DataPageHeaderV2`.
    fn read_second(&mut self, thrift: &mut Thrift<'_>) -> Said<()> {
        thrift.structure(|thrift, field, kind| {
            match field {
                1 => self.values = thrift.size(kind)?,
                2 => self.nulls = thrift.size(kind)?,
                4 => self.encoding = thrift.number(kind)?,
                5 => self.level_bytes[0] = thrift.size(kind)?,
                6 => self.level_bytes[1] = thrift.size(kind)?,
                7 => {
                    self.is_plain = !Thrift::truth(kind)?;
                }
                _ => return Ok(false),
            }
            Ok(true)
        })
    }
}
