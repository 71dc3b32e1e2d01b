//! A language model whose answers are known: logits are a function of the whole sequence, memory comes in pages, and
//! every promise of [`LanguageModel`] is checked on the way.

use std::collections::HashSet;
use std::fmt::Write;
use std::sync::{Arc, Mutex};

use gptneo_device::{CacheType, DType};
use gptneo_engine::{Engine, Generation, Request, Sampling};
use gptneo_model::probe::{Activation, Probe};
use gptneo_model::{
    Adapter, AdapterId, AdapterSettings, Classifier, Family, Input, LanguageModel, ModelError, Run, SequenceId, Spec,
    shapes,
};
use gptneo_text::Tokenizer;

/// End of sequence, and id 0.
pub(crate) const EOS: u32 = 0;
/// Tokens of [`tokenizer`].
pub(crate) const WORDS: [&str; 40] = [
    "<|endoftext|>",
    "a",
    "b",
    "c",
    "d",
    "e",
    "f",
    "g",
    "h",
    "i",
    "j",
    "k",
    "l",
    "m",
    "n",
    "o",
    "p",
    "q",
    "r",
    "s",
    "t",
    "u",
    "v",
    "w",
    "x",
    "y",
    "z",
    "Ġ",
    ".",
    "!",
    "Ã",
    "©",
    "ba",
    "ad",
    "bad",
    "Ġb",
    "Ġbad",
    "day",
    "Ġda",
    "the",
];
pub(crate) const VOCAB: usize = WORDS.len();

/// A byte-level tokenizer of [`WORDS`]; `é` is two tokens.
pub(crate) fn tokenizer() -> Tokenizer {
    let mut vocab = String::from("{");
    for (id, word) in WORDS.iter().enumerate() {
        write!(vocab, "{}\"{word}\": {id}", if id == 0 { "" } else { ", " }).unwrap();
    }
    vocab.push('}');
    Tokenizer::from_bpe(vocab.as_bytes(), b"b a\na d\nba d\n").unwrap()
}

/// The id of a token as [`WORDS`] spells it.
pub(crate) fn id(word: &str) -> u32 {
    WORDS.iter().position(|w| *w == word).unwrap_or_else(|| panic!("no token {word}")) as u32
}

/// Logits after a sequence of tokens.
pub(crate) type Law = Arc<dyn Fn(&[u32]) -> Vec<f32> + Send + Sync>;

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Pseudo-random logits between -`spread` and `spread` that depend on every token of the sequence.
pub(crate) fn hashed(vocab: usize, spread: f32) -> Law {
    Arc::new(move |tokens| {
        let state = tokens.iter().fold(7u64, |h, &t| mix(h.wrapping_add(u64::from(t) + 1)));
        logits_of(state, vocab, spread)
    })
}

/// As [`hashed`], but only the last `order` tokens count: such a model repeats itself.
pub(crate) fn markov(vocab: usize, spread: f32, order: usize) -> Law {
    Arc::new(move |tokens| {
        let last = &tokens[tokens.len().saturating_sub(order)..];
        logits_of(last.iter().fold(3u64, |h, &t| mix(h.wrapping_add(u64::from(t) + 1))), vocab, spread)
    })
}

fn logits_of(state: u64, vocab: usize, spread: f32) -> Vec<f32> {
    let unit = |id: u64| (mix(state ^ mix(id + 1)) >> 40) as f32 / (1u64 << 24) as f32;
    (0..vocab as u64).map(|id| (unit(id) * 2.0 - 1.0) * spread).collect()
}

/// Says `text` after any prompt of `prompt` tokens, then the end of sequence.
pub(crate) fn script(prompt: usize, words: &[&str]) -> Law {
    let ids: Vec<u32> = words.iter().map(|word| id(word)).collect();
    Arc::new(move |tokens| {
        let next = ids.get(tokens.len() - prompt).copied().unwrap_or(EOS);
        (0..VOCAB as u32).map(|id| if id == next { 10.0 } else { -(id as f32) / 100.0 }).collect()
    })
}

/// What a toy has done, seen from outside.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// Tokens appended in every step.
    pub(crate) steps: Vec<usize>,
    /// Sequences in every step.
    pub(crate) widths: Vec<usize>,
    pub(crate) open: usize,
    pub(crate) pages_free: usize,
    pub(crate) pages: usize,
}

