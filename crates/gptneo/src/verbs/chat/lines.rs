//! Lines from a person, with editing and a history that outlives the program, or from a pipe.

use std::fs;
use std::io::{self, BufRead, IsTerminal};
use std::path::{Path, PathBuf};

use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Config, Editor};

use crate::failure::{Failure, Kind, chain, reason};
use crate::terminal;

/// Entries of history that are kept.
const KEPT: usize = 1000;

/// What was typed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Something, perhaps of several lines.
    Text(String),
    /// Nothing.
    Nothing,
    /// The end of input.
    End,
}

/// Where lines come from.
pub(super) enum Lines {
    /// A terminal.
    Edited { editor: Box<Editor<(), FileHistory>>, history: Option<PathBuf> },
    /// A pipe or a file.
    Piped,
}

impl Lines {
    /// Standard input, with the history of former conversations if it is a terminal.
    pub(super) fn open(history: Option<&Path>) -> Result<Self, Failure> {
        if !io::stdin().is_terminal() {
            return Ok(Self::Piped);
        }
        let failed = |error: ReadlineError| Failure::new(Kind::Io, chain(&error)).within("the line editor");
        let config = Config::builder().max_history_size(KEPT).map_err(failed)?.auto_add_history(false).build();
        let entries = FileHistory::with_config(&config);
        let mut editor = Editor::with_history(config, entries).map_err(failed)?;
        if let Some(path) = history {
            if let Some(folder) = path.parent() {
                // Without a place to keep it there is no history, and nothing else is lost.
                let _ = fs::create_dir_all(folder);
            }
            let _ = editor.load_history(path);
        }
        Ok(Self::Edited { editor: Box::new(editor), history: history.map(Path::to_owned) })
    }

    /// Whether a person types.
    pub(super) fn interactive(&self) -> bool {
        matches!(self, Self::Edited { .. })
    }

    /// The next thing said: one line, or several joined by `\` at their ends or between `"""`.
    pub(super) fn read(&mut self) -> Result<Line, Failure> {
        let Some(first) = self.line("> ")? else { return Ok(Line::End) };
        let mut text = first;
        if let Some(opened) = text.trim_start().strip_prefix("\"\"\"") {
            text = opened.to_owned();
            while !text.trim_end().ends_with("\"\"\"") {
                let Some(more) = self.line("... ")? else { break };
                text = text + "\n" + &more;
            }
            text = text.trim_end().trim_end_matches("\"\"\"").trim_matches('\n').to_owned();
        } else {
            while text.ends_with('\\') {
                text.pop();
                let Some(more) = self.line("... ")? else { break };
                text = text + "\n" + &more;
            }
        }
        let text = text.trim().to_owned();
        if text.is_empty() {
            return Ok(Line::Nothing);
        }
        self.remember(&text);
        Ok(Line::Text(text))
    }

    fn line(&mut self, sign: &str) -> Result<Option<String>, Failure> {
        match self {
            Self::Edited { editor, .. } => match editor.readline(sign) {
                Ok(line) => Ok(Some(line)),
                Err(ReadlineError::Eof) => Ok(None),
                Err(ReadlineError::Interrupted) => {
                    terminal::say(&terminal::dim("Ctrl-D or /exit leaves"));
                    Ok(Some(String::new()))
                }
                Err(error) => Err(Failure::new(Kind::Io, chain(&error)).within("the line editor")),
            },
            Self::Piped => {
                let mut line = Vec::new();
                let read = io::stdin()
                    .lock()
                    .read_until(b'\n', &mut line)
                    .map_err(|e| Failure::new(Kind::Io, format!("cannot read standard input: {}", reason(&e))))?;
                if read == 0 {
                    return Ok(None);
                }
                let line =
                    String::from_utf8(line).map_err(|_| Failure::bad_file("standard input is not UTF-8 text"))?;
                Ok(Some(line.trim_end_matches(['\n', '\r']).to_owned()))
            }
        }
    }

    /// Kept line by line, so that nothing is lost when the program is killed.
    fn remember(&mut self, text: &str) {
        if let Self::Edited { editor, history } = self {
            let _ = editor.add_history_entry(text);
            if let Some(path) = history {
                let _ = editor.append_history(path);
            }
        }
    }
}
