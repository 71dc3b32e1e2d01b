//! A request on its way: one prefill, then samples or beams.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use gptneo_model::{AdapterId, LanguageModel};
use gptneo_text::Special;

use crate::beam::{Continuation, Search};
use crate::emitter::Outlet;
use crate::error::{EngineError, SamplingError};
use crate::form::Guide;
use crate::generation::{Cause, Piece, Timings, Token};
use crate::logits;
use crate::rail::History;
use crate::request::Request;
use crate::sample::{Sample, judged};
use crate::sampler::{Choice, Sampler};
use crate::scheduler::{Event, Ticket};
use crate::track::Track;

/// What was asked for, made definite for one model.
pub(crate) struct Terms {
    pub(crate) request: Arc<Request>,
    pub(crate) outlet: Outlet,
    pub(crate) prompt: Vec<u32>,
    /// The echoed prompt with its log-probabilities, as far as they are known.
    pub(crate) prompt_tokens: Vec<Token>,
    /// What the model applies to every token.
    pub(crate) adapter: Option<AdapterId>,
    /// The model's end of sequence, unless it is ignored.
    pub(crate) eos: Option<u32>,
    /// Every token that ends a generation.
    pub(crate) ends: Vec<u32>,
    /// The beginning of the form asked for.
    pub(crate) guide: Option<Guide>,
    pub(crate) vocab: usize,
    pub(crate) positions: usize,
    pub(crate) clock: Clock,
}

/// When things happened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    pub(crate) submitted: Instant,
    pub(crate) started: Option<Instant>,
    /// Prompt tokens that were computed.
    pub(crate) computed: usize,
}

impl Clock {
    pub(crate) fn timings(&self, first: Option<Instant>, last: Option<Instant>, chosen: usize) -> Timings {
        let started = self.started.unwrap_or(self.submitted);
        let since = |at: Option<Instant>, from: Instant| at.map_or_else(Default::default, |at| at - from);
        Timings {
            queued: started - self.submitted,
            first_token: since(first, self.submitted),
            total: self.submitted.elapsed(),
            prefill_tokens: self.computed,
            prefill: since(first, started),
            decode_tokens: chosen.saturating_sub(1),
            decode: since(last, first.unwrap_or(started)),
        }
    }
}

impl Terms {
    /// Why nothing more may be generated after `generated` tokens, if so.
    pub(crate) fn full(&self, generated: usize) -> Option<Cause> {
        if self.request.max_tokens.is_some_and(|max| generated >= max) {
            return Some(Cause::MaxTokens);
        }
        (self.prompt.len() + generated >= self.positions).then_some(Cause::ContextFull(self.positions))
    }

    /// Most tokens that can be generated.
    pub(crate) fn longest(&self) -> usize {
        (self.positions - self.prompt.len()).min(self.request.max_tokens.unwrap_or(usize::MAX))
    }

    /// Whether token `id`, chosen after `generated` others, ends the generation.
    pub(crate) fn end(&self, id: u32, generated: usize) -> Option<Cause> {
        if generated < self.request.min_tokens {
            return None;
        }
        if self.eos == Some(id) {
            return Some(Cause::EndOfSequence);
        }
        self.request.stop_ids.contains(&id).then_some(Cause::StopId(id))
    }

    /// What the choice after `tokens` depends on; `allowed` is what the form lets follow.
    pub(crate) fn choice<'a>(&'a self, tokens: &'a [u32], sample: usize, allowed: Option<&'a [u32]>) -> Choice<'a> {
        let early = tokens.len() - self.prompt.len() < self.request.min_tokens;
        Choice {
            sampling: &self.request.sampling,
            history: History { tokens, prompt: self.prompt.len() },
            forbidden: if early { &self.ends } else { &[] },
            rails: &self.outlet.rails,
            allowed,
            sample,
        }
    }

    /// Whether log-probabilities of the prompt are still to be found.
    pub(crate) fn judges_prompt(&self) -> bool {
        self.request.echo && self.request.logprobs.is_some() && self.prompt_tokens.len() < self.prompt.len()
    }

    /// Notes the log-probabilities of prompt tokens: `rows` are the logits after token `at` and those that follow it.
    fn judge_prompt(&mut self, at: usize, rows: &[f32]) -> Result<(), SamplingError> {
        if self.prompt_tokens.is_empty() {
            self.prompt_tokens.push(Token { id: self.prompt[0], offset: 0, logprob: None, top: Vec::new() });
        }
        let top = self.request.logprobs.unwrap_or(0);
        for (position, row) in (at + 1..self.prompt.len()).zip(rows.chunks_exact(self.vocab)) {
            if position == self.prompt_tokens.len() {
                self.prompt_tokens.push(judged(self.prompt[position], row, top)?);
            }
        }
        if !self.judges_prompt()
            && let Some(tokenizer) = &self.outlet.tokenizer
        {
            let mut stream = tokenizer.stream(Special::Skip);
            let mut offset = 0;
            for token in &mut self.prompt_tokens {
                token.offset = offset;
                offset += stream.push(token.id).map_or(0, str::len);
            }
        }
        Ok(())
    }
}

