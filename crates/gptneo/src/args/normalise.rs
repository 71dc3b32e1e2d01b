//! `--top_k` means `--top-k`: names of flags are compared with `-` and `_` alike.
//!
//! Only names are touched. What follows a flag that takes a value is a value, however it looks, and nothing is
//! touched after `--`.

use std::ffi::OsString;

use clap::{Arg, Command};

/// Respells the long flags of `argv` as the tree does.
pub(crate) fn underscores(tree: &Command, argv: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut command = tree;
    let mut value_follows = false;
    let mut only_values = false;
    let mut out = Vec::new();
    for (index, word) in argv.into_iter().enumerate() {
        let Some(text) = word.to_str().filter(|_| index > 0 && !only_values && !value_follows) else {
            value_follows = false;
            out.push(word);
            continue;
        };
        if text == "--" {
            only_values = true;
        } else if let Some(flag) = text.strip_prefix("--") {
            let (name, value) = match flag.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (flag, None),
            };
            let respelt = name.replace('_', "-");
            if let Some(arg) = find_long(command, &respelt) {
                value_follows = value.is_none() && takes_value(arg);
                out.push(match value {
                    Some(value) => format!("--{respelt}={value}").into(),
                    None => format!("--{respelt}").into(),
                });
                continue;
            }
        } else if let Some(letter) = text.strip_prefix('-').filter(|rest| rest.chars().count() == 1) {
            let letter = letter.chars().next();
            value_follows = command.get_arguments().any(|a| a.get_short() == letter && takes_value(a));
        } else if let Some(verb) = command.find_subcommand(text) {
            command = verb;
        }
        out.push(word);
    }
    out
}

fn find_long<'a>(command: &'a Command, name: &str) -> Option<&'a Arg> {
    command.get_arguments().find(|arg| {
        arg.get_long() == Some(name) || arg.get_all_aliases().is_some_and(|aliases| aliases.contains(&name))
    })
}

fn takes_value(arg: &Arg) -> bool {
    arg.get_action().takes_values()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(typed: &[&str], wanted: &[&str]) {
        let mut tree = crate::args::command();
        tree.build();
        let argv = typed.iter().map(OsString::from);
        let wanted: Vec<OsString> = wanted.iter().map(OsString::from).collect();
        assert_eq!(underscores(&tree, argv), wanted);
    }

    #[test]
    fn respells_a_flag() {
        check(&["gptneo", "run", "--top_k", "4"], &["gptneo", "run", "--top-k", "4"]);
        check(&["gptneo", "run", "--cache_type_k=f16"], &["gptneo", "run", "--cache-type-k=f16"]);
        check(&["gptneo", "run", "--max_tokens", "4"], &["gptneo", "run", "--max-tokens", "4"]);
    }

    #[test]
    fn leaves_values_alone() {
        check(&["gptneo", "run", "--stop", "--top_k"], &["gptneo", "run", "--stop", "--top_k"]);
        check(&["gptneo", "run", "-p", "--top_k"], &["gptneo", "run", "-p", "--top_k"]);
        check(&["gptneo", "run", "--stop=a_b"], &["gptneo", "run", "--stop=a_b"]);
        check(&["gptneo", "run", "--", "--top_k"], &["gptneo", "run", "--", "--top_k"]);
    }

    #[test]
    fn leaves_unknown_flags_for_the_parser_to_refuse() {
        check(&["gptneo", "run", "--no_such_flag"], &["gptneo", "run", "--no_such_flag"]);
    }
}
