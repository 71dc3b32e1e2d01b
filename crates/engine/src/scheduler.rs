//! Continuous batching: requests join and leave at any step.
//!
//! [`Scheduler::step`] is the only generation loop of the program. A step appends to every live sequence what it is
//! owed: one token (and proposed ones) where a sequence is being continued, a chunk of prompt where one begins, all in
//! one pass through the model, under a budget of tokens. Requests are admitted in the order of arrival, when memory has
//! room for them. A request whose beginning is held already, by a live sequence or by one kept from before, shares it.
//! When memory runs out the least recently used kept beginnings go first, then proposals, then the youngest sequence is
//! parked: its memory is freed, and its tokens are computed again when there is room. The oldest sequence is never
//! parked, so the queue always moves. What comes out does not depend on any of this: a token depends on its own
//! sequence alone, and is chosen once.
//!
//! Held by `tests/engine/simulation.rs`: random arrivals, cancellations and shortages; no request lost, no token
//! delivered twice, first come first served, memory conserved, the same tokens as alone.

mod adapters;
mod embedding;
mod intake;
mod pace;
mod room;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use gptneo_model::{AdapterId, LanguageModel, ModelError, Run, Spec, Want};
use gptneo_text::Tokenizer;

use crate::error::{EngineError, RequestError};
use crate::form::Forms;
use crate::generation::{Generation, Piece};
use crate::prefix::Retained;
use crate::rail::Rail;
use crate::request::{Request, Speculation};
use crate::sampler::Sampler;
use crate::speculation::{self, Drafter, Wish};
use crate::task::{Body, Step, Task};
use embedding::Embedding;
use pace::Pace;

/// Most rows of logits wanted from one sequence at once.
pub(crate) const LOGIT_ROWS: usize = 128;
/// Names a request in the scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(u64);

/// What happened to a request. `Done` or `Failed` is the last that is heard of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// Text and tokens of one sample.
    Piece(Piece),
    /// One sample has ended. It repeats what its pieces held.
    Finished(Generation),
    /// All samples have ended.
    Done,
    /// The request came to nothing further.
    Failed(EngineError),
}

/// How much is done at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchedulerOptions {
    /// Most sequences in a step.
    pub max_sequences: usize,
    /// Most requests waiting.
    pub max_queue: usize,
    /// Prompt tokens in a step when nobody is being continued.
    pub prefill_tokens: usize,
    /// Prompt tokens in a step beside sequences that are being continued, which wait for them.
    pub shared_prefill_tokens: usize,
    /// How long a step with prompts in it may take: it has as many of their tokens as were computed in that time lately. Whoever comes
    /// meanwhile waits no longer. Without it only the numbers above count.
    pub step_time: Option<Duration>,
    /// Sequences kept after their requests, for prompts that begin alike. They are dropped when memory is needed.
    pub retained_prefixes: usize,
}

impl Default for SchedulerOptions {
    fn default() -> Self {
        Self {
            max_sequences: 64,
            max_queue: 512,
            prefill_tokens: 512,
            shared_prefill_tokens: 128,
            step_time: None,
            retained_prefixes: 16,
        }
    }
}

/// How full the scheduler is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Requests that were not begun.
    pub waiting: usize,
    /// Requests being served.
    pub live: usize,
    /// Sequences of live requests that wait for memory.
    pub parked: usize,
    /// Beginnings kept.
    pub retained: usize,
}

/// Owns the model and serves requests with it.
pub struct Scheduler {
    model: Box<dyn LanguageModel>,
    tokenizer: Option<Tokenizer>,
    rails: Vec<Arc<dyn Rail>>,
    options: SchedulerOptions,
    drafter: Option<Drafter>,
    /// Adapters that requests may name.
    adapters: BTreeMap<String, AdapterId>,
    forms: Forms,
    waiting: VecDeque<Task>,
    /// In order of arrival.
    live: Vec<Task>,
    retained: Retained,
    /// A text that is read for its vector.
    embedding: Option<Embedding>,
    events: VecDeque<(Ticket, Event)>,
    tickets: u64,
    sampler: Sampler,
    pace: Pace,
    logits: Vec<f32>,
    scratch: Vec<f32>,
}

