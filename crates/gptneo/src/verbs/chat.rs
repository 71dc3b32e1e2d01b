//! `gptneo chat`: a conversation on a terminal, or over a pipe.
//!
//! The form of the conversation is always named: nothing is applied in silence to a model that was not trained on it.
//! Answers go to standard output; everything else, the prompt sign included, does not.

mod conversation;
mod lines;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use gptneo_device::PAGE;
use gptneo_engine::{Cause, Engine, Prompt, Request};
use gptneo_text::{ChatTemplate, Role, Tokenizer};

use crate::args::ChatArgs;
use crate::failure::{Failure, Kind};
use crate::generator::{Flags, engine};
use crate::input;
use crate::lora;
use crate::open::open;
use crate::request::{DEFAULT_LENGTH, request};
use crate::terminal;
use crate::verbs::World;
use conversation::Conversation;
use lines::{Line, Lines};

const HELP: &str = "  /help           this
  /system TEXT    what the model is told first (alone: shows it)
  /reset          begins anew, keeping the system text
  /retry          takes back the last answer and asks for another
  /save FILE      writes the conversation (.json: as messages, else as text)
  /exit           leaves, as Ctrl-D does
A line that ends in \\ goes on in the next; \"\"\" begins and ends several lines.
Ctrl-C stops an answer.";

pub(crate) fn run(args: &ChatArgs, world: &World) -> Result<(), Failure> {
    let opened = open(args.model.model.as_deref(), &args.hub, world.environment, &world.interrupt)?;
    opened.language_model()?;
    let Some(tokenizer) = opened.tokenizer()? else {
        return Err(Failure::usage(format!("chat needs a tokenizer, and {} has none", opened.name)));
    };
    let template = template(args, &tokenizer, &opened.name)?.with_tokens_of(&tokenizer);
    let mut terms = request(Prompt::Tokens(Vec::new()), &args.generation, false)?;
    terms.stop_strings.extend(template.stops().iter().map(|&stop| stop.to_owned()));
    terms.adapter = lora::name(&args.model.lora).map(str::to_owned);
    terms.cancel = Some(world.interrupt.flag());
    let flags = Flags {
        model: &args.model,
        machine: &args.machine,
        hub: &args.hub,
        draft: args.generation.speed.draft_model.as_deref(),
    };
    // Room for the conversation, for what is guessed ahead, and for the beginning that is kept between turns.
    let engine = engine(&opened, Some(tokenizer.clone()), flags, world, |context| context + 3 * PAGE)?;
    let conversation = Conversation::new(args.system.clone());
    let history = world.environment.state_dir().map(|dir| dir.join("chat_history"));
    let mut chat = Chat { engine, tokenizer, template, terms, conversation, world, saved: None, warned: false };
    chat.check_form()?;
    let mut lines = Lines::open(history.as_deref())?;
    if lines.interactive() {
        terminal::say(&terminal::dim("/help tells what else there is; Ctrl-D leaves"));
    }
    chat.converse(&mut lines)
}

/// The form that was asked for.
///
/// # Errors
/// Exit code 2, with the choices, if none was, or it is unknown.
fn template(args: &ChatArgs, tokenizer: &Tokenizer, model: &str) -> Result<ChatTemplate, Failure> {
    if let Some(path) = &args.chat_template_file {
        let source = input::file(path)?;
        return ChatTemplate::jinja(&source).map_err(|e| Failure::from(e).within(&path.display().to_string()));
    }
    let own = ChatTemplate::of_tokenizer(tokenizer);
    let choices = || {
        let own = match &own {
            Ok(Some(_)) => "--chat-template model     (the one that came with the model)\n",
            _ => "",
        };
        let named: Vec<&str> = ChatTemplate::names().collect();
        format!("{own}--chat-template NAME      ({})\n--chat-template-file FILE (Jinja)", named.join(", "))
    };
    match args.chat_template.as_deref() {
        None => {
            let fact = match &own {
                Ok(Some(_)) => "it came with a template of its own",
                _ => "it came without a template: as a base model it continues text, as `gptneo run` does",
            };
            Err(Failure::usage(format!("--chat-template must name the form that {model} was trained on; {fact}"))
                .hint(choices()))
        }
        Some("model") => own?.ok_or_else(|| {
            Failure::usage(format!("{model} came without a chat template"))
                .hint(format!("--chat-template NAME ({})", ChatTemplate::names().collect::<Vec<_>>().join(", ")))
        }),
        Some(name) => ChatTemplate::named(name).map_err(|error| Failure::from(error).hint(choices())),
    }
}

struct Chat<'a> {
    engine: Engine,
    tokenizer: Tokenizer,
    template: ChatTemplate,
    terms: Request,
    conversation: Conversation,
    world: &'a World,
    /// A file that this conversation was saved to, and may be again.
    saved: Option<PathBuf>,
    /// Whether it was said that the context is filling up.
    warned: bool,
}

