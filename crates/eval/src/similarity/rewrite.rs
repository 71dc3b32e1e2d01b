//! The two rewritings that tokenizers are made of. Both go once from left to right and never look at what they wrote.

/// `text` with a space on either side of each character of a set.
pub(crate) fn spaced(text: &str, set: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 4);
    for c in text.chars() {
        if set(c) {
            out.extend([' ', c, ' ']);
        } else {
            out.push(c);
        }
    }
    out
}

/// `text` with each pair of neighbours from two sets written anew. The next pair begins after the last.
pub(crate) fn pairs(
    text: &str,
    first: impl Fn(char) -> bool,
    second: impl Fn(char) -> bool,
    written: impl Fn(char, char) -> [char; 4],
) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 4);
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let mut after = rest.clone();
        match after.next() {
            Some(next) if first(c) && second(next) => {
                out.extend(written(c, next));
                rest = after;
            }
            _ => out.push(c),
        }
    }
    out
}
