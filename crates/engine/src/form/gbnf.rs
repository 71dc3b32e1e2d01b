//! GBNF, the notation of llama.cpp's users, said in Lark's.
//!
//! ```text
//! root  ::= item ("," item)*      # `root` is where it starts
//! item  ::= [a-z]+ | "\"" [^"]{0,9} "\""
//! ```
//!
//! A grammar is read into [`Rule`]s ([`read`]), checked ([`check`]) and written out ([`lark`]). What no recursion is behind is
//! regular. Where `root` is, the whole grammar is one terminal, and is kept exactly. Elsewhere it is cut into terminals
//! ([`plan`]), each of which takes the longest text that it can, as llguidance's do: what comes out is always a text of the
//! grammar, but some of its texts may not come out, in which one terminal ends where another, or it again, could go on.
//!
//! A grammar is hostile: nesting is bounded, recursion of ours goes only as deep as that, and all that walks from rule
//! to rule keeps a list of its own.

mod chars;
mod check;
mod facts;
mod lark;
mod plan;
mod read;

/// Deepest nesting of groups.
const MAX_DEPTH: usize = 64;
/// Most repetitions that may be counted.
const MAX_COUNT: u32 = 65_535;

/// What a grammar is made of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Node {
    /// This text; empty: nothing.
    Text(String),
    /// One character of a class.
    Class(Class),
    /// One character.
    Any,
    /// What the rule with this number says.
    Rule(usize),
    /// One after the other.
    Sequence(Vec<Node>),
    /// One of these.
    Choice(Vec<Node>),
    /// So many times; `None`: any number from the first.
    Repeat(Box<Node>, u32, Option<u32>),
}

/// Characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Class {
    negated: bool,
    /// First and last of each range.
    ranges: Vec<(char, char)>,
}

/// A named rule.
#[derive(Clone, Debug)]
struct Rule {
    name: String,
    /// The byte where it is defined or, if nowhere, first used.
    at: usize,
    /// `None` while only its name is known.
    body: Option<Node>,
}

/// The grammar in Lark's notation.
///
/// # Errors
/// In words, with the place, what is wrong with it.
pub(super) fn to_lark(source: &str) -> Result<String, String> {
    let rules = read::rules(source)?;
    let root = check::check(source, &rules)?;
    Ok(lark::write(&rules, root))
}

