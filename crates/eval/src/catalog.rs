//! The tasks there are: those that ship with the program, and those in folders of the user's.
//!
//! A file defines one task, or a group. With `include` it takes what another file beside it says; with `variants`, a word of ours, it
//! defines several that differ in a few fields, as the parts of the Pile do. A name of a user's goes before a shipped one.

mod shipped;
#[cfg(test)]
mod trials;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::definition::{self, Content, Fault, Group, Node, Task, fields};
use crate::error::EvalError;

/// Files that include each other.
const DEEPEST: usize = 8;
/// Files in a folder of the user's.
const MOST_FILES: usize = 20_000;

/// What a name stands for.
#[derive(Clone, Debug)]
enum Entry {
    Task(Node),
    Group(Box<Group>),
    /// What somebody may look for and nobody can measure here, and why.
    Refused(String),
}

#[derive(Clone, Debug)]
struct Defined {
    file: String,
    entry: Entry,
    shipped: bool,
}

/// Tasks, groups and tags by name.
#[derive(Clone, Debug)]
pub struct Catalog {
    defined: BTreeMap<String, Defined>,
    tags: BTreeMap<String, BTreeSet<String>>,
}

/// One of what a name stands for.
#[derive(Clone, Debug)]
pub enum Chosen {
    /// A task.
    Task(Box<Task>),
    /// A group, with the names of its tasks.
    Group(Box<Group>, Vec<String>),
}

impl Catalog {
    /// What ships with the program.
    ///
    /// # Errors
    /// None that a test does not hold off.
    pub fn shipped() -> Result<Self, EvalError> {
        let mut catalog = Self { defined: BTreeMap::new(), tags: BTreeMap::new() };
        for (file, text) in shipped::FILES {
            let include = |name: &str| {
                let found = shipped::FILES.iter().find(|(file, _)| *file == name);
                found.map(|(_, text)| (*text).to_owned()).ok_or_else(|| "there is no such file".to_owned())
            };
            catalog.take(file, text, true, &include)?;
        }
        Ok(catalog)
    }

    /// Adds what a folder (and those under it) or a file of the user's defines.
    ///
    /// # Errors
    /// A file that cannot be read, is no definition, or defines what another one does.
    pub fn include(&mut self, path: &Path) -> Result<(), EvalError> {
        let mut files = Vec::new();
        find(path, 0, &mut files)?;
        files.sort();
        for file in files {
            // Parts that others include have no name of their own.
            let text = read(&file)?;
            let include = |name: &str| {
                let beside = file.parent().unwrap_or(Path::new("")).join(name);
                read(&beside).map_err(|error| error.to_string())
            };
            self.take(&file.display().to_string(), &text, false, &include)?;
        }
        Ok(())
    }

    fn take(
        &mut self,
        file: &str,
        text: &str,
        shipped: bool,
        include: &dyn Fn(&str) -> Result<String, String>,
    ) -> Result<(), EvalError> {
        let located = |fault: Fault| EvalError::Definition { file: file.to_owned(), line: fault.line, why: fault.why };
        let node = whole(text, include, 0).map_err(located)?;
        for node in variants(node).map_err(located)? {
            let given = fields(&node).map_err(located)?;
            let name = |field: &str| given.iter().find(|(name, _)| name == field).map(|(_, node)| node);
            let is_group = matches!(name("task").map(|node| &node.content), Some(Content::List(_)));
            let (name, entry) = match (name("task"), name("group")) {
                (_, Some(Node { content: Content::Text(group), .. })) if is_group => {
                    let group = group.clone();
                    (group, Entry::Group(Box::new(definition::read_group(&node).map_err(located)?)))
                }
                (Some(Node { content: Content::Text(task), .. }), _) => {
                    let entry = match name("refused").map(|node| &node.content) {
                        Some(Content::Text(why)) => Entry::Refused(why.clone()),
                        _ => Entry::Task(node.clone()),
                    };
                    (task.clone(), entry)
                }
                (Some(other), _) => return Err(located(other.fault("`task` is a name, or a list in a group"))),
                // A part that others include.
                (None, _) => continue,
            };
            if let Some(other) = self.defined.get(&name).filter(|other| other.shipped == shipped) {
                let (first, second) = (other.file.clone(), file.to_owned());
                return Err(EvalError::DefinedTwice { name, first, second });
            }
            if let Entry::Task(node) = &entry {
                // A definition with a fault is told when it is wanted, but its tags are known.
                for tag in tags(node) {
                    self.tags.entry(tag).or_default().insert(name.clone());
                }
            }
            self.defined.insert(name, Defined { file: file.to_owned(), entry, shipped });
        }
        Ok(())
    }

