//! The front door: help, version, completions.

use std::time::Duration;

use super::runner::{Program, gptneo};

const VERBS: [&str; 13] = [
    "run",
    "chat",
    "score",
    "tokenize",
    "bench",
    "quantize",
    "convert",
    "pull",
    "list",
    "show",
    "rm",
    "doctor",
    "completions",
];

#[test]
fn help_is_quick_and_fits_a_terminal() {
    let best = (0..5).map(|_| gptneo(["--help"]).took).min().unwrap();
    // 50 ms are promised of a release build on a quiet machine (`bench/small.py`); this one is neither.
    assert!(best < Duration::from_millis(500), "{best:?}");
    let help = gptneo(["--help"]);
    assert_eq!(help.code, Some(0));
    for verb in VERBS {
        assert!(help.text().contains(&format!("\n  {verb} ")), "{verb}");
        let own = gptneo([verb, "--help"]);
        assert_eq!(own.code, Some(0), "{verb}");
        assert_eq!(own.stderr, "");
        assert!(own.text().contains("Usage: gptneo"), "{verb}");
        assert!(own.text().lines().all(|line| line.chars().count() <= 100), "{verb}: {}", own.text());
    }
    assert!(help.text().lines().all(|line| line.chars().count() <= 80), "{}", help.text());
}

#[test]
fn the_version_is_that_of_the_package() {
    assert_eq!(gptneo(["--version"]).text(), format!("gptneo {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn every_shell_gets_a_script_that_knows_the_verbs() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = gptneo(["completions", shell]);
        assert_eq!(script.code, Some(0), "{shell}");
        assert!(VERBS.iter().all(|verb| script.text().contains(verb)), "{shell}");
    }
}

#[test]
fn colour_is_for_terminals() {
    let outcome = Program::new(["run", "-m", "no model", "x"]).env("TERM", "xterm-256color").run();
    assert!(!outcome.stderr.contains('\x1b'), "{:?}", outcome.stderr);
    for form in ["pocket", "EleutherAI/gpt-neo-125m", "./directory", "model.gguf", "random:gpt-neo-125m"] {
        assert!(outcome.stderr.contains(&format!("-m {form}")), "{}", outcome.stderr);
    }
}
