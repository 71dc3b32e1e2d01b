//! Conversations to prompts.
//!
//! A template is chosen by whoever asks, never in silence: one of the named ones here, a Jinja source
//! ([`ChatTemplate::jinja`]), or the one that came with the tokenizer ([`ChatTemplate::of_tokenizer`]). A base model has
//! seen none of them.

mod jinja;

use std::fmt;
use std::str::FromStr;

use crate::error::{Result, TextError};
use crate::tokenizer::Tokenizer;

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Instructions that come before the conversation.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
}

impl Role {
    /// The word for it in every chat format.
    pub fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = TextError;

    /// # Errors
    /// [`TextError::UnknownRole`] for anything but the three names.
    fn from_str(name: &str) -> Result<Self> {
        let all = [Self::System, Self::User, Self::Assistant];
        all.into_iter().find(|role| role.name() == name).ok_or_else(|| TextError::UnknownRole { role: name.into() })
    }
}

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: String,
}

impl Message {
    /// A turn.
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self { role, content: content.into() }
    }
}

/// A way to write a conversation down for a model to continue.
///
/// ```
/// # fn main() -> Result<(), gptneo_text::TextError> {
/// use gptneo_text::{ChatTemplate, Message, Role};
///
/// let template = ChatTemplate::named("plain")?;
/// let prompt = template.render(&[Message::new(Role::User, "Hello?")], true)?;
/// assert_eq!(prompt, "User: Hello?\nAssistant:");
/// assert_eq!(template.stops(), ["\nUser:"]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ChatTemplate {
    form: Form,
    bos: String,
    eos: String,
}