    /// Names of all tasks and groups, and of tags.
    pub fn names(&self) -> (Vec<&str>, Vec<&str>) {
        let measured = self.defined.iter().filter(|(_, defined)| !matches!(defined.entry, Entry::Refused(_)));
        (measured.map(|(name, _)| name.as_str()).collect(), self.tags.keys().map(String::as_str).collect())
    }

    /// One task.
    ///
    /// # Errors
    /// No such task, one that has no meaning here, or a definition that cannot be used.
    pub fn task(&self, name: &str) -> Result<Task, EvalError> {
        match self.defined.get(name) {
            Some(Defined { file, entry: Entry::Task(node), .. }) => {
                let mut task = definition::read(node).map_err(|fault| EvalError::Definition {
                    file: file.clone(),
                    line: fault.line,
                    why: fault.why,
                })?;
                if let Some(named) = &mut task.dataset.named {
                    named.base = Path::new(file).parent().unwrap_or(Path::new("")).to_owned();
                }
                Ok(task)
            }
            Some(Defined { entry: Entry::Refused(why), .. }) => {
                Err(EvalError::Refused { name: name.to_owned(), why: why.clone() })
            }
            _ => Err(self.unknown(name)),
        }
    }

    /// Tasks and groups that names stand for, each once, in their order; `*` and `?` in a name are as in a shell.
    ///
    /// # Errors
    /// A name that stands for nothing, a definition that cannot be used, a group that holds itself.
    pub fn choose(&self, names: &[String]) -> Result<Vec<Chosen>, EvalError> {
        let mut found = Vec::new();
        let mut seen = BTreeSet::new();
        for name in names {
            self.resolve(name, &mut Vec::new(), &mut seen, &mut found)?;
        }
        Ok(found)
    }

    /// The names of the tasks that `name` stands for.
    fn resolve(
        &self,
        name: &str,
        path: &mut Vec<String>,
        seen: &mut BTreeSet<String>,
        found: &mut Vec<Chosen>,
    ) -> Result<Vec<String>, EvalError> {
        if path.iter().any(|outer| outer == name) {
            return Err(EvalError::Circular { name: name.to_owned() });
        }
        if let Some(defined) = self.defined.get(name) {
            let Entry::Group(group) = &defined.entry else {
                if seen.insert(name.to_owned()) {
                    found.push(Chosen::Task(Box::new(self.task(name)?)));
                }
                return Ok(vec![name.to_owned()]);
            };
            path.push(name.to_owned());
            let at = found.len();
            let mut members = Vec::new();
            for member in &group.members {
                members.extend(self.resolve(member, path, seen, found)?);
            }
            path.pop();
            if seen.insert(name.to_owned()) {
                found.insert(at, Chosen::Group(group.clone(), members.clone()));
            }
            return Ok(members);
        }
        let several: Vec<String> = match self.tags.get(name) {
            Some(tasks) => tasks.iter().cloned().collect(),
            None if name.contains(['*', '?']) => {
                let all = self.defined.iter().filter(|(_, defined)| matches!(defined.entry, Entry::Task(_)));
                all.map(|(known, _)| known.clone()).filter(|known| matches(name.as_bytes(), known.as_bytes())).collect()
            }
            None => Vec::new(),
        };
        if several.is_empty() {
            return Err(self.unknown(name));
        }
        let mut members = Vec::new();
        for member in several {
            members.extend(self.resolve(&member, path, seen, found)?);
        }
        Ok(members)
    }

    fn unknown(&self, name: &str) -> EvalError {
        let all = self.defined.keys().chain(self.tags.keys());
        let mut near: Vec<(usize, String)> = all
            .map(|known| (distance(name, known), known.clone()))
            .filter(|(distance, known)| *distance <= 1 + name.len() / 4 || (name.len() > 2 && known.contains(name)))
            .collect();
        near.sort();
        EvalError::UnknownTask { name: name.to_owned(), near: near.into_iter().take(5).map(|(_, name)| name).collect() }
    }
}

fn read(path: &Path) -> Result<String, EvalError> {
    let io = |why: String| EvalError::Io { path: path.to_owned(), why };
    let size = std::fs::metadata(path).map_err(|error| io(error.to_string()))?.len();
    if size > 1 << 20 {
        return Err(io(format!("{size} bytes are too many for a definition")));
    }
    std::fs::read_to_string(path).map_err(|error| io(error.to_string()))
}