/// One track's part in a step.
#[derive(Clone, Copy, Debug)]
struct Slot {
    task: usize,
    track: usize,
    take: usize,
    want: Want,
}

impl Scheduler {
    /// Serves `model`; without a tokenizer prompts are token ids and no text comes out. Every request passes `rails`.
    pub fn new(
        model: Box<dyn LanguageModel>,
        tokenizer: Option<Tokenizer>,
        rails: Vec<Arc<dyn Rail>>,
        options: SchedulerOptions,
    ) -> Self {
        let forms = Forms::new(tokenizer.clone(), model.spec().vocab);
        Self {
            model,
            tokenizer,
            rails,
            options,
            drafter: None,
            adapters: BTreeMap::new(),
            forms,
            waiting: VecDeque::new(),
            live: Vec::new(),
            retained: Retained::new(options.retained_prefixes),
            embedding: None,
            events: VecDeque::new(),
            tickets: 0,
            sampler: Sampler::default(),
            pace: Pace::default(),
            logits: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// Gives it a draft model with the same tokenizer, for [`Speculation::Draft`].
    ///
    /// # Errors
    /// A vocabulary of another size.
    pub fn with_draft(mut self, draft: Box<dyn LanguageModel>) -> Result<Self, EngineError> {
        self.drafter = Some(Drafter::new(draft, self.model.spec())?);
        Ok(self)
    }

    /// What the model is.
    pub fn spec(&self) -> &Spec {
        self.model.spec()
    }

    /// The model's tokenizer.
    pub fn tokenizer(&self) -> Option<&Tokenizer> {
        self.tokenizer.as_ref()
    }

    /// What compiles forms for its model.
    pub fn forms(&self) -> &Forms {
        &self.forms
    }

    /// How full it is.
    pub fn load(&self) -> Load {
        let parked = |task: &Task| task.tracks().iter().filter(|track| track.parked).count();
        Load {
            waiting: self.waiting.len(),
            live: self.live.len(),
            parked: self.live.iter().map(parked).sum(),
            retained: self.retained.len(),
        }
    }

    /// How much is done at once.
    pub fn options(&self) -> SchedulerOptions {
        self.options
    }

    /// Pages of the cache in use, and all there are.
    pub fn cache_pages(&self) -> (usize, usize) {
        self.model.cache_pages()
    }

    /// Requests that were not begun, in the order in which they will be.
    pub fn waiting(&self) -> impl Iterator<Item = Ticket> {
        self.waiting.iter().map(|task| task.ticket)
    }

    /// Frees the memory of kept beginnings.
    pub fn forget_prefixes(&mut self) {
        while self.retained.drop_oldest(self.model.as_mut()) {}
    }

    /// Whether a step has anything to do.
    pub fn idle(&self) -> bool {
        self.waiting.is_empty() && self.live.is_empty() && self.events.is_empty()
    }

    /// The model, with all the room that kept beginnings took.
    pub(crate) fn model(&mut self) -> &mut dyn LanguageModel {
        self.forget_prefixes();
        self.model.as_mut()
    }

    /// Puts a request at the end of the queue.
    ///
    /// # Errors
    /// A field outside its range, a prompt that is too long or refused by a rail, a full queue: nothing is queued.
    pub fn submit(&mut self, request: Request) -> Result<Ticket, RequestError> {
        if self.waiting.len() >= self.options.max_queue {
            return Err(RequestError::QueueFull { waiting: self.waiting.len() });
        }
        let terms = self.terms(request)?;
        let ticket = Ticket(self.tickets);
        self.tickets += 1;
        self.waiting.push_back(Task::new(ticket, terms));
        Ok(ticket)
    }

    /// Calls a request off and frees what it holds at once. Its samples end as cancelled, with what they have.
    pub fn cancel(&mut self, ticket: Ticket) {
        let task = match self.live.iter().position(|task| task.ticket == ticket) {
            Some(at) => Some(self.live.remove(at)),
            None => {
                let at = self.waiting.iter().position(|task| task.ticket == ticket);
                at.and_then(|at| self.waiting.remove(at))
            }
        };
        let Some(mut task) = task else { return };
        let mut events = Vec::new();
        task.cancel(self.model.as_mut(), &mut events);
        events.push(Event::Done);
        self.tell(ticket, events);
        self.release(task, false);
    }

    /// One pass through the model over all that is live; returns what happened since the last one.
    pub fn step(&mut self) -> Vec<(Ticket, Event)> {
        self.heed_cancellations();
        self.admit();
        self.propose();
        let slots = self.fitting_slots();
        if !slots.is_empty() {
            let begun = Instant::now();
            match self.forward(&slots) {
                Ok(()) => {
                    self.pace.observe(slots.iter().map(|slot| slot.take).sum(), begun.elapsed());
                    self.distribute(&slots);
                }
                Err(error) => self.fail_all(&slots, EngineError::from(error)),
            }
            self.retire();
        }
        self.events.drain(..).collect()
    }

    fn heed_cancellations(&mut self) {
        let tasks = self.live.iter().chain(&self.waiting);
        let called_off: Vec<Ticket> = tasks.filter(|t| t.terms.request.cancelled()).map(|t| t.ticket).collect();
        for ticket in called_off {
            self.cancel(ticket);
        }
    }

    fn tell(&mut self, ticket: Ticket, events: Vec<Event>) {
        self.events.extend(events.into_iter().map(|event| (ticket, event)));
    }

    /// Proposes tokens to sequences that have one token pending.
    fn propose(&mut self) {
        let mut drafting = Vec::new();
        for task in &mut self.live {
            let terms = &task.terms;
            let Body::Samples(samples) = &mut task.body else { continue };
            for sample in samples.iter_mut().filter(|s| !s.done() && !s.track.parked && s.track.pending() == 1) {
                let generated = sample.track.tokens.len() - terms.prompt.len();
                let room = terms.longest().saturating_sub(generated + 1);
                match terms.request.speculation {
                    Speculation::None => {}
                    Speculation::PromptLookup { ngram, tokens } => {
                        let mut found = speculation::lookup(&sample.track.tokens, ngram, tokens.min(room));
                        if let Some(guide) = &sample.guide {
                            found.truncate(guide.agrees(&found));
                        }
                        sample.track.proposed = found.len();
                        sample.track.tokens.extend(found);
                    }
                    Speculation::Draft { tokens } => drafting.push(Wish::new(terms, sample, tokens.min(room))),
                }
            }
        }
        if let Some(drafter) = &mut self.drafter {
            drafter.propose(&mut drafting, &mut self.sampler);
        }
    }

    /// The parts of the next step: every continuation, and prompts as [`pace`] deals them out.
    fn slots(&self) -> Vec<Slot> {
        let mut slots = Vec::new();
        let mut prompts = Vec::new();
        for (at, task) in self.live.iter().enumerate() {
            for index in 0..task.track_count() {
                let track = task.track(index);
                if track.parked || !task.wants(index) {
                    continue;
                }
                let slot = Slot { task: at, track: index, take: track.pending(), want: Want::Last };
                if track.pending() == 1 + track.proposed {
                    slots.push(if track.proposed > 0 { Slot { want: Want::All, ..slot } } else { slot });
                } else {
                    prompts.push(slot);
                }
            }
        }
        let most = if slots.is_empty() { self.options.prefill_tokens } else { self.options.shared_prefill_tokens };
        let continued = slots.iter().map(|slot| slot.take).sum();
        let budget = self.pace.tokens(self.options.step_time, continued, most);
        let judged = |slot: &Slot| {
            let task = &self.live[slot.task];
            matches!(task.body, Body::Prefill(_)) && task.terms.judges_prompt()
        };
        let remaining = |slot: &Slot| if judged(slot) { slot.take.min(LOGIT_ROWS) } else { slot.take };
        let takes = pace::deal(&prompts.iter().map(remaining).collect::<Vec<_>>(), budget);
        for (mut slot, take) in prompts.into_iter().zip(takes).filter(|(_, take)| *take > 0) {
            if judged(&slot) {
                slot.want = Want::All;
            } else if take < slot.take {
                slot.want = Want::Nothing;
            }
            slot.take = take;
            slots.push(slot);
        }
        slots
    }

    /// The parts of the next step, once there is memory for them.
    fn fitting_slots(&mut self) -> Vec<Slot> {
        loop {
            let slots = self.slots();
            if slots.is_empty() {
                if !self.unblock() {
                    return slots;
                }
                continue;
            }
            let growth: Vec<_> = slots.iter().map(|s| (self.live[s.task].track(s.track).sequence, s.take)).collect();
            if self.model.fits(&growth) {
                return slots;
            }
            if !self.make_room() {
                let tokens = growth.iter().map(|(_, take)| take).sum::<usize>();
                let held = self.live[slots[0].task].track(slots[0].track).held;
                let error = RequestError::TooLargeForCache { tokens: tokens + held };
                self.fail(slots[0].task, EngineError::from(error));
            }
        }
    }

    fn forward(&mut self, slots: &[Slot]) -> Result<(), ModelError> {
        for slot in slots {
            self.live[slot.task].track_mut(slot.track).open(self.model.as_mut())?;
        }
        let run = |slot: &Slot| {
            let track = self.live[slot.task].track(slot.track);
            let tokens = &track.tokens[track.held..track.held + slot.take];
            track.sequence.map(|sequence| Run::tokens(sequence, tokens, slot.want))
        };
        let runs: Vec<Run<'_>> = slots.iter().filter_map(run).collect();
        self.logits.clear();
        self.model.forward(&runs, &mut self.logits)
    }

    /// Hands every part its rows of logits.
    fn distribute(&mut self, slots: &[Slot]) {
        let now = Instant::now();
        let vocab = self.model.spec().vocab;
        let mut logits = std::mem::take(&mut self.logits);
        let mut rest = logits.as_mut_slice();
        let mut failed = Vec::new();
        // A beam search reorders its tracks when the last of them is served, so all have grown before any is served.
        for slot in slots {
            self.live[slot.task].track_mut(slot.track).held += slot.take;
        }
        for slot in slots {
            let rows = slot.want.rows(slot.take);
            let rows = rest.split_off_mut(..rows * vocab).expect("one row of logits for each that was wanted");
            let task = &mut self.live[slot.task];
            if failed.iter().any(|(at, _)| *at == slot.task) {
                continue;
            }
            let mut events = Vec::new();
            let mut step =
                Step { model: self.model.as_mut(), sampler: &mut self.sampler, scratch: &mut self.scratch, now };
            let outcome = task.take(slot.track, slot.take, rows, &mut step, &mut events);
            let ticket = task.ticket;
            self.tell(ticket, events);
            if let Err(error) = outcome {
                failed.push((slot.task, error));
            }
        }
        self.logits = logits;
        failed.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        for (at, error) in failed {
            self.fail(at, error);
        }
    }

    /// Ends requests that are done, and frees the memory of samples that are.
    fn retire(&mut self) {
        for at in (0..self.live.len()).rev() {
            if self.live[at].done() {
                let task = self.live.remove(at);
                self.tell(task.ticket, vec![Event::Done]);
                self.release(task, true);
                continue;
            }
            let Body::Samples(samples) = &mut self.live[at].body else { continue };
            for sample in samples.iter_mut().filter(|sample| sample.done()) {
                sample.track.close(self.model.as_mut());
                if let (Some(draft), Some(drafter)) = (sample.draft.take(), &mut self.drafter) {
                    drafter.close(draft);
                }
            }
        }
    }

    fn fail(&mut self, at: usize, error: EngineError) {
        let task = self.live.remove(at);
        self.tell(task.ticket, vec![Event::Failed(error)]);
        self.release(task, false);
    }

    /// The model failed: so do the requests that took part.
    fn fail_all(&mut self, slots: &[Slot], error: EngineError) {
        let mut tasks: Vec<usize> = slots.iter().map(|slot| slot.task).collect();
        tasks.sort_unstable();
        tasks.dedup();
        for at in tasks.into_iter().rev() {
            self.fail(at, error.clone());
        }
    }

    /// Frees all that a request held; `keep`: its longest sequence may serve later ones.
    fn release(&mut self, task: Task, keep: bool) {
        let model = self.model.as_mut();
        let (tracks, drafts) = task.into_tracks();
        if let Some(drafter) = &mut self.drafter {
            drafts.into_iter().for_each(|track| drafter.close(track));
        }
        let longest = tracks.iter().map(|track| track.held).max();
        let mut keep = keep;
        for mut track in tracks {
            if keep && Some(track.held) == longest {
                self.retained.keep(model, track);
                keep = false;
            } else {
                track.close(model);
            }
        }
    }
}
