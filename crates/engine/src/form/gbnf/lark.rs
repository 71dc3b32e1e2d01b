//! From a plan to Lark's notation.
//!
//! `r7` is rule 7 and `g3` a group inside a rule; `T7` is rule 7 as a terminal and `U3` a group inside a terminal. Every group
//! has a definition of its own, so definitions nest nothing.

use std::collections::{HashSet, VecDeque};
use std::fmt::Write;
use std::slice;

use super::facts::Facts;
use super::plan::{Part, Symbol, plan};
use super::{Class, Node, Rule};

/// The text that is empty.
const NOTHING: &str = "\"\"";

/// The grammar that begins in rule `root`.
pub(super) fn write(rules: &[Rule], root: usize) -> String {
    let facts = Facts::of(rules);
    let mut writer = Writer { rules, facts: &facts, open: VecDeque::new(), called: HashSet::new(), groups: 0 };
    if facts.is_regular(&Node::Rule(root)) {
        let start = writer.rule(root);
        return format!("start: {start}\n{}", writer.definitions());
    }
    let plan = plan(rules, root, &facts);
    let terminals: Vec<String> = plan.terminals.iter().map(|nodes| writer.symbol(nodes)).collect();
    let part = |part: &Part| {
        let name = match part.symbol {
            Symbol::Terminal(terminal) => &terminals[terminal],
            Symbol::Production(production) => &plan.productions[production].name,
        };
        format!("{name}{}", times(part.least, part.most))
    };
    let mut text = format!("start: {}\n", plan.productions[0].name);
    for production in &plan.productions {
        let choices = production.choices.iter().map(|parts| spaced(parts.iter().map(part).collect()));
        let _ = writeln!(text, "{}: {}", production.name, choices.collect::<Vec<_>>().join(" | "));
    }
    text + &writer.definitions()
}

/// Writes terminals.
struct Writer<'a, 'f> {
    rules: &'a [Rule],
    facts: &'f Facts,
    /// Those that are named and still to be defined.
    open: VecDeque<(String, &'a [Node])>,
    /// Rules among them.
    called: HashSet<usize>,
    groups: usize,
}

impl<'a> Writer<'a, '_> {
    /// Defines what is named, and what that names.
    fn definitions(&mut self) -> String {
        let mut text = String::new();
        while let Some((name, nodes)) = self.open.pop_front() {
            let choices: Vec<&[Node]> = match nodes {
                [Node::Choice(choices)] => choices.iter().map(slice::from_ref).collect(),
                nodes => vec![nodes],
            };
            let choices: Vec<String> = choices.into_iter().map(|nodes| self.sequence(nodes)).collect();
            let _ = writeln!(text, "{name}: {}", choices.join(" | "));
        }
        text
    }

    fn sequence(&mut self, nodes: &'a [Node]) -> String {
        if let [Node::Sequence(nodes)] = nodes {
            return self.sequence(nodes);
        }
        let mut parts = Vec::new();
        for node in nodes {
            if !self.facts.is_empty(node) {
                parts.push(self.terminal(node));
            }
        }
        spaced(parts)
    }

    /// A sequence as a rule names it.
    fn symbol(&mut self, nodes: &'a [Node]) -> String {
        match nodes {
            [node @ (Node::Text(_) | Node::Class(_) | Node::Any | Node::Rule(_))] => self.terminal(node),
            nodes => self.group(nodes),
        }
    }

    /// A node as a terminal names it.
    fn terminal(&mut self, node: &'a Node) -> String {
        match node {
            Node::Text(text) => quoted(text),
            Node::Class(class) => pattern(class),
            Node::Any => "/(?s:.)/".to_owned(),
            Node::Rule(number) => self.rule(*number),
            Node::Repeat(inner, least, most) => {
                let inner = match **inner {
                    Node::Repeat(..) => self.group(slice::from_ref(&**inner)),
                    _ => self.terminal(inner),
                };
                inner + &times(*least, *most)
            }
            Node::Sequence(_) | Node::Choice(_) => self.group(slice::from_ref(node)),
        }
    }

    fn rule(&mut self, number: usize) -> String {
        if self.facts.is_empty(&Node::Rule(number)) {
            return NOTHING.to_owned();
        }
        let name = format!("T{number}");
        if self.called.insert(number) {
            let body = self.rules[number].body.as_slice();
            self.open.push_back((name.clone(), body));
        }
        name
    }

    fn group(&mut self, nodes: &'a [Node]) -> String {
        let name = format!("U{}", self.groups);
        self.groups += 1;
        self.open.push_back((name.clone(), nodes));
        name
    }
}

fn spaced(parts: Vec<String>) -> String {
    if parts.is_empty() { NOTHING.to_owned() } else { parts.join(" ") }
}

fn times(least: u32, most: Option<u32>) -> String {
    match (least, most) {
        (1, Some(1)) => String::new(),
        (0, None) => "*".to_owned(),
        (1, None) => "+".to_owned(),
        (0, Some(1)) => "?".to_owned(),
        (least, None) => format!("{{{least},}}"),
        (least, Some(most)) => format!("{{{least},{most}}}"),
    }
}

/// A text as JSON has it, which is how Lark's notation has it here; no character of it is control.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\0'..' ' | '\x7f' => {
                let _ = write!(quoted, "\\u{:04x}", character as u32);
            }
            other => quoted.push(other),
        }
    }
    quoted + "\""
}

fn pattern(class: &Class) -> String {
    let mut pattern = String::from(if class.negated { "/[^" } else { "/[" });
    for &(first, last) in &class.ranges {
        let _ = write!(pattern, "\\x{{{:x}}}", first as u32);
        if first < last {
            let _ = write!(pattern, "-\\x{{{:x}}}", last as u32);
        }
    }
    pattern + "]/"
}