/// A model with known answers.
pub(crate) struct Toy {
    spec: Spec,
    law: Law,
    page: usize,
    /// Reference counts.
    refs: Vec<usize>,
    sequences: Vec<Option<Held>>,
    /// Local layers forget what lies further back than this and a page.
    window: Option<usize>,
    watch: Arc<Mutex<Watch>>,
    /// Adapters ever added; those removed have no turn.
    adapters: Vec<Option<usize>>,
}

#[derive(Clone)]
struct Held {
    tokens: Vec<u32>,
    pages: Vec<usize>,
    kept_from: usize,
    adapter: Option<AdapterId>,
}

impl Toy {
    pub(crate) fn new(vocab: usize, law: Law) -> Self {
        let spec = Spec {
            family: Family::GptNeo,
            vocab,
            classifier: None,
            positions: 256,
            layers: 1,
            width: 1,
            heads: 1,
            inner: 1,
            parameters: 1,
            bos: None,
            eos: Some(EOS),
            weights: DType::F32,
            output: DType::F32,
            key: CacheType::F32,
            value: CacheType::F32,
        };
        let watch = Arc::new(Mutex::new(Watch::default()));
        Self {
            spec,
            law,
            page: 4,
            refs: vec![0; 4096],
            sequences: Vec::new(),
            window: None,
            watch,
            adapters: Vec::new(),
        }
        .watched()
    }

    pub(crate) fn positions(mut self, positions: usize) -> Self {
        self.spec.positions = positions;
        self
    }

    pub(crate) fn pages(mut self, pages: usize) -> Self {
        self.refs = vec![0; pages];
        self.watched()
    }

    pub(crate) fn window(mut self, window: usize) -> Self {
        self.window = Some(window);
        self
    }

    /// The law's row is that of labels.
    pub(crate) fn classifier(mut self, classifier: Classifier) -> Self {
        self.spec.classifier = Some(classifier);
        self
    }

    pub(crate) fn no_eos(mut self) -> Self {
        self.spec.eos = None;
        self
    }

    pub(crate) fn watch(&self) -> Arc<Mutex<Watch>> {
        self.watch.clone()
    }

    fn watched(self) -> Self {
        self.note();
        self
    }

    fn note(&self) {
        let mut watch = self.watch.lock().unwrap();
        watch.open = self.sequences.iter().flatten().count();
        watch.pages = self.refs.len();
        watch.pages_free = self.free();
    }

    fn free(&self) -> usize {
        self.refs.iter().filter(|&&refs| refs == 0).count()
    }

    fn held(&self, sequence: SequenceId) -> Result<&Held, ModelError> {
        let held = self.sequences.get(sequence.index()).and_then(Option::as_ref);
        held.ok_or(ModelError::UnknownSequence(sequence))
    }

    fn put(&mut self, held: Held) -> SequenceId {
        let at = self.sequences.iter().position(Option::is_none).unwrap_or(self.sequences.len());
        if at == self.sequences.len() {
            self.sequences.push(None);
        }
        self.sequences[at] = Some(held);
        self.note();
        SequenceId::new(at as u32)
    }

    /// Pages that appending `count` tokens takes: new ones, and a copy of a last one that is shared.
    fn needs(&self, held: Option<&Held>, count: usize) -> usize {
        let Some(held) = held else { return count.div_ceil(self.page) };
        let len = held.tokens.len();
        let copy = count > 0 && !len.is_multiple_of(self.page) && self.refs[held.pages[len / self.page]] > 1;
        (len + count).div_ceil(self.page) - held.pages.len() + usize::from(copy)
    }

    /// By how many places an adapter turns logits.
    fn turn(&self, adapter: AdapterId) -> Result<usize, ModelError> {
        let held = self.adapters.iter().enumerate().find(|(at, _)| AdapterId::new(*at as u32) == adapter);
        held.and_then(|(_, turn)| *turn).ok_or(ModelError::UnknownAdapter(adapter))
    }

    fn take_page(&mut self) -> usize {
        let page = self.refs.iter().position(|&refs| refs == 0).expect("checked before");
        self.refs[page] = 1;
        page
    }

    fn can_be_cut(&self, held: &Held, len: usize) -> bool {
        len <= held.tokens.len() && len.saturating_sub(self.window.unwrap_or(usize::MAX)) >= held.kept_from
    }

