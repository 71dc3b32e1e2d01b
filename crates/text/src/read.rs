//! The files a tokenizer comes in. Each reader reduces its source to [`crate::pieces::Pieces`]; none of them trusts it.

pub(crate) mod bpe_files;
pub(crate) mod directory;
pub(crate) mod gguf;
pub(crate) mod tokenizer_json;

use crate::error::{Result, TextError, shown};

/// The largest file that is read, in bytes: twice the largest `tokenizer.json` in use.
const FILE_LIMIT: u64 = 64 << 20;

fn check_size(file: &'static str, found: u64) -> Result<()> {
    if found > FILE_LIMIT {
        return Err(TextError::Malformed {
            file,
            detail: format!("{found} bytes long, but at most {FILE_LIMIT} are read"),
        });
    }
    Ok(())
}

fn malformed(file: &'static str, detail: impl ToString) -> TextError {
    TextError::Malformed { file, detail: shown(&detail.to_string()) }
}

/// The tokens of `left right`: exactly one space, something on both sides.
fn two_tokens(text: &str) -> Option<(&str, &str)> {
    let (left, right) = text.split_once(' ')?;
    (!left.is_empty() && !right.is_empty() && !right.contains(' ')).then_some((left, right))
}
