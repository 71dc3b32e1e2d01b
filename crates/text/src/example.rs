//! Examples for fine-tuning: ids, and which of them are learned.
//!
//! What the model will be given (a prompt, a person's turn) is context; what it is to write (a response, the assistant's turns,
//! the end-of-text token after the last) is learned. Each stretch is encoded by itself, so that what is learned begins
//! where generation begins, whatever tokens the two together would make.

use std::ops::Range;

use crate::chat::{ChatTemplate, Message, Role};
use crate::error::{Result, TextError};
use crate::tokenizer::Tokenizer;

/// A text and what goes with it (a premise and a hypothesis, a question and an answer), as a classifier reads them: one below the other.
pub fn text_pair(text: &str, pair: &str) -> String {
    format!("{text}\n{pair}")
}

/// One example.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Example {
    ids: Vec<u32>,
    learned: Vec<Range<usize>>,
    learned_bytes: u64,
    label: Option<u32>,
}

impl Example {
    /// A text to learn as it stands, and that it ends there.
    ///
    /// # Errors
    /// [`TextError::Example`] if the tokenizer has no end-of-text token; those of [`Tokenizer::encode`].
    pub fn of_text(tokenizer: &Tokenizer, text: &str) -> Result<Self> {
        Self::of_prompt(tokenizer, "", text)
    }

    /// A text to tell the label of: nothing of it is learned but that, after its last token.
    ///
    /// # Errors
    /// [`TextError::Example`] if the text has no tokens; those of [`Tokenizer::encode`].
    pub fn of_label(tokenizer: &Tokenizer, text: &str, label: u32) -> Result<Self> {
        let ids = tokenizer.encode(text)?;
        if ids.is_empty() {
            return Err(TextError::Example { detail: "its text is empty".to_owned() });
        }
        Ok(Self { ids, label: Some(label), learned_bytes: 1, ..Self::default() })
    }

    /// A response to learn, after a prompt. The two are put together as they stand: a space between them belongs to the
    /// response.
    ///
    /// # Errors
    /// As [`of_text`](Self::of_text).
    pub fn of_prompt(tokenizer: &Tokenizer, prompt: &str, response: &str) -> Result<Self> {
        let mut example = Self::default();
        example.push(tokenizer, prompt, false)?;
        example.push(tokenizer, response, true)?;
        example.end(tokenizer)
    }

    /// A conversation in the form of `template`, of which the assistant's turns are learned; what comes after the last of them is
    /// left out.
    ///
    /// # Errors
    /// [`TextError::Example`] if the assistant says nothing, or if the template writes the turns before an answer differently once
    /// the answer is there, so that it cannot be told which part is the answer; those of [`ChatTemplate::render`] and
    /// [`Tokenizer::encode`].
    pub fn of_conversation(tokenizer: &Tokenizer, template: &ChatTemplate, messages: &[Message]) -> Result<Self> {
        let mut example = Self::default();
        let mut written = String::new();
        let answers = messages.iter().enumerate().filter(|(_, message)| message.role == Role::Assistant);
        for (index, message) in answers {
            let before = template.render(&messages[..index], true)?;
            let after = template.render(&messages[..=index], false)?;
            let (Some(asked), Some(answer)) = (before.strip_prefix(&written), after.strip_prefix(&before)) else {
                let detail = format!(
                    "the chat template writes what stands before message {} in another way once the answer is there, so it \
                     cannot be told which part to learn; choose another template",
                    index + 1
                );
                return Err(TextError::Example { detail });
            };
            if message.content.trim().is_empty() {
                return Err(TextError::Example { detail: format!("message {} of the assistant is empty", index + 1) });
            }
            example.push(tokenizer, asked, false)?;
            // Between turns the template's separator is learned with the answer; at the very end only end-of-text is.
            let last = !messages[index + 1..].iter().any(|message| message.role == Role::Assistant);
            example.push(tokenizer, if last { answer.trim_end() } else { answer }, true)?;
            written = after;
        }
        if example.learned.is_empty() {
            return Err(TextError::Example { detail: "the assistant says nothing in it".to_owned() });
        }
        example.end(tokenizer)
    }

    /// Its ids.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// Which of the ids are learned, in order.
    pub fn learned(&self) -> &[Range<usize>] {
        &self.learned
    }

    /// The label, where that is what is learned.
    pub fn label(&self) -> Option<u32> {
        self.label
    }

    /// How many ids are learned, of those that have one before them to be told from; 1 of a label.
    pub fn targets(&self) -> usize {
        let label = usize::from(self.label.is_some());
        label + self.learned.iter().map(|range| range.end - range.start.max(1).min(range.end)).sum::<usize>()
    }

    /// Bytes of the text that is learned; 1 of a label.
    pub fn learned_bytes(&self) -> u64 {
        self.learned_bytes
    }

    /// Cuts it down to `ids`, and says whether that took anything away.
    pub fn truncate(&mut self, ids: usize) -> bool {
        if self.ids.len() <= ids {
            return false;
        }
        let before = self.targets();
        self.ids.truncate(ids);
        self.learned.retain_mut(|range| {
            range.end = range.end.min(ids);
            range.start < range.end
        });
        // By tokens: which bytes were whose is not kept.
        self.learned_bytes = self.learned_bytes * self.targets() as u64 / before.max(1) as u64;
        true
    }

    fn push(&mut self, tokenizer: &Tokenizer, text: &str, learned: bool) -> Result<()> {
        let start = self.ids.len();
        self.ids.extend(tokenizer.encode(text)?);
        if learned && start < self.ids.len() {
            self.learned_bytes += text.len() as u64;
            self.learn(start..self.ids.len());
        }
        Ok(())
    }