/// A request on its way.
pub(crate) struct Task {
    pub(crate) ticket: Ticket,
    pub(crate) terms: Terms,
    pub(crate) body: Body,
}

/// How far it is.
pub(crate) enum Body {
    /// The prompt is not wholly in the model.
    Prefill(Track),
    /// Samples, each with its own sequence.
    Samples(Vec<Sample>),
    /// A beam search.
    Beams(Beams),
}

/// A beam search over sequences of the model.
pub(crate) struct Beams {
    search: Search,
    running: Vec<Beam>,
}

struct Beam {
    track: Track,
    score: f64,
    /// Its best continuations, while it waits for the others.
    ready: Option<Vec<(u32, f64)>>,
}

/// What a step brings along.
pub(crate) struct Step<'a> {
    pub(crate) model: &'a mut dyn LanguageModel,
    pub(crate) sampler: &'a mut Sampler,
    pub(crate) scratch: &'a mut Vec<f32>,
    pub(crate) now: Instant,
}

impl Task {
    pub(crate) fn new(ticket: Ticket, terms: Terms) -> Self {
        let body = Body::Prefill(Track { adapter: terms.adapter, ..Track::new(terms.prompt.clone()) });
        Self { ticket, terms, body }
    }

    /// Its tracks; a finished sample's is closed.
    pub(crate) fn tracks(&self) -> Vec<&Track> {
        match &self.body {
            Body::Prefill(track) => vec![track],
            Body::Samples(samples) => samples.iter().map(|sample| &sample.track).collect(),
            Body::Beams(beams) => beams.running.iter().map(|beam| &beam.track).collect(),
        }
    }

    pub(crate) fn track(&self, index: usize) -> &Track {
        match &self.body {
            Body::Prefill(track) => track,
            Body::Samples(samples) => &samples[index].track,
            Body::Beams(beams) => &beams.running[index].track,
        }
    }

    pub(crate) fn track_mut(&mut self, index: usize) -> &mut Track {
        match &mut self.body {
            Body::Prefill(track) => track,
            Body::Samples(samples) => &mut samples[index].track,
            Body::Beams(beams) => &mut beams.running[index].track,
        }
    }

    pub(crate) fn track_count(&self) -> usize {
        match &self.body {
            Body::Prefill(_) => 1,
            Body::Samples(samples) => samples.len(),
            Body::Beams(beams) => beams.running.len(),
        }
    }

    /// Whether the track still has something to compute.
    pub(crate) fn wants(&self, index: usize) -> bool {
        match &self.body {
            Body::Prefill(_) => true,
            Body::Samples(samples) => !samples[index].done(),
            Body::Beams(beams) => beams.running[index].ready.is_none(),
        }
    }

    /// Tracks that it will have after its prefill.
    pub(crate) fn branches(&self) -> usize {
        match self.terms.request.beams {
            Some(beams) => beams.width,
            None => self.terms.request.n,
        }
    }

    pub(crate) fn done(&self) -> bool {
        matches!(&self.body, Body::Samples(samples) if samples.iter().all(Sample::done))
    }

