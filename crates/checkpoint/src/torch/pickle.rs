//! A pickle machine that can only build state dicts.
//!
//! It has the opcodes that `torch.save` emits for tensors in dicts and no others; `REDUCE` and `BINPERSID` know the
//! names of `value::Global` and call nothing (`objects.rs`). Containers are positions in an arena, so nesting costs no recursion, and
//! every push is counted, so no input makes it hold more than some tens of megabytes.

use std::collections::HashMap;

use super::value::{Node, Text, Value};
use super::{View, opcode};
use crate::error::Fault;

/// Most values ever pushed: a tensor takes about 25.
const MAX_PUSHES: u32 = 1 << 21;

/// Most containers and objects: a tensor takes about 8.
const MAX_NODES: usize = 1 << 19;

/// Most memo entries: a tensor takes about 12.
const MAX_MEMO: usize = 1 << 20;

/// Longest module or attribute name.
const MAX_GLOBAL_BYTES: usize = 128;

pub(super) fn state_dict(pickle: &[u8]) -> Result<Vec<View>, Fault> {
    let mut machine = Machine {
        pickle,
        position: 0,
        at: 0,
        pushes_left: MAX_PUSHES,
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        nodes: Vec::new(),
    };
    let root = machine.run()?;
    machine.views(root)
}

pub(super) struct Machine<'a> {
    pickle: &'a [u8],
    /// The next byte.
    position: usize,
    /// The opcode at hand.
    at: usize,
    pushes_left: u32,
    stack: Vec<Value>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: HashMap<u32, Value>,
    pub(super) nodes: Vec<Node>,
}

impl<'a> Machine<'a> {
    fn run(&mut self) -> Result<Value, Fault> {
        if u32::try_from(self.pickle.len()).is_err() {
            return Err(self.fault("more than 4 GiB"));
        }
        loop {
            self.at = self.position;
            let [opcode] = self.array()?;
            if opcode == b'.' {
                break;
            }
            self.step(opcode)?;
        }
        let root = self.pop()?;
        if !self.stack.is_empty() || !self.marks.is_empty() {
            return Err(self.fault("values left on the stack at STOP"));
        }
        if self.position != self.pickle.len() {
            return Err(self.fault("bytes after STOP"));
        }
        Ok(root)
    }

