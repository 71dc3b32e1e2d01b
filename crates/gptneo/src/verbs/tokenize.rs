//! `gptneo tokenize`: text on standard input to ids on standard output, and back with `--decode`.

use std::io::IsTerminal;

use gptneo_text::Special;
use serde::{Deserialize, Serialize};

use crate::args::TokenizeArgs;
use crate::args::values::TokenIds;
use crate::failure::Failure;
use crate::input;
use crate::open::tokenizer;
use crate::terminal;
use crate::verbs::World;

/// What `--json` prints, and what `--decode` also takes.
#[derive(Serialize)]
struct Encoded<'a> {
    tokens: &'a [u32],
    count: usize,
}

#[derive(Serialize)]
struct Decoded<'a> {
    text: &'a str,
}

#[derive(Deserialize)]
struct Given {
    tokens: Vec<u32>,
}

pub(crate) fn run(args: &TokenizeArgs, world: &World) -> Result<(), Failure> {
    let tokenizer = tokenizer(args.model.as_deref(), &args.hub, world.environment, &world.interrupt)?;
    if std::io::stdin().is_terminal() {
        terminal::say("reading from the terminal; Ctrl-D ends it");
    }
    let text = input::standard_always()?;
    if args.decode {
        let ids = ids(&text)?;
        if args.json {
            return terminal::json(&Decoded { text: &tokenizer.decode(&ids, Special::Keep)? });
        }
        // The true bytes, so that what was encoded comes back whatever it was.
        return terminal::bytes(&tokenizer.decode_bytes(&ids, Special::Keep)?);
    }
    let tokens = if args.no_special { tokenizer.encode_plain(&text)? } else { tokenizer.encode(&text)? };
    if args.json {
        return terminal::json(&Encoded { tokens: &tokens, count: tokens.len() });
    }
    terminal::line(&tokens.iter().map(u32::to_string).collect::<Vec<_>>().join(" "))
}

/// Ids in any usual spelling, or the object that `tokenize --json` prints.
fn ids(text: &str) -> Result<Vec<u32>, Failure> {
    if text.trim_start().starts_with('{') {
        return match serde_json::from_str::<Given>(text) {
            Ok(given) => Ok(given.tokens),
            Err(error) => Err(Failure::usage(format!("standard input is no JSON object with `tokens`: {error}"))),
        };
    }
    text.parse::<TokenIds>().map(|ids| ids.0).map_err(|error| Failure::usage(format!("standard input: {error}")))
}
