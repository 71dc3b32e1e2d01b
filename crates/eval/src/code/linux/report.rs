//! What a confined child reported, line by line under its token.

use super::interpreter::last_line;

/// How a program ended, by its own interpreter's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Passed,
    Failed(String),
}

/// What was reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Report {
    /// The child could not be confined, and ran nothing.
    Refused(String),
    /// The interpreter did not come so far as to run the program.
    NotStarted(String),
    /// The program was run, confined as described, and ended as told; a program that was killed tells nothing.
    Started { confinement: String, said: Option<Said> },
}

impl Report {
    pub(super) fn read(said: &[u8], token: &str) -> Self {
        let said = String::from_utf8_lossy(said);
        let mut confinement = None;
        let mut started = false;
        let mut ended = None;
        for line in said.lines() {
            let Some(line) = line.strip_prefix(token).and_then(|line| line.strip_prefix(' ')) else { continue };
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            match word {
                "refused" => return Self::Refused(rest.to_owned()),
                "confined" => confinement = Some(rest.to_owned()),
                "started" => started = true,
                "passed" => ended = Some(Said::Passed),
                "failed" => ended = Some(Said::Failed(rest.to_owned())),
                _ => {}
            }
        }
        match (confinement, started) {
            (Some(confinement), true) => Self::Started { confinement, said: ended },
            _ => Self::NotStarted(last_line(&said).chars().take(300).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(said: &str, wanted: &Report) {
        assert_eq!(&Report::read(said.as_bytes(), "abc"), wanted, "{said:?}");
    }

    #[test]
    fn only_what_stands_under_the_token_counts() {
        let started = |said| Report::Started { confinement: "well".to_owned(), said };
        check("abc confined well\n\nabc started\n\nabc passed\n", &started(Some(Said::Passed)));
        check("abc confined well\nabc started\nabd passed\npassed\n", &started(None));
        let failed = Some(Said::Failed("ValueError: no".to_owned()));
        check("abc confined well\nnoise\nabc started\nabc failed ValueError: no\n", &started(failed));
    }

    #[test]
    fn a_runner_that_fails_is_no_verdict() {
        check("abc refused no Landlock\n", &Report::Refused("no Landlock".to_owned()));
        check("abc confined well\nlibpython: not found\n", &Report::NotStarted("libpython: not found".to_owned()));
        check("", &Report::NotStarted("it said nothing".to_owned()));
        check("abc started\nabc passed\n", &Report::NotStarted("abc passed".to_owned()));
    }
}
