//! Errors at the edge: what a verb could not do, told once, with the exit code that scripts rely on.
//!
//! Libraries return typed errors; verbs turn them into a [`Failure`]; only [`Failure::report`] prints. Codes: 2 usage,
//! 3 I/O, 4 bad file, 5 would not fit in memory, 130 interrupted, 1 for what should not happen.

use std::error::Error;
use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use crate::terminal;

/// What kind of failure, which decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// What was asked for makes no sense.
    Usage,
    /// The world (a file, a disk, a network) did not do its part.
    Io,
    /// A file is not what it should be.
    BadFile,
    /// It would not fit in memory.
    Memory,
    /// The user stopped it.
    Interrupted,
    /// Whoever read our output has left: no failure of ours, and no reader for a message.
    OutputClosed,
    /// A fault of the program.
    Internal,
}

impl Kind {
    /// The exit code.
    pub(crate) fn code(self) -> u8 {
        match self {
            Kind::OutputClosed => 0,
            Kind::Internal => 1,
            Kind::Usage => 2,
            Kind::Io => 3,
            Kind::BadFile => 4,
            Kind::Memory => 5,
            Kind::Interrupted => 130,
        }
    }
}

/// Why a verb ended early.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    kind: Kind,
    message: String,
    hints: Vec<String>,
}

impl Failure {
    /// A failure of some kind, in words.
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hints: Vec::new() }
    }

    /// Exit code 2.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    /// Exit code 4.
    pub(crate) fn bad_file(message: impl Into<String>) -> Self {
        Self::new(Kind::BadFile, message)
    }

    /// Exit code 3: `what` (such as "cannot read") was tried on `path`.
    pub(crate) fn io(what: &str, path: &Path, error: &io::Error) -> Self {
        Self::new(Kind::Io, format!("{what} {}: {}", path.display(), reason(error)))
    }

    /// Exit code 130. What there was to say has been said.
    pub(crate) fn interrupted() -> Self {
        Self::new(Kind::Interrupted, "interrupted")
    }

    /// An error of a library, with its causes unless it has told them itself.
    pub(crate) fn because(kind: Kind, error: &(dyn Error + 'static)) -> Self {
        Self::new(kind, chain(error))
    }

    /// Adds what can be done about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Says before which work the failure came: `while loading x: message`.
    pub(crate) fn within(mut self, place: &str) -> Self {
        self.message = format!("{place}: {}", self.message);
        self
    }

    /// Its kind.
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// The message alone, for places that go on after a failure.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The text that [`Failure::report`] prints; empty where nothing is to be said.
    fn text(&self) -> String {
        let mut text = String::new();
        match self.kind {
            Kind::OutputClosed => return text,
            Kind::Interrupted => text.push_str(&self.message),
            _ => {
                let _ = write!(text, "{} {}", terminal::red("error:"), self.message);
            }
        }
        for hint in &self.hints {
            let _ = write!(text, "\n  {} {}", terminal::bold("try:"), hint.replace('\n', "\n       "));
        }
        text
    }

    /// The same, as one rank of several tells it.
    #[cfg(feature = "mpi")]
    pub(crate) fn within_rank(&self, rank: usize) -> Self {
        let message = format!("rank {rank}: {}", self.message);
        Self { message, ..self.clone() }
    }

    /// Tells the user, and gives the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        let text = self.text();
        if !text.is_empty() {
            terminal::say(&text);
        }
        ExitCode::from(self.kind.code())
    }
}

/// A failure to write results. Standard output closed by its reader is no failure.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::new(Kind::OutputClosed, String::new()),
            _ => Self::new(Kind::Io, format!("cannot write to standard output: {}", reason(&error))),
        }
    }
}

/// An I/O error without the number that the standard library adds.
pub(crate) fn reason(error: &io::Error) -> String {
    let text = without_numbers(&error.to_string());
    // The system's own words begin with a capital; ours do not.
    if error.raw_os_error().is_some() { text.to_lowercase() } else { text }
}

/// The text without `(os error 2)`, which says again what stands before it.
fn without_numbers(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(" (os error ") {
        let Some(end) = rest[at..].find(')') else { break };
        out.push_str(&rest[..at]);
        rest = &rest[at + end + 1..];
    }
    out.push_str(rest);
    out
}

/// The message of an error and of its causes, each once.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            let _ = write!(text, ": {more}");
        }
        cause = error.source();
    }
    without_numbers(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_pipe_is_silent_success() {
        let failure = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(failure.kind().code(), 0);
        assert_eq!(failure.text(), "");
    }

    #[test]
    fn numbers_of_the_system_are_left_out() {
        assert_eq!(without_numbers("a: gone (os error 2); b (os error 13)"), "a: gone; b");
        assert_eq!(without_numbers("plain (text)"), "plain (text)");
        assert_eq!(reason(&io::Error::from_raw_os_error(2)), "no such file or directory");
    }

    #[test]
    fn causes_are_told_once() {
        #[derive(Debug)]
        struct Outer(io::Error, &'static str);
        impl std::fmt::Display for Outer {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.1)
            }
        }
        impl Error for Outer {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                Some(&self.0)
            }
        }
        let cause = || io::Error::other("disk on fire");
        assert_eq!(chain(&Outer(cause(), "cannot read x")), "cannot read x: disk on fire");
        assert_eq!(chain(&Outer(cause(), "cannot read x: disk on fire")), "cannot read x: disk on fire");
    }
}
