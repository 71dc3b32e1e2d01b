//! YAML as the reference harness reads it.
//!
//! Its definitions were written for PyYAML, which is YAML 1.1: a bare `yes` is true, and `!function module.name` names a function.
//! Nodes keep their lines, so that whoever wrote a file is told where it is wrong. Files are strangers': size, nesting
//! and the number of nodes are bounded, also of those that aliases repeat.

use std::borrow::Cow;
use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};
use serde_json::{Map, Value};

/// The longest file, in bytes.
const LONGEST: usize = 1 << 20;
/// Nesting.
const DEEPEST: usize = 32;
/// Nodes, those repeated by aliases counted again.
const MOST: usize = 100_000;

/// A value and where it begins.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    /// From 1.
    pub(crate) line: usize,
    pub(crate) content: Content,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Content {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    /// `!function NAME`.
    Function(String),
    List(Vec<Node>),
    /// In the order of the file; a name stands once.
    Map(Vec<(String, Node)>),
}

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fault {
    pub(crate) line: usize,
    pub(crate) why: String,
}

impl Node {
    pub(crate) fn fault(&self, why: impl Into<String>) -> Fault {
        Fault { line: self.line, why: why.into() }
    }

    /// What kind of value it is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self.content {
            Content::Null => "nothing",
            Content::Bool(_) => "a truth value (quote it if it is meant as text)",
            Content::Int(_) => "a whole number",
            Content::Float(_) => "a number",
            Content::Text(_) => "a text",
            Content::Function(_) => "a function",
            Content::List(_) => "a list",
            Content::Map(_) => "a mapping",
        }
    }

    /// As it stands in results: functions by their names.
    pub(crate) fn shown(&self) -> Value {
        match &self.content {
            Content::Function(name) => Value::String(format!("!function {name}")),
            Content::List(items) => items.iter().map(Node::shown).collect(),
            Content::Map(fields) => fields.iter().map(|(name, value)| (name.clone(), value.shown())).collect(),
            _ => self.json().unwrap_or(Value::Null),
        }
    }

    /// As JSON; a function is not.
    pub(crate) fn json(&self) -> Result<Value, Fault> {
        Ok(match &self.content {
            Content::Null => Value::Null,
            Content::Bool(value) => (*value).into(),
            Content::Int(value) => (*value).into(),
            Content::Float(value) => (*value).into(),
            Content::Text(text) => text.as_str().into(),
            Content::Function(name) => return Err(self.fault(format!("the function `{name}` cannot stand here"))),
            Content::List(items) => items.iter().map(Node::json).collect::<Result<_, _>>()?,
            Content::Map(fields) => {
                let mut map = Map::new();
                for (name, value) in fields {
                    map.insert(name.clone(), value.json()?);
                }
                Value::Object(map)
            }
        })
    }
}

/// The one document of a file.
pub(crate) fn parse(text: &str) -> Result<Node, Fault> {
    if text.len() > LONGEST {
        return Err(Fault { line: 1, why: format!("{} bytes are more than the {LONGEST} that are read", text.len()) });
    }
    let mut reader = Reader { parser: Parser::new_from_str(text), anchors: HashMap::new(), nodes: 0 };
    let mut document = None;
    loop {
        let (event, span) = reader.next()?;
        match event {
            Event::StreamEnd => break,
            Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
            event if document.is_none() => document = Some(reader.node(event, span, 0)?),
            _ => return Err(Fault { line: span.start.line(), why: "a second document begins here".to_owned() }),
        }
    }
    document.ok_or(Fault { line: 1, why: "the file is empty".to_owned() })
}

