//! Sets of characters, and which of them stand at the edges of a regular part.

use super::{Class, Node, Rule};

/// A set of characters: ranges of code points, in order, apart from one another.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Chars(Vec<(u32, u32)>);

impl Chars {
    fn new(mut ranges: Vec<(u32, u32)>) -> Self {
        ranges.sort_unstable();
        ranges.dedup_by(|next, before| {
            let joined = next.0 <= before.1.saturating_add(1);
            if joined {
                before.1 = before.1.max(next.1);
            }
            joined
        });
        Self(ranges)
    }

    fn of_class(class: &Class) -> Self {
        let named = Self::new(class.ranges.iter().map(|&(first, last)| (first as u32, last as u32)).collect());
        if !class.negated {
            return named;
        }
        let mut others = Vec::new();
        let mut next = 0;
        for (first, last) in named.0 {
            if next < first {
                others.push((next, first - 1));
            }
            next = last + 1;
        }
        if next <= u32::from(char::MAX) {
            others.push((next, u32::from(char::MAX)));
        }
        Self(others)
    }

    fn add(&mut self, more: &Self) {
        if !more.0.is_empty() {
            *self = Self::new([self.0.as_slice(), more.0.as_slice()].concat());
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a character is in both.
    pub(super) fn meets(&self, other: &Self) -> bool {
        let (mut a, mut b) = (self.0.iter().peekable(), other.0.iter().peekable());
        while let (Some(x), Some(y)) = (a.peek(), b.peek()) {
            if x.1 < y.0 {
                a.next();
            } else if y.1 < x.0 {
                b.next();
            } else {
                return true;
            }
        }
        false
    }
}

/// What is known of a part: how its texts begin, how they may go on where they could have ended, and whether they may be
/// empty.
#[derive(Clone, Default)]
struct Edge {
    begins: Chars,
    goes_on: Chars,
    empty: bool,
}

/// The edges of regular parts; of rules they are found once.
pub(super) struct Edges<'a> {
    rules: &'a [Rule],
    known: Vec<Option<Edge>>,
}

impl<'a> Edges<'a> {
    pub(super) fn new(rules: &'a [Rule]) -> Self {
        Self { rules, known: vec![None; rules.len()] }
    }

    /// The characters with which texts of a sequence begin.
    pub(super) fn begins(&mut self, nodes: &[Node]) -> Chars {
        self.sequence(nodes).begins
    }

    /// The characters with which a text of a sequence may be one that is longer. (Choices are looked at one by one: that `ab`
    /// goes on where `a` could have ended is not seen.)
    pub(super) fn goes_on(&mut self, nodes: &[Node]) -> Chars {
        self.sequence(nodes).goes_on
    }

    fn sequence(&mut self, nodes: &[Node]) -> Edge {
        // From the end: what goes on in a part, or begins behind it, counts where all behind it may be empty.
        let mut whole = Edge { empty: true, ..Edge::default() };
        for node in nodes.iter().rev() {
            let edge = self.node(node);
            if whole.empty {
                whole.goes_on.add(&edge.goes_on);
                whole.goes_on.add(&whole.begins.clone());
            }
            let behind = std::mem::replace(&mut whole.begins, edge.begins);
            if edge.empty {
                whole.begins.add(&behind);
            }
            whole.empty &= edge.empty;
        }
        whole
    }

    fn node(&mut self, node: &Node) -> Edge {
        match node {
            Node::Text(text) => {
                let begins = text.chars().next().map(|c| (c as u32, c as u32)).into_iter().collect();
                Edge { begins: Chars(begins), empty: text.is_empty(), ..Edge::default() }
            }
            Node::Class(class) => Edge { begins: Chars::of_class(class), ..Edge::default() },
            Node::Any => Edge { begins: Chars(vec![(0, u32::from(char::MAX))]), ..Edge::default() },
            Node::Sequence(nodes) => self.sequence(nodes),
            Node::Choice(nodes) => {
                let mut whole = Edge::default();
                for node in nodes {
                    let edge = self.node(node);
                    whole.begins.add(&edge.begins);
                    whole.goes_on.add(&edge.goes_on);
                    whole.empty |= edge.empty;
                }
                whole
            }
            Node::Repeat(inner, least, most) => {
                let mut edge = self.node(inner);
                if *most != Some(1) && *most != Some(*least) {
                    edge.goes_on.add(&edge.begins.clone());
                }
                edge.empty |= *least == 0;
                edge
            }
            Node::Rule(number) => {
                if let Some(edge) = &self.known[*number] {
                    return edge.clone();
                }
                let rules = self.rules;
                let body = rules[*number].body.as_slice();
                let edge = self.sequence(body);
                self.known[*number] = Some(edge.clone());
                edge
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letters(first: char, last: char) -> Node {
        Node::Class(Class { negated: false, ranges: vec![(first, last)] })
    }

    fn set(of: &str) -> Chars {
        Chars::new(of.chars().map(|c| (c as u32, c as u32)).collect())
    }

    #[test]
    fn sets_join_meet_and_turn_round() {
        assert_eq!(set("abce").0, [(97, 99), (101, 101)]);
        assert!(set("ace").meets(&set("bde")) && !set("ac").meets(&set("bd")) && !set("").meets(&set("a")));
        let class = |negated| Chars::of_class(&Class { negated, ranges: vec![('b', 'd'), ('\0', 'a')] });
        assert!(class(true).meets(&set("e")) && !class(true).meets(&set("abd")) && class(false).meets(&set("d")));
    }

    #[test]
    fn a_part_goes_on_where_it_could_have_ended() {
        let check = |nodes: &[Node], begins: &str, goes_on: &str| {
            let mut edges = Edges::new(&[]);
            assert_eq!((edges.begins(nodes), edges.goes_on(nodes)), (set(begins), set(goes_on)), "{nodes:?}");
        };
        let many = |node| Node::Repeat(Box::new(node), 1, None);
        let maybe = |node| Node::Repeat(Box::new(node), 0, Some(1));
        let text = |text: &str| Node::Text(text.to_owned());
        check(&[text("ab")], "a", "");
        check(&[many(letters('a', 'c'))], "abc", "abc");
        check(&[many(letters('a', 'c')), text(".")], "abc", "");
        check(&[many(text("a")), maybe(text("b")), maybe(text("c"))], "a", "abc");
        check(&[maybe(text("a")), text("b"), maybe(text("c"))], "ab", "c");
        check(&[Node::Repeat(Box::new(text("a")), 3, Some(3))], "a", "");
        check(&[Node::Choice(vec![many(text("a")), text("x")]), maybe(text("b"))], "ax", "ab");
    }
}
