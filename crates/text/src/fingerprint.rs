//! One number for what a tokenizer does, so that ids on disk can say what made them.

use sha2::{Digest, Sha256};

use crate::pieces::Pieces;
use crate::vocabulary::Vocabulary;

/// The SHA-256 over a form that each tokenizer has exactly one of: lists in order of id, every string after its length.
pub(crate) fn of(pieces: &Pieces, vocabulary: &Vocabulary) -> [u8; 32] {
    let mut form = Form(Sha256::new());
    form.text("gptneo tokenizer 1");
    form.number(vocabulary.count());
    for (id, name) in vocabulary.iter() {
        form.number(id as usize);
        form.text(name);
    }
    form.number(pieces.merges.len());
    for (left, right) in &pieces.merges {
        form.text(left);
        form.text(right);
    }
    let mut added: Vec<_> = pieces.added.iter().collect();
    added.sort_by_key(|token| token.id);
    form.number(added.len());
    for token in added {
        form.number(token.id as usize);
        form.text(&token.content);
        // Without a normal form there is one text, normalised or not.
        let normalized = token.normalized && !pieces.normal_forms.is_empty();
        form.flags(&[token.special, normalized, token.single_word, token.lstrip, token.rstrip]);
    }
    form.number(pieces.normal_forms.len());
    for normal_form in &pieces.normal_forms {
        form.text(normal_form.name());
    }
    form.flags(&[pieces.prefix_space, pieces.ignore_merges, pieces.fuse_unknown]);
    form.text(pieces.unknown.as_deref().unwrap_or_default());
    form.0.finalize().into()
}

struct Form(Sha256);

impl Form {
    fn number(&mut self, number: usize) {
        self.0.update((number as u64).to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len());
        self.0.update(text);
    }

    fn flags(&mut self, flags: &[bool]) {
        flags.iter().for_each(|&flag| self.0.update([u8::from(flag)]));
    }
}