    fn check(&self, runs: &[Run<'_>]) -> Result<(), ModelError> {
        let mut seen = HashSet::new();
        let mut needed = 0;
        assert!(!runs.is_empty(), "an empty step");
        for run in runs {
            let held = self.held(run.sequence)?;
            let Input::Tokens(tokens) = run.input else { panic!("the engine gives ids") };
            assert!(!tokens.is_empty(), "an empty run");
            if !seen.insert(run.sequence) {
                return Err(ModelError::RepeatedSequence(run.sequence));
            }
            if let Some(&id) = tokens.iter().find(|&&id| id as usize >= self.spec.vocab) {
                return Err(ModelError::UnknownToken { id, vocab: self.spec.vocab });
            }
            let (held_len, added, limit) = (held.tokens.len(), tokens.len(), self.spec.positions);
            if held_len + added > limit {
                return Err(ModelError::PastLastPosition { held: held_len, added, limit });
            }
            needed += self.needs(Some(held), added);
        }
        if needed > self.free() {
            return Err(ModelError::CacheFull { wanted: needed, free: self.free(), page: self.page });
        }
        Ok(())
    }
}

impl LanguageModel for Toy {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn open(&mut self) -> SequenceId {
        self.put(Held { tokens: Vec::new(), pages: Vec::new(), kept_from: 0, adapter: None })
    }

    fn open_adapted(&mut self, adapter: AdapterId) -> Result<SequenceId, ModelError> {
        self.turn(adapter)?;
        Ok(self.put(Held { tokens: Vec::new(), pages: Vec::new(), kept_from: 0, adapter: Some(adapter) }))
    }

    fn add_adapter(&mut self, adapter: &Adapter) -> Result<AdapterId, ModelError> {
        self.adapters.push(Some(adapter.settings().rank));
        Ok(AdapterId::new(self.adapters.len() as u32 - 1))
    }

    fn remove_adapter(&mut self, adapter: AdapterId) -> Result<(), ModelError> {
        self.turn(adapter)?;
        let sequences = self.sequences.iter().flatten().filter(|held| held.adapter == Some(adapter)).count();
        if sequences > 0 {
            return Err(ModelError::AdapterInUse { adapter, sequences });
        }
        let place = (0..).find(|&at| AdapterId::new(at) == adapter).expect("it was found");
        self.adapters[place as usize] = None;
        Ok(())
    }

    fn len(&self, sequence: SequenceId) -> Result<usize, ModelError> {
        Ok(self.held(sequence)?.tokens.len())
    }

    fn fork(&mut self, sequence: SequenceId, len: usize) -> Result<SequenceId, ModelError> {
        let mut held = self.held(sequence)?.clone();
        if !self.can_be_cut(&held, len) {
            return Err(ModelError::BadCut { held: held.tokens.len(), wanted: len, why: "the toy forgot" });
        }
        held.tokens.truncate(len);
        held.pages.truncate(len.div_ceil(self.page));
        held.pages.iter().for_each(|&page| self.refs[page] += 1);
        Ok(self.put(held))
    }

    fn truncate(&mut self, sequence: SequenceId, len: usize) -> Result<(), ModelError> {
        let held = self.held(sequence)?;
        if !self.can_be_cut(held, len) {
            return Err(ModelError::BadCut { held: held.tokens.len(), wanted: len, why: "the toy forgot" });
        }
        let page = self.page;
        let held = self.sequences[sequence.index()].as_mut().expect("held");
        held.tokens.truncate(len);
        for page in held.pages.split_off(len.div_ceil(page)) {
            self.refs[page] -= 1;
        }
        self.note();
        Ok(())
    }

    fn can_cut(&self, sequence: SequenceId, len: usize) -> bool {
        self.held(sequence).is_ok_and(|held| self.can_be_cut(held, len))
    }

    fn close(&mut self, sequence: SequenceId) {
        let held = self.sequences.get_mut(sequence.index()).and_then(Option::take);
        for page in held.into_iter().flat_map(|held| held.pages) {
            self.refs[page] -= 1;
        }
        self.note();
    }

    fn fits(&self, growth: &[(Option<SequenceId>, usize)]) -> bool {
        let need = |&(sequence, count): &(Option<SequenceId>, usize)| {
            self.needs(sequence.map(|sequence| self.held(sequence).expect("an open sequence")), count)
        };
        growth.iter().map(need).sum::<usize>() <= self.free()
    }