    fn learn(&mut self, range: Range<usize>) {
        match self.learned.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => self.learned.push(range),
        }
    }

    /// Adds the end-of-text token, unless the template has put it there.
    fn end(mut self, tokenizer: &Tokenizer) -> Result<Self> {
        let none = || TextError::Example {
            detail: "the tokenizer has no end-of-text token, so it cannot be learned where an answer ends".to_owned(),
        };
        let eos = tokenizer.eos().ok_or_else(none)?;
        if self.ids.last() != Some(&eos) {
            let end = self.ids.len();
            self.ids.push(eos);
            self.learn(end..end + 1);
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::WordCounts;

    /// A tokenizer of bytes and an end-of-text token.
    fn bytes() -> Tokenizer {
        WordCounts::new().learn(257, 2).unwrap()
    }

    fn learned(example: &Example, tokenizer: &Tokenizer) -> Vec<String> {
        let text =
            |range: &Range<usize>| tokenizer.decode(&example.ids()[range.clone()], crate::Special::Keep).unwrap();
        example.learned().iter().map(text).collect()
    }

    fn all(example: &Example, tokenizer: &Tokenizer) -> String {
        tokenizer.decode(example.ids(), crate::Special::Keep).unwrap()
    }

    #[test]
    fn learns_a_response_and_where_it_ends() {
        let tokenizer = bytes();
        let example = Example::of_prompt(&tokenizer, "Two and two?", " Four.").unwrap();
        assert_eq!(all(&example, &tokenizer), "Two and two? Four.<|endoftext|>");
        assert_eq!(learned(&example, &tokenizer), [" Four.<|endoftext|>"]);
        assert_eq!((example.learned_bytes(), example.targets()), (6, 7));
        let text = Example::of_text(&tokenizer, "Four.").unwrap();
        assert_eq!(learned(&text, &tokenizer), ["Four.<|endoftext|>"]);
        assert_eq!(text.targets(), 5, "the first has nothing before it");
    }

    #[test]
    fn learns_the_assistants_turns_of_a_conversation() {
        let tokenizer = bytes();
        let said = |role, text: &str| Message::new(role, text);
        let conversation = [
            said(Role::User, "Hi"),
            said(Role::Assistant, "Hello."),
            said(Role::User, "Bye"),
            said(Role::Assistant, "Goodbye."),
            said(Role::User, "?"),
        ];
        let plain = ChatTemplate::named("plain").unwrap();
        let example = Example::of_conversation(&tokenizer, &plain, &conversation).unwrap();
        let wanted = "User: Hi\nAssistant: Hello.\nUser: Bye\nAssistant: Goodbye.<|endoftext|>";
        assert_eq!(all(&example, &tokenizer), wanted);
        assert_eq!(learned(&example, &tokenizer), [" Hello.\n", " Goodbye.<|endoftext|>"]);

        let chatml = ChatTemplate::named("chatml").unwrap();
        let example = Example::of_conversation(&tokenizer, &chatml, &conversation).unwrap();
        assert_eq!(learned(&example, &tokenizer), ["Hello.<|im_end|>\n", "Goodbye.<|im_end|><|endoftext|>"]);

        let vicuna = ChatTemplate::named("vicuna").unwrap().with_tokens_of(&tokenizer);
        let example = Example::of_conversation(&tokenizer, &vicuna, &conversation).unwrap();
        assert_eq!(learned(&example, &tokenizer), [" Hello.<|endoftext|>", " Goodbye.<|endoftext|>"]);
    }

    #[test]
    fn refuses_what_has_nothing_to_learn_or_cannot_be_told_apart() {
        let tokenizer = bytes();
        let plain = ChatTemplate::named("plain").unwrap();
        let only_asked = [Message::new(Role::User, "Hi")];
        assert!(Example::of_conversation(&tokenizer, &plain, &only_asked).is_err());
        let answered = [Message::new(Role::User, "Hi"), Message::new(Role::Assistant, " ")];
        assert!(Example::of_conversation(&tokenizer, &plain, &answered).is_err());
        let counting = ChatTemplate::jinja("{{ messages | length }}{% for m in messages %}{{ m.content }}{% endfor %}");
        let answered = [Message::new(Role::User, "Hi"), Message::new(Role::Assistant, "Yes")];
        let error = Example::of_conversation(&tokenizer, &counting.unwrap(), &answered).unwrap_err().to_string();
        assert!(error.contains("message 2"), "{error}");
    }

    #[test]
    fn a_label_is_learned_after_the_text() {
        let tokenizer = bytes();
        let mut example = Example::of_label(&tokenizer, "good", 2).unwrap();
        assert_eq!((example.ids().len(), example.label(), example.targets()), (4, Some(2), 1));
        assert!(example.truncate(2) && example.label() == Some(2) && example.targets() == 1);
        assert!(Example::of_label(&tokenizer, "", 0).is_err());
    }

    #[test]
    fn cuts_from_the_end() {
        let tokenizer = bytes();
        let mut example = Example::of_prompt(&tokenizer, "abcd", "efgh").unwrap();
        assert!(!example.truncate(9));
        assert!(example.truncate(6));
        assert_eq!(learned(&example, &tokenizer), ["ef"]);
        assert_eq!(example.targets(), 2);
        assert!(example.truncate(3));
        assert_eq!((example.targets(), example.learned().len()), (0, 0));
    }
}
