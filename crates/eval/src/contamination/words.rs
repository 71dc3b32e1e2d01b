//! Text into words: lower case, without punctuation, split at white space.
//!
//! Every character that is neither alphanumeric nor white space is deleted, so `don't` is `dont` and a dash between spaces is nothing. For ASCII
//! this is what the reference harness's janitor does; beyond it, curly quotes and long dashes go the same way as straight ones.

/// Makes words of text that comes in pieces.
#[derive(Debug)]
pub(super) struct Words {
    word: String,
    /// A word is not kept beyond so many bytes: nobody asks for longer ones.
    longest: usize,
}

impl Words {
    /// Words longer than `longest` bytes come out cut, but longer than that still.
    pub(super) fn new(longest: usize) -> Self {
        Self { word: String::new(), longest }
    }

    /// Takes the next piece, and tells each word that has ended.
    pub(super) fn push(&mut self, text: &str, mut take: impl FnMut(&str)) {
        for c in text.chars() {
            if c.is_ascii_alphanumeric() {
                if self.word.len() <= self.longest {
                    self.word.push(c.to_ascii_lowercase());
                }
            } else if c.is_whitespace() {
                self.end(&mut take);
            } else if c.is_alphanumeric() && self.word.len() <= self.longest {
                self.word.extend(c.to_lowercase());
            }
        }
    }

    /// The text is over.
    pub(super) fn end(&mut self, mut take: impl FnMut(&str)) {
        if !self.word.is_empty() {
            take(&self.word);
            self.word.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str, longest: usize) -> Vec<String> {
        let mut found = Vec::new();
        let mut words = Words::new(longest);
        // One character at a time: pieces end anywhere.
        text.chars().for_each(|c| words.push(c.encode_utf8(&mut [0; 4]), |word| found.push(word.to_owned())));
        words.end(|word| found.push(word.to_owned()));
        found
    }

    #[test]
    fn ascii_is_split_as_the_janitor_does() {
        // lm_eval.decontamination.janitor: Janitor().normalize_string(text).split()
        let text = "  ,, I'm a VERY !odd,, ,, text -- \"quoted\"...\n\nA-b_c (1,234.5) e.g. $5+6 <unk> x\ty  ";
        let wanted = ["im", "a", "very", "odd", "text", "quoted", "abc", "12345", "eg", "56", "unk", "x", "y"]
            .map(str::to_owned);
        assert_eq!(words(text, usize::MAX), wanted);
    }

    #[test]
    fn curly_marks_go_the_way_of_straight_ones() {
        assert_eq!(
            words("“Don’t”—she said… ÉTÉ\u{a0}Straße", usize::MAX),
            words("\"Don't\"--she said... été straße", 99)
        );
        assert_eq!(words("— … “ ”", 9), Vec::<String>::new());
    }

    #[test]
    fn what_nobody_asks_for_is_not_kept() {
        let long = "a".repeat(1 << 20);
        let found = words(&format!("{long} b"), 5);
        assert_eq!(found, ["aaaaaa", "b"]);
    }
}
