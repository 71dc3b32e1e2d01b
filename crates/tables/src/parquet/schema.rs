//! From the footer's list of nodes to the tree that rows are put together by.

use crate::flaw::{Said, damaged, shown, unsupported};
use crate::names::twice;
use crate::parquet::footer::{Element, Logical, Repetition};

/// Nodes within nodes.
pub(crate) const DEEPEST: usize = 64;

/// The columns of a table.
#[derive(Debug)]
pub(crate) struct Columns {
    /// The fields of a row.
    pub(crate) fields: Vec<Node>,
    /// The columns that hold values, in the order of the chunks of a group.
    pub(crate) leaves: Vec<Leaf>,
}

/// A field, or an item of a list.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) name: String,
    /// It is there where values are defined this deep; always there if none.
    pub(crate) optional: Option<u16>,
    pub(crate) shape: Shape,
    /// The first of its leaves; those of all its parts follow.
    pub(crate) first: usize,
    /// One past its last leaf.
    pub(crate) end: usize,
}

#[derive(Debug)]
pub(crate) enum Shape {
    /// The number of the leaf is the node's first.
    Leaf,
    Struct(Vec<Node>),
    List {
        /// Values that go on with a list repeat at this level.
        repeats: u16,
        /// An item is there where values are defined this deep.
        defined: u16,
        item: Box<Node>,
    },
}

/// A column with values.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Leaf {
    pub(crate) stored: Stored,
    pub(crate) meaning: Meaning,
    /// How deep a value that is there is defined.
    pub(crate) defined: u16,
    /// The lists that it lies in.
    pub(crate) repeats: u16,
}

/// How values lie in pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stored {
    Bool,
    Int32,
    Int64,
    Float,
    Double,
    Bytes,
    /// So many bytes each.
    Fixed(usize),
}

/// What values become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    AsStored,
    Unsigned,
    Days,
    Moment { per_second: i64 },
    Half,
}

/// What lies above a node.
#[derive(Clone, Copy)]
struct Above {
    defined: u16,
    repeats: u16,
    depth: usize,
}

/// The list of nodes, as it is used up.
struct Builder<'a> {
    elements: std::slice::Iter<'a, Element>,
    leaves: Vec<Leaf>,
}

impl Columns {
    pub(crate) fn new(schema: &[Element]) -> Said<Columns> {
        let mut builder = Builder { elements: schema.iter(), leaves: Vec::new() };
        let root = builder.next_element()?;
        let fields = builder.parts(root, Above { defined: 0, repeats: 0, depth: 0 })?;
        if builder.elements.next().is_some() {
            return Err(damaged("it describes more columns than it has"));
        }
        if let Some(name) = twice(fields.iter().map(|field| field.name.as_str())) {
            return Err(unsupported(format!("two columns are called {:?}", shown(name))));
        }
        Ok(Columns { fields, leaves: builder.leaves })
    }
}

