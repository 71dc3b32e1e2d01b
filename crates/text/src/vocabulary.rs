//! The tokens: id to bytes and name, name to id. Holes are allowed, two claims to one id are not.

use std::collections::HashMap;
use std::sync::Arc;

use crate::alphabet;
use crate::error::{Result, TextError, shown};

/// Ids run below this: sixteen times the largest vocabulary in use, and still a table of 64 MiB at most.
pub(crate) const ID_LIMIT: u32 = 1 << 22;

const HOLE: (u32, u32) = (u32::MAX, 0);

/// Every token that an id can stand for.
#[derive(Default)]
pub(crate) struct Vocabulary {
    /// The true bytes of all tokens, end to end.
    bytes: Vec<u8>,
    /// Start and end of each id's bytes.
    spans: Vec<(u32, u32)>,
    names: Vec<Option<Arc<str>>>,
    ids: HashMap<Arc<str>, u32, foldhash::fast::RandomState>,
    special: Vec<bool>,
    count: usize,
}

impl Vocabulary {
    /// Adds a token of the model: written in the byte-level alphabet, or taken literally where it is not.
    pub(crate) fn add(&mut self, name: &str, id: u32) -> Result<()> {
        match alphabet::bytes_of(name) {
            Some(bytes) => self.place(name, &bytes, id),
            None => self.place(name, name.as_bytes(), id),
        }
    }

    /// Adds a token that stands for its own content, or changes one of the model into that.
    pub(crate) fn add_literal(&mut self, name: &str, id: u32, special: bool) -> Result<()> {
        if self.id_of(name) == Some(id) {
            let span = self.append(name.as_bytes())?;
            self.spans[id as usize] = span;
        } else {
            self.place(name, name.as_bytes(), id)?;
        }
        self.special[id as usize] |= special;
        Ok(())
    }

    fn place(&mut self, name: &str, bytes: &[u8], id: u32) -> Result<()> {
        if id >= ID_LIMIT {
            return Err(TextError::TooLarge { what: "token id", found: id.into(), limit: u64::from(ID_LIMIT) - 1 });
        }
        if let Some(first) = self.id_of(name) {
            return Err(TextError::DuplicateToken { token: shown(name), first, second: id });
        }
        if let Some(first) = self.name(id) {
            return Err(TextError::DuplicateId { id, first: shown(first), second: shown(name) });
        }
        let span = self.append(bytes)?;
        let at = id as usize;
        if self.spans.len() <= at {
            self.spans.resize(at + 1, HOLE);
            self.names.resize(at + 1, None);
            self.special.resize(at + 1, false);
        }
        let name: Arc<str> = name.into();
        self.spans[at] = span;
        self.names[at] = Some(Arc::clone(&name));
        self.ids.insert(name, id);
        self.count += 1;
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(u32, u32)> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        let end = u32::try_from(self.bytes.len()).map_err(|_| TextError::TooLarge {
            what: "bytes of all tokens",
            found: self.bytes.len() as u64,
            limit: u32::MAX.into(),
        })?;
        // `start <= end`, so it fits as well.
        Ok((start as u32, end))
    }

    /// One more than the largest id.
    pub(crate) fn size(&self) -> usize {
        self.spans.len()
    }

    /// How many ids have a token.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// The true bytes of a token.
    pub(crate) fn bytes(&self, id: u32) -> Option<&[u8]> {
        let &(start, end) = self.spans.get(id as usize).filter(|&&span| span != HOLE)?;
        Some(&self.bytes[start as usize..end as usize])
    }

    /// A token as the files spell it.
    pub(crate) fn name(&self, id: u32) -> Option<&str> {
        self.names.get(id as usize)?.as_deref()
    }

    /// The id of a token as the files spell it.
    pub(crate) fn id_of(&self, name: &str) -> Option<u32> {
        self.ids.get(name).copied()
    }

    /// Whether the token is a control token.
    pub(crate) fn is_special(&self, id: u32) -> bool {
        self.special.get(id as usize).copied().unwrap_or(false)
    }

    /// All tokens in order of id.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &str)> {
        self.names.iter().enumerate().filter_map(|(id, name)| Some((id as u32, name.as_deref()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_holes_apart_from_empty_tokens() {
        let mut vocabulary = Vocabulary::default();
        vocabulary.add("", 2).unwrap();
        vocabulary.add("Ġa", 0).unwrap();
        assert_eq!((vocabulary.size(), vocabulary.count()), (3, 2));
        assert_eq!(vocabulary.bytes(0), Some(&b" a"[..]));
        assert_eq!(vocabulary.bytes(1), None);
        assert_eq!(vocabulary.bytes(2), Some(&b""[..]));
        assert_eq!(vocabulary.bytes(3), None);
        assert_eq!(vocabulary.iter().collect::<Vec<_>>(), [(0, "Ġa"), (2, "")]);
    }

    #[test]
    fn takes_a_token_outside_the_alphabet_literally() {
        let mut vocabulary = Vocabulary::default();
        vocabulary.add("漢 é", 0).unwrap();
        vocabulary.add("é", 1).unwrap();
        assert_eq!(vocabulary.bytes(0), Some("漢 é".as_bytes()));
        assert_eq!(vocabulary.bytes(1), Some(&[0xe9][..]));
        vocabulary.add_literal("é", 1, true).unwrap();
        assert_eq!(vocabulary.bytes(1), Some("é".as_bytes()));
        assert!(vocabulary.is_special(1) && !vocabulary.is_special(0) && !vocabulary.is_special(9));
    }

    #[test]
    fn refuses_two_claims_and_far_ids() {
        let mut vocabulary = Vocabulary::default();
        vocabulary.add("a", 0).unwrap();
        assert!(matches!(vocabulary.add("b", 0), Err(TextError::DuplicateId { id: 0, .. })));
        assert!(matches!(vocabulary.add("a", 1), Err(TextError::DuplicateToken { first: 0, second: 1, .. })));
        assert!(matches!(vocabulary.add("c", ID_LIMIT), Err(TextError::TooLarge { .. })));
    }
}