struct Reader<'a> {
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    /// What an alias repeats, and how many nodes that is.
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), Fault> {
        match self.parser.next_event() {
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => Err(Fault { line: error.marker().line(), why: format!("no YAML: {}", error.info()) }),
            None => Err(Fault { line: 1, why: "the file ends too early".to_owned() }),
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Fault> {
        let line = span.start.line();
        let fault = |why: String| Fault { line, why };
        let before = self.nodes;
        self.nodes += 1;
        if depth > DEEPEST || self.nodes > MOST {
            return Err(fault(format!("more than {DEEPEST} levels or {MOST} values are not read")));
        }
        let (content, anchor) = match event {
            Event::Alias(anchor) => {
                let (node, nodes) = self.anchors.get(&anchor).ok_or_else(|| fault("an alias of itself".to_owned()))?;
                self.nodes += nodes;
                return Ok(Node { line, content: node.content.clone() });
            }
            Event::Scalar(text, style, anchor, tag) => (scalar(text, style, tag.as_deref(), line)?, anchor),
            Event::SequenceStart(anchor, _) => {
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break,
                        (event, span) => items.push(self.node(event, span, depth + 1)?),
                    }
                }
                (Content::List(items), anchor)
            }
            Event::MappingStart(anchor, _) => (Content::Map(self.fields(depth)?), anchor),
            other => return Err(fault(format!("unexpected {other:?}"))),
        };
        let node = Node { line, content };
        if anchor > 0 {
            self.anchors.insert(anchor, (node.clone(), self.nodes - before));
        }
        Ok(node)
    }

    fn fields(&mut self, depth: usize) -> Result<Vec<(String, Node)>, Fault> {
        let mut fields: Vec<(String, Node)> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            let name = match event {
                Event::MappingEnd => return Ok(fields),
                Event::Scalar(name, ..) => name.into_owned(),
                _ => return Err(Fault { line: span.start.line(), why: "the name of a field is no text".to_owned() }),
            };
            if fields.iter().any(|(known, _)| *known == name) {
                return Err(Fault { line: span.start.line(), why: format!("`{name}` stands twice") });
            }
            let (event, span) = self.next()?;
            fields.push((name, self.node(event, span, depth + 1)?));
        }
    }
}

fn scalar(text: Cow<'_, str>, style: ScalarStyle, tag: Option<&Tag>, line: usize) -> Result<Content, Fault> {
    match tag {
        Some(tag) if tag.handle == "!" && tag.suffix == "function" => return Ok(Content::Function(text.into_owned())),
        Some(tag) if tag.is_yaml_core_schema() && tag.suffix == "str" => return Ok(Content::Text(text.into_owned())),
        Some(tag) if !tag.is_yaml_core_schema() => {
            return Err(Fault { line, why: format!("the tag `{tag}` is not known: only !function is") });
        }
        _ => {}
    }
    if style != ScalarStyle::Plain {
        return Ok(Content::Text(text.into_owned()));
    }
    // The rules of YAML 1.1 for what is not quoted, but for octal and sexagesimal numbers.
    Ok(match text.as_ref() {
        "" | "~" | "null" | "Null" | "NULL" => Content::Null,
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Content::Bool(true),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Content::Bool(false),
        plain => {
            let digits = plain.strip_prefix(['-', '+']).unwrap_or(plain);
            let whole = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            if let (true, Ok(number)) = (whole, plain.parse()) {
                return Ok(Content::Int(number));
            }
            let float = digits.contains('.') && digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
            match plain.parse::<f64>() {
                Ok(number) if float && number.is_finite() => Content::Float(number),
                _ => Content::Text(text.into_owned()),
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_pyyaml_does() {
        let node =
            parse("a: yes\nb: 'yes'\nc: [1, -2.5, 1e3, 0.25, ~, x y]\nd: !function utils.f\ne: |\n  two\n  lines\n")
                .unwrap();
        let Content::Map(fields) = &node.content else { panic!() };
        assert_eq!(fields[0].1.content, Content::Bool(true));
        assert_eq!(fields[1].1.content, Content::Text("yes".to_owned()));
        assert_eq!(fields[2].1.json().unwrap(), serde_json::json!([1, -2.5, "1e3", 0.25, null, "x y"]));
        assert_eq!(fields[3].1, Node { line: 4, content: Content::Function("utils.f".to_owned()) });
        assert_eq!(fields[4].1.content, Content::Text("two\nlines\n".to_owned()));
    }

    #[test]
    fn says_where_it_is_wrong() {
        let check = |text: &str, line: usize, part: &str| {
            let fault = parse(text).unwrap_err();
            assert!(fault.line == line && fault.why.contains(part), "{text:?}: {fault:?}");
        };
        check("a: 1\na: 2\n", 2, "stands twice");
        check("a: 1\nb: [1, 2\n", 3, "no YAML");
        check("a: !unsafe x\n", 1, "tag");
        check("a: 1\n---\nb: 2\n", 3, "second document");
        check("", 1, "empty");
        check("? [a]\n: 1\n", 1, "no text");
        check(&"- ".repeat(60), 1, "levels");
        check(&"[".repeat(2000), 1, "limit");
        check(&" ".repeat(LONGEST + 1), 1, "bytes");
    }

    #[test]
    fn aliases_cannot_multiply_without_end() {
        assert_eq!(parse("[&a [1, 2], *a]").unwrap().json().unwrap(), serde_json::json!([[1, 2], [1, 2]]));
        let mut text = "- &a0 [x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let before = vec![format!("*a{}", level - 1); 8].join(", ");
            text += &format!("- &a{level} [{before}]\n");
        }
        assert!(parse(&text).unwrap_err().why.contains("values are not read"));
    }
}
