//! What the columns of a table are.

use crate::arrow::flat::Table;
use crate::flaw::{Said, damaged, shown, unsupported};
use crate::names::twice;

/// Fields within fields.
const DEEPEST: usize = 64;
/// Fields of a table, inner ones too.
const MOST: usize = 10_000;

/// The columns, in order.
#[derive(Debug)]
pub(crate) struct Schema {
    pub(crate) fields: Vec<Field>,
}

/// A column, or a part of one.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: String,
    /// What its values are, those of the dictionary if it has one.
    pub(crate) kind: Kind,
    pub(crate) children: Vec<Field>,
    pub(crate) dictionary: Option<Encoded>,
}

/// Values are indices into a dictionary.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Encoded {
    pub(crate) id: i64,
    pub(crate) index: Integer,
}

/// Whole numbers of some width.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Integer {
    /// 1, 2, 4 or 8.
    pub(crate) bytes: usize,
    pub(crate) signed: bool,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Null,
    Bool,
    Integer(Integer),
    /// Of 2, 4 or 8 bytes.
    Float(usize),
    /// With offsets of 64 bits, or 32; bytes too, which are refused where they are no text.
    Text {
        large: bool,
    },
    List {
        large: bool,
    },
    FixedList(usize),
    Struct,
    /// Days in 32 bits.
    Days,
    /// 64 bits, of which so many make a second.
    Moment {
        per_second: i64,
    },
    /// Milliseconds in 64 bits, for a whole day.
    DayMillis,
}

impl Schema {
    pub(crate) fn read(table: Table<'_>) -> Said<Schema> {
        if table.i16(0, 0)? != 0 {
            return Err(unsupported("its numbers are big-endian"));
        }
        let mut left = MOST;
        let fields = children(table, 1, DEEPEST, &mut left)?;
        if let Some(name) = twice(fields.iter().map(|field| field.name.as_str())) {
            return Err(unsupported(format!("two columns are called {:?}", shown(name))));
        }
        Ok(Schema { fields })
    }

    /// The field whose dictionary has this number.
    pub(crate) fn dictionary(&self, id: i64) -> Option<&Field> {
        fn within(fields: &[Field], id: i64) -> Option<&Field> {
            fields.iter().find_map(|field| match field.dictionary {
                Some(encoded) if encoded.id == id => Some(field),
                _ => within(&field.children, id),
            })
        }
        within(&self.fields, id)
    }
}

fn children(table: Table<'_>, slot: usize, depth: usize, left: &mut usize) -> Said<Vec<Field>> {
    let Some(tables) = table.vector(slot, 4)? else { return Ok(Vec::new()) };
    let mut fields = Vec::new();
    for index in 0..tables.len {
        *left = left.checked_sub(1).ok_or_else(|| unsupported(format!("it has more than {MOST} columns")))?;
        fields.push(field(tables.table(index)?, depth, left)?);
    }
    Ok(fields)
}

fn field(table: Table<'_>, depth: usize, left: &mut usize) -> Said<Field> {
    let depth = depth.checked_sub(1).ok_or_else(|| unsupported(format!("its columns lie more than {DEEPEST} deep")))?;
    let name = table.text(0)?.unwrap_or_default().to_owned();
    let children = children(table, 5, depth, left)?;
    let kind = kind(table).map_err(|flaw| flaw.of_column(&name))?;
    let wanted = match kind {
        Kind::List { .. } | Kind::FixedList(_) => Some(1),
        Kind::Struct => None,
        _ => Some(0),
    };
    if wanted.is_some_and(|wanted| wanted != children.len()) {
        return Err(damaged(format!("it has {} parts", children.len())).of_column(&name));
    }
    if matches!(kind, Kind::Struct) && twice(children.iter().map(|part| part.name.as_str())).is_some() {
        return Err(unsupported("two parts of it have one name").of_column(&name));
    }
    let dictionary = match table.table(4)? {
        None => None,
        Some(encoding) => {
            let index = match encoding.table(1)? {
                Some(index) => integer(index)?,
                None => Integer { bytes: 4, signed: true },
            };
            Some(Encoded { id: encoding.i64(0, 0)?, index })
        }
    };
    Ok(Field { name, kind, children, dictionary })
}

/// By the number of the type in the union `Type`.
fn kind(table: Table<'_>) -> Said<Kind> {
    let number = table.u8(2, 0)?;
    let details = || table.table(3)?.ok_or_else(|| damaged("a type has no details"));
    Ok(match number {
        1 => Kind::Null,
        2 => Kind::Integer(integer(details()?)?),
        3 => match details()?.i16(0, 0)? {
            0 => Kind::Float(2),
            1 => Kind::Float(4),
            2 => Kind::Float(8),
            other => return Err(damaged(format!("it has floats of precision {other}"))),
        },
        4 | 5 => Kind::Text { large: false },
        19 | 20 => Kind::Text { large: true },
        6 => Kind::Bool,
        8 => match details()?.i16(0, 1)? {
            0 => Kind::Days,
            _ => Kind::DayMillis,
        },
        10 => Kind::Moment {
            per_second: match details()?.i16(0, 0)? {
                0 => 1,
                1 => 1_000,
                2 => 1_000_000,
                _ => 1_000_000_000,
            },
        },
        // A map is a list of structs of a key and a value.
        12 | 17 => Kind::List { large: false },
        21 => Kind::List { large: true },
        13 => Kind::Struct,
        16 => {
            let size = details()?.i32(0, 0)?;
            Kind::FixedList(usize::try_from(size).map_err(|_| damaged("it has lists of a negative length"))?)
        }
        other => {
            let name = match other {
                7 => "decimals",
                9 => "times of day",
                11 => "intervals",
                14 => "unions",
                15 => "bytes of fixed length",
                18 => "durations",
                22 => "run-end encoded values",
                23 | 24 => "views of texts",
                25 | 26 => "views of lists",
                _ => return Err(unsupported(format!("its values are of the unknown type {other}"))),
            };
            return Err(unsupported(format!("it holds {name}")));
        }
    })
}

fn integer(table: Table<'_>) -> Said<Integer> {
    let bits = table.i32(0, 0)?;
    match bits {
        8 | 16 | 32 | 64 => Ok(Integer { bytes: bits.unsigned_abs() as usize / 8, signed: table.bool(1)? }),
        _ => Err(damaged(format!("it has integers of {bits} bits"))),
    }
}