/// The line of a byte, from 1.
fn line(source: &str, at: usize) -> usize {
    source[..at].matches('\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(source: &str, wanted: &[&str]) {
        let found = to_lark(source).unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(found.lines().collect::<Vec<_>>(), wanted, "{source}");
    }

    fn refused(source: &str, wanted: &str) {
        match to_lark(source) {
            Ok(lark) => panic!("{source} became {lark}"),
            Err(why) => assert!(why.contains(wanted), "wanted `{wanted}`, found `{why}`"),
        }
    }

    #[test]
    fn a_grammar_without_recursion_is_one_terminal() {
        says(r#"root ::= "a" "b" | "c""#, &["start: T0", r#"T0: "a" "b" | "c""#]);
        says("root ::= word\nword ::= [a-z]+", &["start: T0", "T0: T1", r"T1: /[\x{61}-\x{7a}]/+"]);
    }

    #[test]
    fn what_recursion_is_behind_is_a_rule() {
        let list = "root ::= \"(\" (root (\",\" root)*)? \")\" ws\nws ::= [ \\n]*";
        says(
            list,
            &[
                "start: r0",
                r#"r0: "(" g1? U0"#,
                "g1: r0 g2*",
                r#"g2: "," r0"#,
                r#"U0: ")" T1"#,
                r"T1: /[\x{20}\x{a}]/*",
            ],
        );
    }

    #[test]
    fn a_terminal_that_would_take_what_follows_is_taken_apart() {
        // As in llama.cpp's arithmetic: the space behind a number must not take the line break that is wanted.
        let sums =
            "root ::= (sum \"\\n\")+\nsum ::= num (\"+\" num)* | \"(\" sum \")\" ws\nnum ::= [0-9]+ ws\nws ::= [ \\n]*";
        says(
            sums,
            &[
                "start: r0",
                "r0: g1+",
                r#"g1: r1 "\n""#,
                r#"r1: r2 g4* | "(" r1 ")" r3"#,
                "r2: U0 r3",
                r#"g4: "+" r2"#,
                r"r3: /[\x{20}\x{a}]/*",
                r"U0: /[\x{30}-\x{39}]/+",
            ],
        );
    }

    #[test]
    fn reads_escapes_in_texts_and_classes() {
        says(r#"root ::= "\n\t\r\"\\\x41\u00e9\U0001F600""#, &["start: T0", "T0: \"\\n\\t\\r\\\"\\\\Aé😀\""]);
        says(r"root ::= [\x00-\x1f\]\\a-]", &["start: T0", r"T0: /[\x{0}-\x{1f}\x{5d}\x{5c}\x{61}\x{2d}]/"]);
        says("root ::= [^\"\u{7f}] .", &["start: T0", r"T0: /[^\x{22}\x{7f}]/ /(?s:.)/"]);
    }

    #[test]
    fn reads_every_kind_of_repetition() {
        let repeats = |form: &str, wanted: &str| says(&format!("root ::= \"a\"{form}"), &["start: T0", wanted]);
        repeats("*", r#"T0: "a"*"#);
        repeats("+", r#"T0: "a"+"#);
        repeats("?", r#"T0: "a"?"#);
        repeats("{3}", r#"T0: "a"{3,3}"#);
        repeats("{3,}", r#"T0: "a"{3,}"#);
        repeats("{ 2 , 5 }", r#"T0: "a"{2,5}"#);
        repeats("{1}", r#"T0: "a""#);
        repeats("{0} \"b\"", r#"T0: "b""#);
        says("root ::= \"a\"+*", &["start: T0", "T0: U0*", "U0: \"a\"+"]);
    }

    #[test]
    fn rules_go_on_inside_brackets_and_after_bars() {
        let source = "# a list\nroot ::= ( # items\n  \"a\" |\n  \"b\"\n)\n  | \"c\" # last\n\nunused ::= \"x\"\n";
        says(source, &["start: T0", r#"T0: U0 | "c""#, r#"U0: "a" | "b""#]);
    }

    #[test]
    fn nothing_is_a_choice_like_any_other() {
        says("root ::= | \"a\"", &["start: T0", r#"T0: "" | "a""#]);
        says("root ::= \"\"", &["start: \"\""]);
    }

    #[test]
    fn refuses_what_is_no_grammar_and_says_where() {
        refused("", "there is no rule `root`");
        refused("a ::= \"b\"", "there is no rule `root`");
        refused("root ::= \"a", "line 1, column 10: the text is not closed");
        refused("root ::= [a", "line 1, column 10: the class is not closed");
        refused("root ::= ( \"a\"", "line 1, column 10: the bracket is not closed");
        refused("root ::= \"a\" )", "line 1, column 14: `)` closes nothing");
        refused("root ::= []", "line 1, column 10: the class has no characters");
        refused(r"root ::= [^\x00-\U0010FFFF]", "matches no character");
        refused("root ::= [z-a]", "the range ends before it begins");
        refused("root ::= \"a\"\n\nroot ::= \"b\"", "line 3, column 1: rule `root` is defined twice");
        refused("root ::= a\n", "rule `a` is used in line 1, but nowhere defined");
        refused("root = \"a\"", "line 1, column 6: wanted `::=`");
        refused("root ::= \"a\" ::= \"b\"", "line 1, column 14: wanted");
        refused(r#"root ::= "\q""#, "`\\q` is no escape");
        refused(r#"root ::= "\xg0""#, "wanted 2 hexadecimal digits");
        refused(r#"root ::= "\ud800""#, "is no character");
        refused("root ::= \"a\"{3,2}", "ends before it begins");
        refused("root ::= \"a\"{,2}", "wanted a number");
        refused("root ::= \"a\"{99999}", "at most 65535");
        refused("root ::= *", "there is nothing to repeat");
        refused("root ::= \"a\" ?? &", "column 17: wanted");
        refused(&format!("root ::= {}", "(".repeat(100)), "nested deeper than 64");
    }

    #[test]
    fn refuses_left_recursion_also_behind_what_may_be_empty() {
        refused("root ::= root \"a\" | \"b\"", "rule `root` begins with itself");
        refused("root ::= a\na ::= b \"x\"\nb ::= c? a | \"y\"\nc ::= \"z\"", "begins with itself: a, b, a");
        says("root ::= \"a\" root | \"b\"", &["start: r0", r#"r0: "a" r0 | "b""#]);
    }

    #[test]
    fn refuses_what_never_ends() {
        refused("root ::= \"a\" root", "rule `root` (line 1) never ends");
        refused("root ::= \"a\" | b\nb ::= \"x\" b", "rule `b` (line 2) never ends");
    }
}
