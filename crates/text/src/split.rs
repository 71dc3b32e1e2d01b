//! Text to words: the pre-tokenizer of GPT-2.
//!
//! Words are the successive matches of
//! `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`, found by `bitcannon` without a regex.
//! The text is taken in blocks, so that memory stays flat; `a_block_boundary_changes_nothing` holds that this is exact.

use bitcannon::Span;

use crate::error::{Result, TextError};

/// The longest single word, in bytes. Working memory is about 60 bytes for each of them.
pub(crate) const WORD_LIMIT: usize = 16 << 20;

/// How much text is split at a time unless a word is longer.
pub(crate) const BLOCK: usize = 16 << 10;

/// The longest contraction: whether one starts at a byte is only known with this many bytes in view.
const CONTRACTION: usize = 3;

/// Buffers of the splitter, reused from text to text.
#[derive(Default)]
pub(crate) struct Splitter {
    tags: Vec<u8>,
    starts: Vec<u64>,
    flags: Vec<u64>,
    spans: Vec<Span>,
}

impl Splitter {
    /// Calls `word` with the byte range of each word of `text`, in order.
    pub(crate) fn each(
        &mut self,
        text: &str,
        block: usize,
        mut word: impl FnMut(usize, usize) -> Result<()>,
    ) -> Result<()> {
        let mut from = 0;
        let mut size = block;
        while from < text.len() {
            let to = text.floor_char_boundary(from.saturating_add(size));
            let spans = self.split(&text.as_bytes()[from..to]);
            let last = to == text.len();
            let mut done = 0;
            for span in spans {
                let (start, end) = (span.start as usize, span.end as usize);
                // Beyond the block a run could go on, or an apostrophe turn into a contraction.
                if !last && (from + end == to || from + start + CONTRACTION > to) {
                    break;
                }
                word(from + start, from + end)?;
                done = end;
            }
            from += done;
            size = if done > 0 { block } else { size.saturating_mul(2) };
            if size > WORD_LIMIT.max(block) {
                return Err(TextError::WordTooLong { at: from, limit: WORD_LIMIT });
            }
        }
        Ok(())
    }

    fn split(&mut self, bytes: &[u8]) -> &[Span] {
        let blocks = bytes.len().div_ceil(64);
        grow(&mut self.tags, bytes.len());
        grow(&mut self.starts, blocks);
        grow(&mut self.flags, blocks);
        grow(&mut self.spans, bytes.len() + 1);
        bitcannon::classify::classify(bytes, &mut self.tags[..bytes.len()]);
        let tags = &self.tags[..bytes.len()];
        let count = bitcannon::bitcannon_byte_level(bytes, tags, &mut self.starts, &mut self.flags, &mut self.spans);
        &self.spans[..count]
    }

    /// Gives back what an unusually long word took.
    pub(crate) fn shrink(&mut self) {
        if self.spans.len() > 4 * BLOCK {
            *self = Self::default();
        }
    }
}

fn grow<T: Default + Clone>(buffer: &mut Vec<T>, len: usize) {
    if buffer.len() < len {
        buffer.resize(len, T::default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(text: &str, block: usize) -> Vec<&str> {
        let mut words = Vec::new();
        let mut push = |start, end| {
            words.push(&text[start..end]);
            Ok(())
        };
        Splitter::default().each(text, block, &mut push).unwrap();
        words
    }

    #[test]
    fn splits_as_the_pattern_does() {
        let text = "I've 12 dogs,  they'RE\tnot  \n ok'd '";
        let wanted = ["I", "'ve", " 12", " dogs", ",", " ", " they", "'", "RE", "\t", "not", "  \n", " ok", "'d", " '"];
        assert_eq!(words(text, BLOCK), wanted);
    }

    #[test]
    fn refuses_a_word_beyond_the_limit() {
        let text = "A".repeat(WORD_LIMIT + 1);
        let found = Splitter::default().each(&text, BLOCK, |_, _| Ok(()));
        assert!(matches!(found, Err(TextError::WordTooLong { at: 0, .. })), "{found:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_block_boundary_changes_nothing(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "'", "s", "r", "e", "l", "ll", "'re", "a", "Z", "7", " ", "  ", "\n", "\t", "\u{a0}", "\u{2003}",
                    "é", "漢", "🦙", "\u{301}", "\u{200d}", "!", ".,", "٣", "ß",
                ]),
                0..60,
            ),
            block in 1usize..40,
        ) {
            let text = parts.concat();
            prop_assert_eq!(words(&text, block), words(&text, usize::MAX / 4));
        }
    }
}