impl Chat<'_> {
    /// Whether the template takes the system text at all, before the first question is typed.
    fn check_form(&self) -> Result<(), Failure> {
        let mut trial = self.conversation.clone();
        trial.push(Role::User, "Hello");
        self.template.render(trial.messages(), true).map(drop).map_err(Failure::from)
    }

    fn converse(&mut self, lines: &mut Lines) -> Result<(), Failure> {
        loop {
            let text = match lines.read()? {
                Line::Text(text) => text,
                Line::Nothing => continue,
                Line::End => return Ok(()),
            };
            let outcome = match text.strip_prefix('/') {
                Some(command) if !text.starts_with("//") => self.command(command),
                _ => {
                    self.conversation.push(Role::User, text.strip_prefix('/').unwrap_or(&text));
                    self.answer().map(|()| ControlFlow::Continue(()))
                }
            };
            match outcome {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(())) => return Ok(()),
                // A mistake on one line does not end a conversation, unless nobody is there to correct it.
                Err(failure) if lines.interactive() && failure.kind() != Kind::OutputClosed => {
                    failure.report();
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    fn command(&mut self, command: &str) -> Result<ControlFlow<()>, Failure> {
        let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        let rest = rest.trim();
        match name {
            "help" | "?" => terminal::say(HELP),
            "exit" | "quit" | "bye" => return Ok(ControlFlow::Break(())),
            "reset" => {
                self.conversation.reset();
                self.warned = false;
                terminal::say("the conversation begins anew");
            }
            "system" if rest.is_empty() => match self.conversation.system() {
                Some(system) => terminal::say(&format!("system: {system}")),
                None => terminal::say("there is no system text"),
            },
            "system" => {
                let before = self.conversation.clone();
                self.conversation.set_system(rest);
                if let Err(failure) = self.check_form() {
                    self.conversation = before;
                    return Err(failure);
                }
                terminal::say("the system text is set; it counts from the next question on");
            }
            "retry" => {
                if !self.conversation.take_back_answer() {
                    return Err(Failure::usage("there is no answer to take back"));
                }
                // The same seed would give the same answer.
                self.terms.sampling.seed = self.terms.sampling.seed.wrapping_add(1);
                self.answer()?;
            }
            "save" if rest.is_empty() => return Err(Failure::usage("/save FILE: name a file")),
            "save" => self.save(Path::new(rest))?,
            _ => {
                return Err(
                    Failure::usage(format!("there is no command /{name}")).hint("/help, or // to begin with a /")
                );
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn save(&mut self, path: &Path) -> Result<(), Failure> {
        if path.exists() && self.saved.as_deref() != Some(path) {
            return Err(Failure::new(Kind::Io, format!("{} exists already", path.display())).hint("another name"));
        }
        let json = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("json"));
        let text = if json { self.conversation.json()? } else { self.conversation.text() };
        std::fs::write(path, text).map_err(|error| Failure::io("cannot write", path, &error))?;
        terminal::say(&format!("saved to {}", path.display()));
        self.saved = Some(path.to_owned());
        Ok(())
    }

    /// Lets the model answer what stands last in the conversation; a failure takes the question back.
    fn answer(&mut self) -> Result<(), Failure> {
        let outcome = self.prompt().and_then(|prompt| self.generate(prompt));
        if outcome.is_err() {
            self.conversation.take_back_question();
        }
        outcome
    }

    /// The conversation as ids, its oldest turns dropped, and said to be, where it does not fit.
    fn prompt(&mut self) -> Result<Vec<u32>, Failure> {
        let context = self.engine.spec().positions;
        // An answer needs room too: what was asked for, but not more than half of the context.
        let reserve = self.terms.max_tokens.unwrap_or(DEFAULT_LENGTH).clamp(1, (context / 2).max(1));
        let mut dropped = 0;
        loop {
            let text = self.template.render(self.conversation.messages(), true)?;
            let ids = self.tokenizer.encode(&text)?;
            if ids.len() + reserve <= context {
                if dropped > 0 {
                    terminal::warn(&format!(
                        "the context of {context} tokens is full: the oldest {dropped} messages were dropped"
                    ));
                } else if !self.warned && 2 * ids.len() > context && ids.len() + 2 * reserve > context {
                    self.warned = true;
                    let left = context - ids.len();
                    terminal::warn(&format!("{left} of {context} tokens are left; then old messages are dropped"));
                }
                return Ok(ids);
            }
            match self.conversation.drop_oldest() {
                0 if ids.len() < context => return Ok(ids),
                0 => {
                    return Err(Failure::usage(format!(
                        "this message alone takes {} tokens, and the context ends at {context}: shorten it",
                        ids.len()
                    )));
                }
                gone => dropped += gone,
            }
        }
    }

    fn generate(&mut self, prompt: Vec<u32>) -> Result<(), Failure> {
        let request = Request { prompt: Prompt::Tokens(prompt), ..self.terms.clone() };
        let mut broken = None;
        let _heeded = self.world.interrupt.heed();
        let mut begun = false;
        let done = self.engine.generate(request, &mut |piece| {
            // Templates end with a blank or not; an answer begins with its first letter.
            let text = if begun { piece.text.as_str() } else { piece.text.trim_start() };
            begun |= !text.is_empty();
            match terminal::text(text) {
                Ok(()) => ControlFlow::Continue(()),
                Err(failure) => {
                    broken = Some(failure);
                    ControlFlow::Break(())
                }
            }
        })?;
        if let Some(failure) = broken {
            return Err(failure);
        }
        terminal::line("")?;
        let Some(answer) = done.first() else { return Ok(()) };
        match &answer.cause {
            Cause::ContextFull(positions) => terminal::warn(&format!("cut: the context of {positions} tokens is full")),
            Cause::MaxTokens => terminal::warn("cut after as many tokens as -n allows"),
            Cause::Rail { rail, reason } => terminal::warn(&format!("cut by {rail}: {reason}")),
            Cause::Cancelled => {
                terminal::warn("stopped");
                self.world.interrupt.forget();
            }
            _ => {}
        }
        self.conversation.push(Role::Assistant, answer.text.trim());
        Ok(())
    }
}
