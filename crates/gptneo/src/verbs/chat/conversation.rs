//! What was said: a system text that stays, and turns that come and go.

use gptneo_text::{Message, Role};
use serde::Serialize;

use crate::failure::{Failure, Kind, chain};

/// A conversation. The system text, if there is one, is the first message.
#[derive(Clone, Debug)]
pub(super) struct Conversation {
    messages: Vec<Message>,
}

#[derive(Serialize)]
struct Saved<'a> {
    messages: Vec<SavedMessage<'a>>,
}

#[derive(Serialize)]
struct SavedMessage<'a> {
    role: &'static str,
    content: &'a str,
}

impl Conversation {
    /// Nothing said yet.
    pub(super) fn new(system: Option<String>) -> Self {
        Self { messages: system.map(|text| Message::new(Role::System, text)).into_iter().collect() }
    }

    pub(super) fn messages(&self) -> &[Message] {
        &self.messages
    }

    pub(super) fn push(&mut self, role: Role, content: &str) {
        self.messages.push(Message::new(role, content));
    }

    pub(super) fn system(&self) -> Option<&str> {
        self.messages.first().filter(|m| m.role == Role::System).map(|m| m.content.as_str())
    }

    pub(super) fn set_system(&mut self, text: &str) {
        let message = Message::new(Role::System, text);
        match self.system() {
            Some(_) => self.messages[0] = message,
            None => self.messages.insert(0, message),
        }
    }

    /// Forgets all but the system text.
    pub(super) fn reset(&mut self) {
        self.messages.truncate(self.first_turn());
    }

    /// Takes back the last message if it is an answer.
    pub(super) fn take_back_answer(&mut self) -> bool {
        self.take_back(Role::Assistant)
    }

    /// Takes back the last message if it is a question.
    pub(super) fn take_back_question(&mut self) -> bool {
        self.take_back(Role::User)
    }

    fn take_back(&mut self, role: Role) -> bool {
        let is = self.messages.last().is_some_and(|m| m.role == role);
        if is {
            self.messages.pop();
        }
        is
    }

    /// Drops the oldest question and what answers it, but never the question that waits for an answer; how many
    /// messages that were.
    pub(super) fn drop_oldest(&mut self) -> usize {
        let first = self.first_turn();
        let later = self.messages.iter().skip(first + 1).position(|m| m.role == Role::User);
        let Some(next) = later.map(|i| first + 1 + i) else { return 0 };
        self.messages.drain(first..next).count()
    }

    fn first_turn(&self) -> usize {
        usize::from(self.system().is_some())
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let name = |role| match role {
            Role::System => "System",
            Role::User => "User",
            Role::Assistant => "Assistant",
        };
        self.messages.iter().map(|m| format!("{}: {}\n\n", name(m.role), m.content)).collect()
    }

    /// For programs: the usual list of messages.
    pub(super) fn json(&self) -> Result<String, Failure> {
        let messages =
            self.messages.iter().map(|m| SavedMessage { role: m.role.name(), content: &m.content }).collect();
        serde_json::to_string_pretty(&Saved { messages })
            .map(|text| text + "\n")
            .map_err(|error| Failure::new(Kind::Internal, chain(&error)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conversation(turns: usize) -> Conversation {
        let mut conversation = Conversation::new(Some("be brief".to_owned()));
        for turn in 0..turns {
            conversation.push(Role::User, &format!("question {turn}"));
            conversation.push(Role::Assistant, &format!("answer {turn}"));
        }
        conversation
    }

    #[test]
    fn drops_whole_turns_and_keeps_the_system_text_and_the_open_question() {
        let mut conversation = conversation(2);
        conversation.push(Role::User, "last");
        assert_eq!(conversation.drop_oldest(), 2);
        assert_eq!(conversation.messages()[0].content, "be brief");
        assert_eq!(conversation.messages()[1].content, "question 1");
        assert_eq!(conversation.drop_oldest(), 2);
        assert_eq!(conversation.drop_oldest(), 0, "the question that waits stays");
        assert_eq!(conversation.messages().last().unwrap().content, "last");
    }

    #[test]
    fn retry_takes_back_the_answer_alone() {
        let mut conversation = conversation(1);
        assert!(conversation.take_back_answer());
        assert!(!conversation.take_back_answer());
        assert_eq!(conversation.messages().last().unwrap().content, "question 0");
    }

    #[test]
    fn a_new_system_text_takes_the_place_of_the_old_one() {
        let mut conversation = conversation(1);
        conversation.set_system("be long");
        assert_eq!(conversation.system(), Some("be long"));
        conversation.reset();
        assert_eq!(conversation.messages().len(), 1);
        let mut bare = Conversation::new(None);
        bare.push(Role::User, "hi");
        bare.set_system("x");
        assert_eq!(bare.messages()[1].content, "hi");
    }
}