fn find(path: &Path, depth: usize, files: &mut Vec<std::path::PathBuf>) -> Result<(), EvalError> {
    let io = |error: std::io::Error| EvalError::Io { path: path.to_owned(), why: error.to_string() };
    if std::fs::metadata(path).map_err(io)?.is_file() {
        files.push(path.to_owned());
        return Ok(());
    }
    if depth > 16 || files.len() > MOST_FILES {
        let why = format!("more than 16 folders deep, or more than {MOST_FILES} files");
        return Err(EvalError::Io { path: path.to_owned(), why });
    }
    for entry in std::fs::read_dir(path).map_err(io)? {
        let inner = entry.map_err(io)?.path();
        let yaml = inner.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
        if inner.is_dir() || yaml {
            find(&inner, depth + 1, files)?;
        }
    }
    Ok(())
}

/// A file with what it includes; its own fields go before those.
fn whole(text: &str, include: &dyn Fn(&str) -> Result<String, String>, depth: usize) -> Result<Node, Fault> {
    let mut node = definition::parse(text)?;
    let line = node.line;
    let Content::Map(own) = &mut node.content else {
        return Err(Fault { line, why: format!("a definition is a mapping, found {}", node.kind()) });
    };
    let Some(at) = own.iter().position(|(name, _)| name == "include") else { return Ok(node) };
    let (_, given) = own.remove(at);
    if depth >= DEEPEST {
        return Err(given.fault(format!("more than {DEEPEST} files include each other")));
    }
    let names = match &given.content {
        Content::List(names) => names.as_slice(),
        _ => std::slice::from_ref(&given),
    };
    for name in names {
        let Content::Text(file) = &name.content else { return Err(name.fault("`include` names files")) };
        let text = include(file).map_err(|why| name.fault(format!("`{file}` cannot be included: {why}")))?;
        let inner = whole(&text, include, depth + 1)
            .map_err(|fault| name.fault(format!("in `{file}`, line {}: {}", fault.line, fault.why)))?;
        if let Content::Map(inherited) = inner.content {
            for (name, value) in inherited {
                if !own.iter().any(|(known, _)| *known == name) {
                    own.push((name, value));
                }
            }
        }
    }
    Ok(node)
}

/// The definitions of a file: itself, or its variants.
fn variants(node: Node) -> Result<Vec<Node>, Fault> {
    let Content::Map(mut base) = node.content else { return Ok(vec![node]) };
    let Some(at) = base.iter().position(|(name, _)| name == "variants") else {
        return Ok(vec![Node { line: node.line, content: Content::Map(base) }]);
    };
    let (_, given) = base.remove(at);
    let mut found = Vec::new();
    for (name, changes) in fields(&given)? {
        let mut variant = base.clone();
        let task = Node { line: changes.line, content: Content::Text(name.clone()) };
        let own = fields(changes)?.iter().cloned().chain([("task".to_owned(), task)]);
        for (name, value) in own {
            match variant.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => *known = value,
                None => variant.push((name, value)),
            }
        }
        found.push(Node { line: changes.line, content: Content::Map(variant) });
    }
    Ok(found)
}

fn tags(node: &Node) -> Vec<String> {
    let Ok(given) = fields(node) else { return Vec::new() };
    let named = given.iter().filter(|(name, _)| name == "tag" || name == "group");
    let texts = |node: &Node| match &node.content {
        Content::Text(text) => vec![text.clone()],
        Content::List(items) => {
            let text = |item: &Node| if let Content::Text(text) = &item.content { Some(text.clone()) } else { None };
            items.iter().filter_map(text).collect()
        }
        _ => Vec::new(),
    };
    named.flat_map(|(_, node)| texts(node)).collect()
}

/// Whether a name fits a pattern with `*` and `?`.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        if p < pattern.len() && (pattern[p] == b'?' || pattern[p] == name[n]) && pattern[p] != b'*' {
            (p, n) = (p + 1, n + 1);
        } else if p < pattern.len() && pattern[p] == b'*' {
            star = Some((p, n));
            p += 1;
        } else if let Some((at, taken)) = star {
            star = Some((at, taken + 1));
            (p, n) = (at + 1, taken + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

/// Letters to change, add or take away (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(200).enumerate() {
        let mut before = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = before + usize::from(x != *y);
            before = row[j + 1];
            row[j + 1] = change.min(before + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_a_shell() {
        for (pattern, name, wanted) in [
            ("arc_*", "arc_easy", true),
            ("*", "", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*_easy", "arc_easy", true),
            ("pile_*x*", "pile_github", false),
            ("a*b*c", "aXbYbZc", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), wanted, "{pattern} {name}");
        }
    }

    #[test]
    fn near_names_are_near() {
        assert_eq!((distance("arc_eazy", "arc_easy"), distance("", "abc"), distance("abc", "abc")), (1, 3, 0));
    }
}
