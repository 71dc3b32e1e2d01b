//! The footer: columns, and where their pages lie.

use crate::flaw::{Said, damaged};
use crate::parquet::thrift::{Kind, Thrift};

/// What a file says of itself.
#[derive(Debug, Default)]
pub(crate) struct Footer {
    /// The tree of columns, from its root, parents before children.
    pub(crate) schema: Vec<Element>,
    pub(crate) rows: u64,
    pub(crate) groups: Vec<RowGroup>,
}

/// A node of the tree of columns.
#[derive(Debug, Default)]
pub(crate) struct Element {
    pub(crate) name: String,
    /// How values are stored: the numbers of `Type`. Only leaves have it.
    pub(crate) physical: Option<i64>,
    pub(crate) length: usize,
    pub(crate) repetition: Repetition,
    pub(crate) children: usize,
    /// The numbers of `ConvertedType`.
    pub(crate) converted: Option<i64>,
    pub(crate) logical: Option<Logical>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repetition {
    #[default]
    Required,
    Optional,
    Repeated,
}

/// What values mean, of the kinds that change how they are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Logical {
    /// By their number in the union `LogicalType`.
    Plain(i16),
    Integer {
        signed: bool,
    },
    Moment {
        per_second: i64,
    },
}

/// Rows, column by column.
#[derive(Debug, Default)]
pub(crate) struct RowGroup {
    pub(crate) rows: usize,
    pub(crate) chunks: Vec<Chunk>,
}

/// The pages of a column in a group.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    /// The numbers of `CompressionCodec`.
    pub(crate) codec: i64,
    /// Values, counting those that are not there.
    pub(crate) values: usize,
    pub(crate) data_page: usize,
    pub(crate) dictionary_page: Option<usize>,
}

impl Footer {
    pub(crate) fn read(bytes: &[u8]) -> Said<Footer> {
        let mut footer = Footer::default();
        Thrift::new(bytes).structure(|thrift, field, kind| {
            match field {
                2 => thrift.structures(kind, |thrift| Element::read(thrift).map(|e| footer.schema.push(e)))?,
                3 => footer.rows = thrift.size(kind)? as u64,
                4 => thrift.structures(kind, |thrift| RowGroup::read(thrift).map(|g| footer.groups.push(g)))?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(footer)
    }
}

impl Element {
    fn read(thrift: &mut Thrift<'_>) -> Said<Element> {
        let mut element = Element::default();
        thrift.structure(|thrift, field, kind| {
            match field {
                1 => element.physical = Some(thrift.number(kind)?),
                // -1 stands where there is none.
                2 => element.length = usize::try_from(thrift.number(kind)?).unwrap_or(0),
                3 => {
                    element.repetition = match thrift.number(kind)? {
                        0 => Repetition::Required,
                        1 => Repetition::Optional,
                        2 => Repetition::Repeated,
                        other => return Err(damaged(format!("a column has the unknown repetition {other}"))),
                    }
                }
                4 => element.name = thrift.text(kind)?.to_owned(),
                5 => element.children = thrift.size(kind)?,
                6 => element.converted = Some(thrift.number(kind)?),
                10 if kind == Kind::STRUCT => element.logical = logical(thrift)?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(element)
    }
}

/// The one field of the union `LogicalType`.
fn logical(thrift: &mut Thrift<'_>) -> Said<Option<Logical>> {
    let mut found = None;
    thrift.structure(|thrift, number, kind| {
        found = Some(Logical::Plain(number));
        match number {
            8 if kind == Kind::STRUCT => found = Some(moment(thrift)?),
            10 if kind == Kind::STRUCT => found = Some(integer(thrift)?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(found)
}

fn moment(thrift: &mut Thrift<'_>) -> Said<Logical> {
    let mut per_second = 1_000_000_000;
    thrift.structure(|thrift, field, kind| {
        if field != 2 || kind != Kind::STRUCT {
            return Ok(false);
        }
        thrift.structure(|_, unit, _| {
            per_second = match unit {
                1 => 1_000,
                2 => 1_000_000,
                _ => 1_000_000_000,
            };
            Ok(false)
        })?;
        Ok(true)
    })?;
    Ok(Logical::Moment { per_second })
}

fn integer(thrift: &mut Thrift<'_>) -> Said<Logical> {
    let mut signed = true;
    thrift.structure(|_, field, kind| {
        if field != 2 {
            return Ok(false);
        }
        signed = Thrift::truth(kind)?;
        Ok(true)
    })?;
    Ok(Logical::Integer { signed })
}

impl RowGroup {
    fn read(thrift: &mut Thrift<'_>) -> Said<RowGroup> {
        let mut group = RowGroup::default();
        thrift.structure(|thrift, field, kind| {
            match field {
                1 => thrift.structures(kind, |thrift| Chunk::read(thrift).map(|chunk| group.chunks.push(chunk)))?,
                3 => group.rows = thrift.size(kind)?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(group)
    }
}

impl Chunk {
    fn read(thrift: &mut Thrift<'_>) -> Said<Chunk> {
        let mut chunk = None;
        thrift.structure(|thrift, field, kind| {
            match field {
                1 => return Err(damaged("its columns lie in other files")),
                3 if kind == Kind::STRUCT => chunk = Some(Chunk::metadata(thrift)?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        chunk.ok_or_else(|| damaged("it does not say where a column lies"))
    }

    fn metadata(thrift: &mut Thrift<'_>) -> Said<Chunk> {
        let mut chunk = Chunk::default();
        thrift.structure(|thrift, field, kind| {
            match field {
                4 => chunk.codec = thrift.number(kind)?,
                5 => chunk.values = thrift.size(kind)?,
                9 => chunk.data_page = thrift.size(kind)?,
                // Some writers say 0 where there is none.
                11 => chunk.dictionary_page = Some(thrift.size(kind)?).filter(|&at| at > 0),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(chunk)
    }
}
