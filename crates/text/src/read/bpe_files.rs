//! `vocab.json` and `merges.txt`, the files of GPT-2, and `added_tokens.json` beside them.

use super::tokenizer_json::Entries;
use super::{check_size, malformed, two_tokens};
use crate::error::Result;
use crate::pieces::{AddedToken, Pieces};

const VOCAB: &str = "vocab.json";
const MERGES: &str = "merges.txt";

pub(crate) fn pieces(vocab: &[u8], merges: &[u8]) -> Result<Pieces> {
    Ok(Pieces { vocab: ids(VOCAB, vocab)?, merges: merge_lines(merges)?, ..Pieces::default() })
}

/// `{"token": id}`.
pub(crate) fn ids(file: &'static str, bytes: &[u8]) -> Result<Vec<(String, u32)>> {
    check_size(file, bytes.len() as u64)?;
    match serde_json::from_slice(bytes).map_err(|error| malformed(file, error))? {
        Entries::Ids(ids) => Ok(ids),
        Entries::Scores => Err(malformed(file, "a list, but wanted an object of tokens and their ids")),
    }
}

/// One merge a line, best first; a `#version` line and empty lines are passed over.
fn merge_lines(bytes: &[u8]) -> Result<Vec<(String, String)>> {
    check_size(MERGES, bytes.len() as u64)?;
    let text = std::str::from_utf8(bytes).map_err(|error| malformed(MERGES, error))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with("#version"));
    lines
        .map(|(at, line)| {
            let wrong = || malformed(MERGES, format!("line {} is {line:?}, but wanted two tokens", at + 1));
            two_tokens(line).map(|(left, right)| (left.into(), right.into())).ok_or_else(wrong)
        })
        .collect()
}

/// Makes `token` special if the vocabulary has it: the vocabulary file does not say so itself.
pub(crate) fn add_end_of_text(pieces: &mut Pieces, token: &str) {
    if pieces.added.iter().any(|added| added.content == token) {
        return;
    }
    if let Some((_, id)) = pieces.vocab.iter().find(|(name, _)| name == token) {
        let added = AddedToken { id: *id, content: token.into(), special: true, ..AddedToken::default() };
        pieces.added.push(added);
    }
}
