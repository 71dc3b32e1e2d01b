//! What is known of the rules of a checked grammar.

use super::check::{holds, settle};
use super::{Node, Rule};

/// Of each rule.
pub(super) struct Facts {
    /// No recursion is behind it.
    regular: Vec<bool>,
    /// It says nothing but the empty text.
    empty: Vec<bool>,
    /// It may say the empty text.
    may_be_empty: Vec<bool>,
}

impl Facts {
    pub(super) fn of(rules: &[Rule]) -> Self {
        let regular = settle(rules, |node, known| Some(all(node, &|_| true, &|rule| known[rule])));
        let empty = settle(rules, |node, known| Some(all(node, &str::is_empty, &|rule| known[rule])));
        let may_be_empty = settle(rules, may_be_empty);
        Self { regular, empty, may_be_empty }
    }

    pub(super) fn is_regular(&self, node: &Node) -> bool {
        all(node, &|_| true, &|rule| self.regular[rule])
    }

    pub(super) fn is_empty(&self, node: &Node) -> bool {
        all(node, &str::is_empty, &|rule| self.empty[rule])
    }

    /// Whether a sequence may say the empty text.
    pub(super) fn may_be_empty(&self, nodes: &[Node]) -> bool {
        nodes.iter().all(|node| holds(node, &self.may_be_empty, &may_be_empty))
    }
}

/// Whether it holds for every text and rule in `node`; a class is asked for as a text of one character.
fn all(node: &Node, text: &impl Fn(&str) -> bool, rule: &impl Fn(usize) -> bool) -> bool {
    match node {
        Node::Text(said) => text(said),
        Node::Class(_) | Node::Any => text("?"),
        Node::Rule(number) => rule(*number),
        Node::Sequence(nodes) | Node::Choice(nodes) => nodes.iter().all(|node| all(node, text, rule)),
        Node::Repeat(inner, ..) => all(inner, text, rule),
    }
}

/// What makes a node empty, given which rules may be.
pub(super) fn may_be_empty(node: &Node, known: &[bool]) -> Option<bool> {
    match node {
        Node::Text(text) => Some(text.is_empty()),
        Node::Class(_) | Node::Any => Some(false),
        Node::Rule(number) => Some(known[*number]),
        Node::Repeat(_, 0, _) => Some(true),
        _ => None,
    }
}