    /// Takes the rows of logits that its track wanted, after the model has appended `taken` of its tokens.
    pub(crate) fn take(
        &mut self,
        index: usize,
        taken: usize,
        rows: &mut [f32],
        step: &mut Step<'_>,
        events: &mut Vec<Event>,
    ) -> Result<(), EngineError> {
        if rows.is_empty() {
            return Ok(());
        }
        match &mut self.body {
            Body::Prefill(track) => {
                if self.terms.judges_prompt() {
                    self.terms.judge_prompt(track.held - taken, rows)?;
                }
                if track.pending() == 0 {
                    let last = rows.len() - self.terms.vocab;
                    self.begin(&mut rows[last..], step, events)?;
                }
            }
            Body::Samples(samples) => {
                let sample = &mut samples[index];
                let piece = sample.advance(&self.terms, rows, step.sampler, step.model, step.now)?;
                report(sample, &self.terms, piece, events);
            }
            Body::Beams(beams) => {
                beams.ready(index, &self.terms, rows, step)?;
                if beams.running.iter().all(|beam| beam.ready.is_some()) {
                    self.beam_step(step, events)?;
                }
            }
        }
        Ok(())
    }

    /// The prompt is in the model: samples or beams begin after the logits of its last token.
    fn begin(&mut self, row: &mut [f32], step: &mut Step<'_>, events: &mut Vec<Event>) -> Result<(), EngineError> {
        let Body::Prefill(track) = &mut self.body else { return Ok(()) };
        let track = std::mem::replace(track, Track::new(Vec::new()));
        let terms = &self.terms;
        if let Some(settings) = terms.request.beams
            && terms.longest() > 0
        {
            let search = Search::new(settings, terms.ends.clone(), terms.longest());
            let mut beams = Beams { search, running: vec![Beam { track, score: 0.0, ready: None }] };
            beams.ready(0, terms, row, step)?;
            self.body = Body::Beams(beams);
            return self.beam_step(step, events);
        }
        let mut tracks: Vec<Track> = (1..terms.request.n).map(|_| track.fork(step.model)).collect();
        tracks.insert(0, track);
        let samples = tracks.into_iter().enumerate();
        let samples = samples.map(|(index, track)| Sample::new(index, track, &terms.outlet, &terms.prompt)).collect();
        self.body = Body::Samples(samples);
        let Body::Samples(samples) = &mut self.body else { return Ok(()) };
        for sample in samples {
            let piece = sample.begin(terms);
            report(sample, terms, piece, events);
            if !sample.done() {
                step.scratch.clear();
                step.scratch.extend_from_slice(row);
                let piece = sample.advance(terms, step.scratch, step.sampler, step.model, step.now)?;
                report(sample, terms, piece, events);
            }
        }
        Ok(())
    }

    /// All beams have their continuations: the search goes on, or ends in samples.
    fn beam_step(&mut self, step: &mut Step<'_>, events: &mut Vec<Event>) -> Result<(), EngineError> {
        let Body::Beams(beams) = &mut self.body else { return Ok(()) };
        let prompt = self.terms.prompt.len();
        let mut found = Vec::new();
        for (parent, beam) in beams.running.iter_mut().enumerate() {
            let ready = beam.ready.take().unwrap_or_default();
            found.extend(ready.into_iter().map(|(id, gain)| Continuation { parent, id, score: beam.score + gain }));
        }
        let generated: Vec<&[u32]> = beams.running.iter().map(|beam| &beam.track.tokens[prompt..]).collect();
        let running = beams.search.step(found, &generated);
        beams.branch(&running, step.model);
        if !beams.search.over() {
            return Ok(());
        }
        self.finish_beams(step, events)
    }

    fn finish_beams(&mut self, step: &mut Step<'_>, events: &mut Vec<Event>) -> Result<(), EngineError> {
        let Body::Beams(beams) = std::mem::replace(&mut self.body, Body::Samples(Vec::new())) else { return Ok(()) };
        let Beams { search, mut running } = beams;
        running.iter_mut().for_each(|beam| beam.track.close(step.model));
        let mut samples = Vec::new();
        for (index, hypothesis) in search.into_finished().into_iter().take(self.terms.request.n).enumerate() {
            let track = Track::new(self.terms.prompt.clone());
            let mut sample = Sample::new(index, track, &self.terms.outlet, &self.terms.prompt);
            let token = |&id: &u32| Token { id, offset: 0, logprob: None, top: Vec::new() };
            let tokens = hypothesis.tokens.iter().map(token).collect();
            let piece = sample.recite(&self.terms, tokens, step.now);
            if !piece.text.is_empty() || !piece.tokens.is_empty() {
                events.push(Event::Piece(piece));
            }
            if let Some(mut generation) = sample.generation(&self.terms) {
                generation.beam_score = Some(hypothesis.score);
                events.push(Event::Finished(generation));
            }
            samples.push(sample);
        }
        self.body = Body::Samples(samples);
        Ok(())
    }