impl<'a> Builder<'a> {
    fn next_element(&mut self) -> Said<&'a Element> {
        self.elements.next().ok_or_else(|| damaged("it describes fewer columns than it has"))
    }

    fn parts(&mut self, parent: &Element, above: Above) -> Said<Vec<Node>> {
        if above.depth > DEEPEST {
            return Err(unsupported(format!("its columns lie more than {DEEPEST} deep")));
        }
        let below = Above { depth: above.depth + 1, ..above };
        let mut nodes = Vec::new();
        for _ in 0..parent.children {
            let element = self.next_element()?;
            nodes.push(self.node(element, below).map_err(|flaw| flaw.of_column(&element.name))?);
        }
        Ok(nodes)
    }

    /// A node with its repetition.
    fn node(&mut self, element: &'a Element, above: Above) -> Said<Node> {
        match element.repetition {
            Repetition::Required => self.bare(element, above, None),
            Repetition::Optional => {
                let above = Above { defined: above.defined + 1, ..above };
                self.bare(element, above, Some(above.defined))
            }
            // A list that is not called one.
            Repetition::Repeated => self.list(element, above, None, |this, above| this.bare(element, above, None)),
        }
    }

    /// A node whose repetition is in `above` already.
    fn bare(&mut self, element: &'a Element, above: Above, optional: Option<u16>) -> Said<Node> {
        let first = self.leaves.len();
        if element.children == 0 {
            let leaf = leaf(element, above)?;
            self.leaves.push(leaf);
            return Ok(Node { name: element.name.clone(), optional, shape: Shape::Leaf, first, end: first + 1 });
        }
        if is_list(element) && element.children == 1 && above.depth < DEEPEST {
            let repeated = self.next_element()?;
            if repeated.repetition == Repetition::Repeated {
                return self.list(element, above, optional, |this, above| this.item(element, repeated, above));
            }
            let part = self.node(repeated, Above { depth: above.depth + 1, ..above })?;
            return Ok(self.grouped(element, optional, first, vec![part]));
        }
        let parts = self.parts(element, above)?;
        Ok(self.grouped(element, optional, first, parts))
    }

    fn grouped(&self, element: &Element, optional: Option<u16>, first: usize, parts: Vec<Node>) -> Node {
        let end = self.leaves.len();
        Node { name: element.name.clone(), optional, shape: Shape::Struct(parts), first, end }
    }

    fn list(
        &mut self,
        element: &Element,
        above: Above,
        optional: Option<u16>,
        item: impl FnOnce(&mut Self, Above) -> Said<Node>,
    ) -> Said<Node> {
        let first = self.leaves.len();
        let inside = Above { defined: above.defined + 1, repeats: above.repeats + 1, depth: above.depth + 1 };
        let item = Box::new(item(self, inside)?);
        let shape = Shape::List { repeats: inside.repeats, defined: inside.defined, item };
        Ok(Node { name: element.name.clone(), optional, shape, first, end: self.leaves.len() })
    }

    /// What a list holds: the one field of the repeated group, or, as old writers have it, that group itself.
    fn item(&mut self, list: &Element, repeated: &'a Element, above: Above) -> Said<Node> {
        let is_item = repeated.children != 1
            || repeated.name == "array"
            || repeated.name.strip_suffix("_tuple") == Some(list.name.as_str());
        if is_item || above.depth >= DEEPEST {
            return self.bare(repeated, above, None);
        }
        let element = self.next_element()?;
        self.node(element, Above { depth: above.depth + 1, ..above })
    }
}

/// LIST and MAP, by either of the two ways in which a file says it. A map is a list of structs of a key and a value.
fn is_list(element: &Element) -> bool {
    matches!(element.logical, Some(Logical::Plain(2 | 3))) || matches!(element.converted, Some(1..=3))
}

fn leaf(element: &Element, above: Above) -> Said<Leaf> {
    let stored = match element.physical {
        Some(0) => Stored::Bool,
        Some(1) => Stored::Int32,
        Some(2) => Stored::Int64,
        Some(3) => return Err(unsupported("it holds times in 96 bits")),
        Some(4) => Stored::Float,
        Some(5) => Stored::Double,
        Some(6) => Stored::Bytes,
        Some(7) => Stored::Fixed(element.length),
        Some(other) => return Err(unsupported(format!("its values are of the unknown type {other}"))),
        None => return Err(unsupported("it is a group without parts")),
    };
    let meaning = meaning(element, stored)?;
    if matches!(stored, Stored::Fixed(_)) && meaning != Meaning::Half {
        return Err(unsupported("it holds bytes of fixed length"));
    }
    Ok(Leaf { stored, meaning, defined: above.defined, repeats: above.repeats })
}

fn meaning(element: &Element, stored: Stored) -> Said<Meaning> {
    let whole = matches!(stored, Stored::Int32 | Stored::Int64);
    Ok(match (element.logical, element.converted) {
        (Some(Logical::Plain(5)), _) | (None, Some(5)) => return Err(unsupported("it holds decimals")),
        (Some(Logical::Plain(7)), _) | (None, Some(7 | 8)) => return Err(unsupported("it holds times of day")),
        (Some(Logical::Plain(6)), _) | (None, Some(6)) if whole => Meaning::Days,
        (Some(Logical::Moment { per_second }), _) if whole => Meaning::Moment { per_second },
        (None, Some(9)) if whole => Meaning::Moment { per_second: 1_000 },
        (None, Some(10)) if whole => Meaning::Moment { per_second: 1_000_000 },
        (Some(Logical::Integer { signed: false }), _) | (None, Some(11..=14)) if whole => Meaning::Unsigned,
        (Some(Logical::Plain(15)), _) if stored == Stored::Fixed(2) => Meaning::Half,
        _ => Meaning::AsStored,
    })
}