    fn step(&mut self, opcode: u8) -> Result<(), Fault> {
        match opcode {
            0x80 => match self.array()? {
                [2..=5] => Ok(()),
                [other] => Err(self.fault(format_args!("protocol {other}; 2 to 5 are read"))),
            },
            // The length of a frame only helps readers that buffer.
            0x95 => self.array::<8>().map(drop),
            b'(' => {
                self.spend()?;
                self.marks.push(self.stack.len());
                Ok(())
            }

            b'N' => self.push(Value::None),
            0x88 | 0x89 => self.push(Value::Bool),
            b'J' => {
                let value = i32::from_le_bytes(self.array()?);
                self.push(Value::Int(value.into()))
            }
            b'K' => {
                let [value] = self.array()?;
                self.push(Value::Int(value.into()))
            }
            b'M' => {
                let value = u16::from_le_bytes(self.array()?);
                self.push(Value::Int(value.into()))
            }
            0x8a => {
                let value = self.long()?;
                self.push(Value::Int(value))
            }
            b'G' => {
                self.array::<8>()?;
                self.push(Value::Float)
            }
            b'X' => {
                let len = u32::from_le_bytes(self.array()?);
                self.push_text(len.into())
            }
            0x8c => {
                let [len] = self.array()?;
                self.push_text(len.into())
            }
            0x8d => {
                let len = u64::from_le_bytes(self.array()?);
                self.push_text(len)
            }

            b')' => self.push_node(Node::Tuple(Vec::new())),
            0x85..=0x87 => {
                let at = self.stack.len().checked_sub(usize::from(opcode - 0x84)).filter(|&at| at >= self.floor());
                let at = at.ok_or_else(|| self.underflow())?;
                let items = self.stack.split_off(at);
                self.push_node(Node::Tuple(items))
            }
            b't' => {
                let items = self.pop_to_mark()?;
                self.push_node(Node::Tuple(items))
            }
            b']' => self.push_node(Node::List(Vec::new())),
            b'a' => {
                let item = self.pop()?;
                self.append(vec![item])
            }
            b'e' => {
                let items = self.pop_to_mark()?;
                self.append(items)
            }
            b'}' => self.push_node(Node::Dict(Vec::new())),
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.set_items(&[key, value])
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                self.set_items(&items)
            }

            b'q' => {
                let [at] = self.array()?;
                self.remember(at.into())
            }
            b'r' => {
                let at = u32::from_le_bytes(self.array()?);
                self.remember(at)
            }
            0x94 => self.remember(self.memo.len() as u32),
            b'h' => {
                let [at] = self.array()?;
                self.recall(at.into())
            }
            b'j' => {
                let at = u32::from_le_bytes(self.array()?);
                self.recall(at)
            }

            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.push_global(module, name)
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Value::Text(name), Value::Text(module)) = (name, module) else {
                    return Err(self.fault("STACK_GLOBAL without two strings"));
                };
                let (module, name) = (self.text(module), self.text(name));
                self.push_global(module, name)
            }
            b'Q' => {
                let id = self.pop()?;
                let storage = self.storage(id)?;
                self.push_node(Node::Storage(storage))
            }
            b'R' => self.reduce(),
            b'b' => self.build(),
            other => Err(self.fault(format_args!("opcode {} ({other:#04x})", opcode::name(other)))),
        }
    }

    // ---- bytes

    fn take(&mut self, len: u64) -> Result<&'a [u8], Fault> {
        let rest: &'a [u8] = &self.pickle[self.position..];
        let taken = usize::try_from(len).ok().and_then(|len| rest.get(..len));
        match taken {
            Some(bytes) => {
                self.position += bytes.len();
                Ok(bytes)
            }
            None => Err(self.fault(format_args!("ends too early: {len} bytes wanted, {} left", rest.len()))),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let bytes = self.take(N as u64)?;
        Ok(*bytes.first_chunk().expect("as many as were asked for"))
    }

    fn long(&mut self) -> Result<i64, Fault> {
        let [len] = self.array()?;
        if len > 8 {
            return Err(self.fault(format_args!("an integer of {len} bytes")));
        }
        let bytes = self.take(len.into())?;
        let sign = if bytes.last().is_some_and(|last| last & 0x80 != 0) { 0xff } else { 0 };
        let mut wide = [sign; 8];
        wide[..bytes.len()].copy_from_slice(bytes);
        Ok(i64::from_le_bytes(wide))
    }

    /// Up to the next newline, which is passed too.
    fn line(&mut self) -> Result<&'a str, Fault> {
        let rest: &'a [u8] = &self.pickle[self.position..];
        let near = &rest[..rest.len().min(MAX_GLOBAL_BYTES)];
        let end = near.iter().position(|&byte| byte == b'\n').ok_or_else(|| self.fault("a name without an end"))?;
        self.position += end + 1;
        std::str::from_utf8(&near[..end]).map_err(|_| self.fault("a name that is not UTF-8"))
    }

    /// The string at `text`.
    pub(super) fn text(&self, text: Text) -> &'a str {
        let start = text.start as usize;
        // Checked when it was pushed.
        self.pickle
            .get(start..start + text.len as usize)
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
            .unwrap_or("")
    }

    // ---- stack, memo, arena

    /// The height below which an opcode may not reach: that of the last mark.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn spend(&mut self) -> Result<(), Fault> {
        self.pushes_left =
            self.pushes_left.checked_sub(1).ok_or_else(|| self.fault(format_args!("more than {MAX_PUSHES} values")))?;
        Ok(())
    }

    pub(super) fn push(&mut self, value: Value) -> Result<(), Fault> {
        self.spend()?;
        self.stack.push(value);
        Ok(())
    }

    pub(super) fn push_node(&mut self, node: Node) -> Result<(), Fault> {
        if self.nodes.len() == MAX_NODES {
            return Err(self.fault(format_args!("more than {MAX_NODES} containers")));
        }
        self.nodes.push(node);
        self.push(Value::Node(self.nodes.len() as u32 - 1))
    }

    fn push_text(&mut self, len: u64) -> Result<(), Fault> {
        let bytes = self.take(len)?;
        if std::str::from_utf8(bytes).is_err() {
            return Err(self.fault("a string that is not UTF-8"));
        }
        // The pickle is shorter than 4 GiB.
        let text = Text { start: (self.position - len as usize) as u32, len: len as u32 };
        self.push(Value::Text(text))
    }

    pub(super) fn pop(&mut self) -> Result<Value, Fault> {
        if self.stack.len() <= self.floor() {
            return Err(self.underflow());
        }
        self.stack.pop().ok_or_else(|| self.underflow())
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Value>, Fault> {
        let mark = self.marks.pop().ok_or_else(|| self.fault("no mark on the stack"))?;
        Ok(self.stack.split_off(mark))
    }

    /// The node on top of the stack, which stays there.
    fn top(&mut self) -> Result<&mut Node, Fault> {
        let top = self.stack.get(self.floor()..).and_then(<[Value]>::last).copied();
        match top {
            Some(Value::Node(at)) => Ok(&mut self.nodes[at as usize]),
            Some(other) => Err(self.fault(format_args!("items for {}", other.kind(&self.nodes)))),
            None => Err(self.underflow()),
        }
    }

    fn append(&mut self, items: Vec<Value>) -> Result<(), Fault> {
        match self.top()? {
            Node::List(list) => {
                list.extend(items);
                Ok(())
            }
            _ => Err(self.fault("items appended to what is no list")),
        }
    }

    fn set_items(&mut self, items: &[Value]) -> Result<(), Fault> {
        let (pairs, rest) = items.as_chunks();
        if !rest.is_empty() {
            return Err(self.fault("a key without a value"));
        }
        match self.top()? {
            Node::Dict(dict) => {
                dict.extend(pairs.iter().map(|&[key, value]| (key, value)));
                Ok(())
            }
            _ => Err(self.fault("keys set in what is no dict")),
        }
    }

    fn remember(&mut self, at: u32) -> Result<(), Fault> {
        let Some(&value) = self.stack.get(self.floor()..).and_then(<[Value]>::last) else {
            return Err(self.underflow());
        };
        self.memo.insert(at, value);
        if self.memo.len() > MAX_MEMO {
            return Err(self.fault(format_args!("more than {MAX_MEMO} memo entries")));
        }
        Ok(())
    }

    fn recall(&mut self, at: u32) -> Result<(), Fault> {
        let value =
            *self.memo.get(&at).ok_or_else(|| self.fault(format_args!("memo entry {at}, which was never set")))?;
        self.push(value)
    }

    pub(super) fn fault(&self, what: impl std::fmt::Display) -> Fault {
        Fault::Pickle { offset: self.at, what: what.to_string() }
    }

    fn underflow(&self) -> Fault {
        self.fault("stack underflow")
    }
}