    /// Its tracks, and those of the draft model.
    pub(crate) fn into_tracks(self) -> (Vec<Track>, Vec<Track>) {
        match self.body {
            Body::Prefill(track) => (vec![track], Vec::new()),
            Body::Samples(samples) => {
                let (tracks, drafts): (Vec<Track>, Vec<Option<Track>>) =
                    samples.into_iter().map(|sample| (sample.track, sample.draft)).unzip();
                (tracks, drafts.into_iter().flatten().collect())
            }
            Body::Beams(beams) => (beams.running.into_iter().map(|beam| beam.track).collect(), Vec::new()),
        }
    }

    /// Calls it off: what was held back goes out as far as rails let it.
    pub(crate) fn cancel(&mut self, model: &mut dyn LanguageModel, events: &mut Vec<Event>) {
        for index in 0..self.track_count() {
            self.track_mut(index).close(model);
        }
        if !matches!(self.body, Body::Samples(_)) {
            let terms = &self.terms;
            let sample = |index| Sample::new(index, Track::new(terms.prompt.clone()), &terms.outlet, &terms.prompt);
            self.body = Body::Samples((0..terms.request.n).map(sample).collect());
        }
        let Body::Samples(samples) = &mut self.body else { return };
        for sample in samples.iter_mut().filter(|sample| !sample.done()) {
            let piece = sample.cancel();
            report(sample, &self.terms, piece, events);
        }
    }
}

impl Beams {
    /// Notes the best continuations of beam `index`, after the logits of its last token.
    fn ready(
        &mut self,
        index: usize,
        terms: &Terms,
        row: &mut [f32],
        step: &mut Step<'_>,
    ) -> Result<(), SamplingError> {
        let beam = &mut self.running[index];
        // As transformers has it: penalties apply to log-probabilities, not to logits.
        let sum = logits::log_sum_exp(row)?;
        row.iter_mut().for_each(|logit| *logit = (f64::from(*logit) - sum) as f32);
        step.sampler.alter(&terms.choice(&beam.track.tokens, index, None), row);
        let best = logits::top(row, self.search.breadth());
        let possible = best.into_iter().filter(|(_, logprob)| *logprob > f32::NEG_INFINITY);
        let ready: Vec<(u32, f64)> = possible.map(|(id, logprob)| (id, f64::from(logprob))).collect();
        if ready.is_empty() {
            return Err(SamplingError::AllForbidden);
        }
        beam.ready = Some(ready);
        Ok(())
    }

    /// Replaces the running beams by their continuations. The first of each parent takes over its sequence.
    fn branch(&mut self, running: &[Continuation], model: &mut dyn LanguageModel) {
        let mut children: HashMap<usize, usize> = HashMap::new();
        for child in running {
            *children.entry(child.parent).or_default() += 1;
        }
        let mut parents: Vec<Option<Track>> = self.running.drain(..).map(|beam| Some(beam.track)).collect();
        for (index, parent) in parents.iter_mut().enumerate() {
            if let (Some(track), false) = (parent.as_mut(), children.contains_key(&index)) {
                track.close(model);
            }
        }
        for child in running {
            let left = children.entry(child.parent).or_default();
            *left -= 1;
            let parent = &mut parents[child.parent];
            let track = if *left == 0 { parent.take() } else { parent.as_ref().map(|track| track.fork(model)) };
            let Some(mut track) = track else { continue };
            track.tokens.push(child.id);
            self.running.push(Beam { track, score: child.score, ready: None });
        }
    }
}

/// Adds what a sample gave to the events, and its end if this was it.
fn report(sample: &mut Sample, terms: &Terms, piece: Piece, events: &mut Vec<Event>) {
    if !piece.text.is_empty() || !piece.tokens.is_empty() {
        events.push(Event::Piece(piece));
    }
    if let Some(generation) = sample.generation(terms) {
        events.push(Event::Finished(generation));
    }
}
