//! From text to rules.

use std::collections::HashMap;

use super::{Class, MAX_COUNT, MAX_DEPTH, Node, Rule, line};

/// Most repetitions of a repetition.
const MAX_IN_A_ROW: usize = 4;

/// The rules of a grammar, in the order in which their names occur.
///
/// # Errors
/// In words, with line and column.
pub(super) fn rules(source: &str) -> Result<Vec<Rule>, String> {
    let mut reader = Reader { source, at: 0, rules: Vec::new(), names: HashMap::new() };
    reader.blanks(true);
    while reader.peek().is_some() {
        reader.rule()?;
        reader.blanks(true);
    }
    Ok(reader.rules)
}

struct Reader<'a> {
    source: &'a str,
    /// A byte of it.
    at: usize,
    rules: Vec<Rule>,
    names: HashMap<&'a str, usize>,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<char> {
        self.source[self.at..].chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn take(&mut self, wanted: &str) -> bool {
        let found = self.source[self.at..].starts_with(wanted);
        if found {
            self.at += wanted.len();
        }
        found
    }

    fn fault<T>(&self, at: usize, what: impl AsRef<str>) -> Result<T, String> {
        let column = self.source[..at].chars().rev().take_while(|&c| c != '\n').count() + 1;
        Err(format!("line {}, column {column}: {}", line(self.source, at), what.as_ref()))
    }

    /// What stands here, for a message.
    fn here(&self) -> String {
        match self.peek() {
            None => "the end".to_owned(),
            Some('\n' | '\r') => "the end of the line".to_owned(),
            Some(other) => format!("`{}`", other.escape_debug()),
        }
    }

    /// Passes spaces and comments; `breaks`: line breaks too.
    fn blanks(&mut self, breaks: bool) {
        while let Some(next) = self.peek() {
            match next {
                ' ' | '\t' => {}
                '\n' | '\r' if breaks => {}
                '#' => {
                    let rest = &self.source[self.at..];
                    self.at += rest.find(['\n', '\r']).unwrap_or(rest.len());
                    continue;
                }
                _ => return,
            }
            self.at += 1;
        }
    }

    fn name(&mut self) -> Option<&'a str> {
        let rest = &self.source[self.at..];
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_')).unwrap_or(rest.len());
        self.at += end;
        (end > 0).then(|| &rest[..end])
    }

    /// The number of the rule of this name.
    fn number(&mut self, name: &'a str, at: usize) -> usize {
        if let Some(&number) = self.names.get(name) {
            return number;
        }
        let number = self.rules.len();
        self.rules.push(Rule { name: name.to_owned(), at, body: None });
        self.names.insert(name, number);
        number
    }

    fn rule(&mut self) -> Result<(), String> {
        let begin = self.at;
        let Some(name) = self.name() else {
            return self.fault(begin, format!("wanted the name of a rule, found {}", self.here()));
        };
        let number = self.number(name, begin);
        if self.rules[number].body.is_some() {
            return self.fault(begin, format!("rule `{name}` is defined twice"));
        }
        self.rules[number].at = begin;
        self.blanks(false);
        if !self.take("::=") {
            return self.fault(self.at, format!("wanted `::=`, found {}", self.here()));
        }
        self.blanks(true);
        let body = self.choice(0)?;
        match self.peek() {
            None | Some('\n' | '\r') => {}
            Some(')') => return self.fault(self.at, "`)` closes nothing"),
            Some(_) => return self.fault(self.at, format!("wanted the end of the rule, found {}", self.here())),
        }
        self.rules[number].body = Some(body);
        Ok(())
    }

    fn choice(&mut self, depth: usize) -> Result<Node, String> {
        let mut choices = vec![self.sequence(depth)?];
        loop {
            let end = self.at;
            self.blanks(true);
            if !self.take("|") {
                // Outside brackets a line break ends the rule.
                if depth == 0 {
                    self.at = end;
                }
                break;
            }
            self.blanks(true);
            choices.push(self.sequence(depth)?);
        }
        Ok(one_or(choices, Node::Choice))
    }

    fn sequence(&mut self, depth: usize) -> Result<Node, String> {
        let mut items = Vec::new();
        while let Some(item) = self.item(depth)? {
            self.blanks(depth > 0);
            let item = self.repeated(item, depth)?;
            if item != Node::Text(String::new()) {
                items.push(item);
            }
        }
        Ok(if items.is_empty() { Node::Text(String::new()) } else { one_or(items, Node::Sequence) })
    }

    fn item(&mut self, depth: usize) -> Result<Option<Node>, String> {
        let begin = self.at;
        let item = match self.peek() {
            Some('"') => self.text()?,
            Some('[') => self.class()?,
            Some('(') => self.group(depth + 1)?,
            Some('.') => {
                self.at += 1;
                Node::Any
            }
            Some('*' | '+' | '?' | '{') => return self.fault(begin, "there is nothing to repeat"),
            _ => match self.name() {
                Some(name) => Node::Rule(self.number(name, begin)),
                None => return Ok(None),
            },
        };
        Ok(Some(item))
    }

    fn group(&mut self, depth: usize) -> Result<Node, String> {
        let begin = self.at;
        if depth > MAX_DEPTH {
            return self.fault(begin, format!("brackets are nested deeper than {MAX_DEPTH}"));
        }
        self.at += 1;
        self.blanks(true);
        let inner = self.choice(depth)?;
        self.blanks(true);
        match self.peek() {
            Some(')') => self.at += 1,
            None => return self.fault(begin, "the bracket is not closed"),
            Some(_) => return self.fault(self.at, format!("wanted `)`, found {}", self.here())),
        }
        Ok(inner)
    }

    fn repeated(&mut self, mut item: Node, depth: usize) -> Result<Node, String> {
        // Each of several repetitions nests what stands before it.
        for _ in 0..=MAX_IN_A_ROW {
            let begin = self.at;
            let (least, most) = match self.peek() {
                Some('*') => (0, None),
                Some('+') => (1, None),
                Some('?') => (0, Some(1)),
                Some('{') => self.counts()?,
                _ => return Ok(item),
            };
            if self.at == begin {
                self.at += 1;
            }
            self.blanks(depth > 0);
            item = match (least, most) {
                _ if item == Node::Text(String::new()) => item,
                (_, Some(0)) => Node::Text(String::new()),
                (1, Some(1)) => item,
                (least, most) => Node::Repeat(Box::new(item), least, most),
            };
        }
        self.fault(self.at, format!("more than {MAX_IN_A_ROW} repetitions stand in a row"))
    }

    /// `{m}`, `{m,}` or `{m,n}`.
    fn counts(&mut self) -> Result<(u32, Option<u32>), String> {
        let begin = self.at;
        self.at += 1;
        self.blanks(false);
        let least = self.count()?;
        self.blanks(false);
        let mut most = Some(least);
        if self.take(",") {
            self.blanks(false);
            most = if self.peek() == Some('}') { None } else { Some(self.count()?) };
            self.blanks(false);
        }
        if !self.take("}") {
            return self.fault(self.at, format!("wanted `}}`, found {}", self.here()));
        }
        if most.is_some_and(|most| most < least) {
            return self.fault(begin, "the repetition ends before it begins");
        }
        Ok((least, most))
    }

    fn count(&mut self) -> Result<u32, String> {
        let begin = self.at;
        let rest = &self.source[begin..];
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        self.at += end;
        if end == 0 {
            return self.fault(begin, format!("wanted a number, found {}", self.here()));
        }
        match rest[..end].parse::<u32>() {
            Ok(count) if count <= MAX_COUNT => Ok(count),
            _ => self.fault(begin, format!("the number must be at most {MAX_COUNT}")),
        }
    }

    fn text(&mut self) -> Result<Node, String> {
        let begin = self.at;
        self.at += 1;
        let mut text = String::new();
        while !self.take("\"") {
            match self.character()? {
                Some(next) => text.push(next),
                None => return self.fault(begin, "the text is not closed"),
            }
        }
        Ok(Node::Text(text))
    }

    fn class(&mut self) -> Result<Node, String> {
        let begin = self.at;
        self.at += 1;
        let negated = self.take("^");
        let mut ranges = Vec::new();
        while !self.take("]") {
            let at = self.at;
            let Some(first) = self.character()? else { return self.fault(begin, "the class is not closed") };
            let range = self.source[self.at..].starts_with('-') && !self.source[self.at + 1..].starts_with(']');
            let mut last = first;
            if range {
                self.at += 1;
                match self.character()? {
                    Some(next) => last = next,
                    None => return self.fault(begin, "the class is not closed"),
                }
            }
            if last < first {
                return self.fault(at, "the range ends before it begins");
            }
            ranges.push((first, last));
        }
        let class = Class { negated, ranges };
        match (class.ranges.is_empty(), negated) {
            (true, true) => Ok(Node::Any),
            (true, false) => self.fault(begin, "the class has no characters"),
            _ if class.matches_nothing() => self.fault(begin, "the class matches no character"),
            _ => Ok(Node::Class(class)),
        }
    }

    /// A character of a text or class, escaped or not; `None` at the end.
    fn character(&mut self) -> Result<Option<char>, String> {
        let begin = self.at;
        let plain = self.next();
        if plain != Some('\\') {
            return Ok(plain);
        }
        let escaped = match self.next() {
            None => return Ok(None),
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some(same @ ('\\' | '"' | '[' | ']')) => same,
            Some('x') => self.hexadecimal(begin, 2)?,
            Some('u') => self.hexadecimal(begin, 4)?,
            Some('U') => self.hexadecimal(begin, 8)?,
            Some(other) => return self.fault(begin, format!("`\\{}` is no escape", other.escape_debug())),
        };
        Ok(Some(escaped))
    }

    fn hexadecimal(&mut self, begin: usize, digits: usize) -> Result<char, String> {
        let text = self.source[self.at..].get(..digits).filter(|t| t.bytes().all(|b| b.is_ascii_hexdigit()));
        let Some(code) = text.and_then(|text| u32::from_str_radix(text, 16).ok()) else {
            return self.fault(begin, format!("wanted {digits} hexadecimal digits"));
        };
        self.at += digits;
        match char::from_u32(code) {
            Some(character) => Ok(character),
            None => self.fault(begin, format!("U+{code:04X} is no character")),
        }
    }
}

impl Class {
    /// Whether it excludes every character there is.
    fn matches_nothing(&self) -> bool {
        let mut ranges = self.ranges.clone();
        ranges.sort_unstable();
        let mut missing = Some('\0');
        for (first, last) in ranges {
            match missing {
                Some(character) if (first..=last).contains(&character) => missing = after(last),
                _ => {}
            }
        }
        self.negated && missing.is_none()
    }
}

fn after(character: char) -> Option<char> {
    match character {
        '\u{D7FF}' => Some('\u{E000}'),
        other => char::from_u32(other as u32 + 1),
    }
}

fn one_or(mut nodes: Vec<Node>, many: fn(Vec<Node>) -> Node) -> Node {
    if nodes.len() == 1 { nodes.remove(0) } else { many(nodes) }
}