    fn cache_pages(&self) -> (usize, usize) {
        (self.refs.len() - self.free(), self.refs.len())
    }

    fn forward(&mut self, runs: &[Run<'_>], logits: &mut Vec<f32>) -> Result<(), ModelError> {
        self.check(runs)?;
        logits.clear();
        for run in runs {
            let Input::Tokens(tokens) = run.input else { unreachable!() };
            let mut held = self.sequences[run.sequence.index()].take().expect("checked");
            for (index, &token) in tokens.iter().enumerate() {
                let at = held.tokens.len();
                if at.is_multiple_of(self.page) {
                    let page = self.take_page();
                    held.pages.push(page);
                } else if let shared = held.pages[at / self.page]
                    && self.refs[shared] > 1
                {
                    let page = self.take_page();
                    self.refs[shared] -= 1;
                    held.pages[at / self.page] = page;
                }
                held.tokens.push(token);
                if index >= tokens.len() - run.want.rows(tokens.len()) {
                    let mut row = (self.law)(&held.tokens);
                    row.rotate_right(held.adapter.map_or(0, |adapter| self.turn(adapter).expect("in use")));
                    logits.extend(row);
                }
            }
            if let Some(window) = self.window {
                held.kept_from = held.kept_from.max(held.tokens.len().saturating_sub(window + gptneo_device::PAGE));
            }
            self.sequences[run.sequence.index()] = Some(held);
        }
        self.note();
        let mut watch = self.watch.lock().unwrap();
        watch.widths.push(runs.len());
        let len = |run: &Run<'_>| if let Input::Tokens(tokens) = run.input { tokens.len() } else { 0 };
        watch.steps.push(runs.iter().map(len).sum());
        Ok(())
    }

    /// Its last activation is the token itself.
    fn forward_probed(
        &mut self,
        runs: &[Run<'_>],
        logits: &mut Vec<f32>,
        probe: &mut dyn Probe,
    ) -> Result<(), ModelError> {
        self.forward(runs, logits)?;
        let tokens = runs.iter().flat_map(|run| if let Input::Tokens(tokens) = run.input { tokens } else { &[] });
        let mut values: Vec<f32> = tokens.map(|&token| token as f32).collect();
        if probe.wants("final") {
            probe.see(Activation { name: "final", width: 1, values: &mut values });
        }
        Ok(())
    }

    fn token_bytes(&self, _: usize) -> u64 {
        0
    }

    fn token_operations(&self, _: usize, _: bool) -> u64 {
        0
    }

    fn weight_bytes(&self) -> u64 {
        0
    }
}

/// An adapter for toys: it turns logits by `places`.
pub(crate) fn turning(places: usize) -> Adapter {
    let config = shapes::config("gpt2").expect("a published shape");
    Adapter::new(&config, AdapterSettings { rank: places, ..AdapterSettings::default() })
}

/// An engine over a toy, with the toy tokenizer.
pub(crate) fn engine(toy: Toy) -> Engine {
    Engine::new(Box::new(toy), Some(tokenizer()))
}

/// All that comes out, checked against what was streamed.
pub(crate) fn run(engine: &mut Engine, request: Request) -> Vec<Generation> {
    let mut streamed: Vec<(String, Vec<u32>)> = Vec::new();
    let done = engine.generate(request, &mut |piece| {
        if streamed.len() <= piece.sample {
            streamed.resize_with(piece.sample + 1, Default::default);
        }
        streamed[piece.sample].0.push_str(&piece.text);
        streamed[piece.sample].1.extend(piece.tokens.iter().map(|token| token.id));
        std::ops::ControlFlow::Continue(())
    });
    let done = done.unwrap_or_else(|error| panic!("{error}"));
    for generation in &done {
        let streamed = streamed.get(generation.sample).cloned().unwrap_or_default();
        assert_eq!((generation.text.clone(), generation.ids()), streamed, "what was streamed is what is returned");
    }
    done
}

/// Temperature 1 and this seed.
pub(crate) fn sampled(seed: u64) -> Sampling {
    Sampling { temperature: 1.0, seed, ..Sampling::default() }
}

/// A small random number generator for tests.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// Uniform below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        (mix(self.0) % end as u64) as usize
    }

    /// Once in `times`.
    pub(crate) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// Uniform from `low` to `high`, both included.
    pub(crate) fn from(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }
}