#[derive(Clone, Debug)]
enum Form {
    Named(Named),
    Jinja(Box<jinja::Jinja>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Named {
    Plain,
    Alpaca,
    Chatml,
    Vicuna,
}

impl Named {
    const ALL: [(&'static str, Self); 4] =
        [("plain", Self::Plain), ("alpaca", Self::Alpaca), ("chatml", Self::Chatml), ("vicuna", Self::Vicuna)];
}

impl ChatTemplate {
    /// The names that [`named`](Self::named) knows.
    pub fn names() -> impl Iterator<Item = &'static str> {
        Named::ALL.into_iter().map(|(name, _)| name)
    }

    /// A built-in template: `plain`, `alpaca`, `chatml` or `vicuna`.
    ///
    /// # Errors
    /// [`TextError::UnknownTemplate`] for any other name.
    pub fn named(name: &str) -> Result<Self> {
        let found = Named::ALL.into_iter().find(|(known, _)| *known == name);
        let unknown =
            || TextError::UnknownTemplate { name: name.into(), known: Self::names().collect::<Vec<_>>().join(", ") };
        let (_, named) = found.ok_or_else(unknown)?;
        Ok(Self { form: Form::Named(named), bos: String::new(), eos: String::new() })
    }

    /// A template in Jinja, as models carry it: it sees `messages` (each with `role` and `content`), `bos_token`,
    /// `eos_token` and `add_generation_prompt`, may call `raise_exception`, and reads no file and no clock.
    ///
    /// # Errors
    /// [`TextError::Template`] with the line, if it does not compile.
    pub fn jinja(source: &str) -> Result<Self> {
        let jinja = jinja::Jinja::new(source)?;
        Ok(Self { form: Form::Jinja(Box::new(jinja)), bos: String::new(), eos: String::new() })
    }

    /// The template that came with `tokenizer`, if one did, with its tokens.
    ///
    /// # Errors
    /// As [`jinja`](Self::jinja).
    pub fn of_tokenizer(tokenizer: &Tokenizer) -> Result<Option<Self>> {
        let template = tokenizer.chat_template().map(Self::jinja).transpose()?;
        Ok(template.map(|template| template.with_tokens_of(tokenizer)))
    }

    /// The same template, with `bos_token` and `eos_token` as `tokenizer` spells them; without it they are empty.
    #[must_use]
    pub fn with_tokens_of(mut self, tokenizer: &Tokenizer) -> Self {
        let name = |id: Option<u32>| id.and_then(|id| tokenizer.token(id)).unwrap_or_default().to_owned();
        self.bos = name(tokenizer.bos());
        self.eos = name(tokenizer.eos());
        self
    }

    /// The prompt for `messages`; with `add_generation_prompt` it ends where the assistant's next turn begins.
    ///
    /// The content of a message is not escaped: if it spells a control token, [`Tokenizer::encode`] will find it there.
    ///
    /// # Errors
    /// [`TextError::Role`] for a system message in a place the template has no form for, [`TextError::Template`] if a
    /// Jinja template fails, refuses, or goes beyond its bounds of steps, depth or output.
    pub fn render(&self, messages: &[Message], add_generation_prompt: bool) -> Result<String> {
        match &self.form {
            Form::Named(named) => named.render(messages, add_generation_prompt, &self.eos),
            Form::Jinja(jinja) => jinja.render(messages, add_generation_prompt, &self.bos, &self.eos),
        }
    }

    /// Whether the template has a place for tools.
    pub fn takes_tools(&self) -> bool {
        matches!(&self.form, Form::Jinja(jinja) if jinja.takes_tools)
    }

    /// The prompt for a conversation with tools: messages and tools as JSON, in the form in which the template's authors expect them. It ends
    /// where the assistant's next turn begins.
    ///
    /// # Errors
    /// [`TextError::Template`] if the template [takes no tools](Self::takes_tools), fails, refuses, or goes beyond its bounds.
    pub fn render_with_tools(&self, messages: &[serde_json::Value], tools: &[serde_json::Value]) -> Result<String> {
        match &self.form {
            Form::Jinja(jinja) if jinja.takes_tools => jinja.render_json(messages, tools, &self.bos, &self.eos),
            _ => Err(TextError::Template { template: "chat".into(), detail: "it has no place for tools".into() }),
        }
    }

    /// Strings that end the assistant's turn in this format, besides the end-of-text token. None for Jinja: it does not
    /// say.
    pub fn stops(&self) -> &'static [&'static str] {
        match &self.form {
            Form::Named(Named::Plain) => &["\nUser:"],
            Form::Named(Named::Alpaca) => &["\n### Instruction:", "\n### Response:"],
            Form::Named(Named::Chatml) => &["<|im_end|>"],
            Form::Named(Named::Vicuna) => &["USER:"],
            Form::Jinja(_) => &[],
        }
    }
}

impl Named {
    fn render(self, messages: &[Message], add_generation_prompt: bool, eos: &str) -> Result<String> {
        let misplaced = messages.iter().skip(1).position(|message| message.role == Role::System);
        if let (Some(after_first), false) = (misplaced, self == Self::Chatml) {
            let wanted = "this template has a place for a system message at the start only";
            return Err(TextError::Role { index: after_first + 1, role: "system".into(), wanted: wanted.into() });
        }
        let mut prompt = String::new();
        // Two formats were trained with words of their own where no system message is given.
        if messages.first().is_none_or(|first| first.role != Role::System) {
            prompt.push_str(self.default_system());
        }
        for Message { role, content } in messages {
            prompt.push_str(&match (self, role) {
                (Self::Plain, Role::System) => format!("{content}\n\n"),
                (Self::Plain, Role::User) => format!("User: {content}\n"),
                (Self::Plain, Role::Assistant) => format!("Assistant: {content}\n"),
                (Self::Alpaca, Role::System) => format!("{content}\n\n"),
                (Self::Alpaca, Role::User) => format!("### Instruction:\n{content}\n\n"),
                (Self::Alpaca, Role::Assistant) => format!("### Response:\n{content}\n\n"),
                (Self::Chatml, role) => format!("<|im_start|>{role}\n{content}<|im_end|>\n"),
                (Self::Vicuna, Role::System) => format!("{content} "),
                (Self::Vicuna, Role::User) => format!("USER: {content} "),
                (Self::Vicuna, Role::Assistant) => format!("ASSISTANT: {content}{eos}"),
            });
        }
        if add_generation_prompt {
            prompt.push_str(match self {
                Self::Plain => "Assistant:",
                Self::Alpaca => "### Response:\n",
                Self::Chatml => "<|im_start|>assistant\n",
                Self::Vicuna => "ASSISTANT:",
            });
        }
        Ok(prompt)
    }

    fn default_system(self) -> &'static str {
        match self {
            Self::Plain | Self::Chatml => "",
            Self::Alpaca => concat!(
                "Below is an instruction that describes a task. ",
                "Write a response that appropriately completes the request.\n\n",
            ),
            Self::Vicuna => concat!(
                "A chat between a curious user and an artificial intelligence assistant. ",
                "The assistant gives helpful, detailed, and polite answers to the user's questions. ",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conversation() -> Vec<Message> {
        vec![
            Message::new(Role::System, "Be brief."),
            Message::new(Role::User, "Hi"),
            Message::new(Role::Assistant, "Hello."),
            Message::new(Role::User, "Bye"),
        ]
    }

    fn check(name: &str, wanted: &str) {
        let mut template = ChatTemplate::named(name).unwrap();
        template.eos = "</s>".into();
        assert_eq!(template.render(&conversation(), true).unwrap(), wanted);
    }

    #[test]
    fn writes_the_named_formats() {
        check("plain", "Be brief.\n\nUser: Hi\nAssistant: Hello.\nUser: Bye\nAssistant:");
        check(
            "alpaca",
            "Be brief.\n\n### Instruction:\nHi\n\n### Response:\nHello.\n\n### Instruction:\nBye\n\n### Response:\n",
        );
        check(
            "chatml",
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n\
             <|im_start|>assistant\nHello.<|im_end|>\n<|im_start|>user\nBye<|im_end|>\n<|im_start|>assistant\n",
        );
        check("vicuna", "Be brief. USER: Hi ASSISTANT: Hello.</s>USER: Bye ASSISTANT:");
    }

    #[test]
    fn fills_in_the_words_a_format_was_trained_with() {
        let user = [Message::new(Role::User, "Hi")];
        let prompt = |name| ChatTemplate::named(name).unwrap().render(&user, false).unwrap();
        assert!(prompt("alpaca").starts_with("Below is an instruction") && prompt("alpaca").ends_with(":\nHi\n\n"));
        assert!(prompt("vicuna").starts_with("A chat between") && prompt("vicuna").ends_with("questions. USER: Hi "));
        assert_eq!(prompt("plain"), "User: Hi\n");
    }

    #[test]
    fn refuses_names_roles_and_places_it_does_not_know() {
        assert!(matches!(ChatTemplate::named("Plain"), Err(TextError::UnknownTemplate { .. })));
        assert!(matches!("tool".parse::<Role>(), Err(TextError::UnknownRole { .. })));
        assert_eq!("user".parse::<Role>().unwrap(), Role::User);
        let late = [Message::new(Role::User, "Hi"), Message::new(Role::System, "Be brief.")];
        let found = ChatTemplate::named("plain").unwrap().render(&late, true);
        assert!(matches!(found, Err(TextError::Role { index: 1, .. })), "{found:?}");
        assert!(ChatTemplate::named("chatml").unwrap().render(&late, true).is_ok());
    }
}
