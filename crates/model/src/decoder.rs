//! The one decoder: every family, every storage, any device.
//!
//! A step takes runs of tokens of any number of sequences as one flat batch of rows, each with its sequence and
//! position, so that prompts of unequal length need no padding. Rows are computed in pieces of at most [`PIECE`]; keys
//! and values go into the cache first and are read from there, so the cut into pieces does not show in the result.
//! The piece a probe looks at runs the plain decomposition in `probed`.
//!
//! Tested against transformers in `tests/golden.rs`, and there too: any cut into pieces, batches and probes.

mod probed;

use gptneo_device::{
    Attend, CacheShape, CacheType, Device, DeviceError, Heads, NormQkv, PAGE, PageTable, Reach, Rotary, Rows,
};

use crate::config::{Config, Position, Residual};
use crate::language_model::{Input, LanguageModel, ModelError, Run, SequenceId, Spec, Want};
use crate::pages::{PageCopy, Pages};
use crate::probe::Probe;
use crate::weights::{Layer, Linear, Weights};

/// Most rows computed at once.
pub const PIECE: usize = 512;

/// Most rows of logits computed at once: the output matrix is read once for as many.
const LOGIT_ROWS: usize = 32;

/// How much cache a decoder gets, and of which types.
#[derive(Clone, Copy, Debug)]
pub struct CacheOptions {
    /// Positions of all sequences together; rounded up to pages.
    pub positions: usize,
    /// Type of keys.
    pub key: CacheType,
    /// Type of values.
    pub value: CacheType,
}

/// A decoder with its weights, caches and working memory, all on one device.
#[derive(Debug)]
pub struct Decoder<D: Device> {
    device: D,
    config: Config,
    spec: Spec,
    weights: Weights<D>,
    /// One per layer.
    caches: Vec<D::Cache>,
    /// The page group of each layer.
    group_of: Vec<usize>,
    pages: Pages,
    work: Work<D>,
    /// Multiplications of one token: one layer, and output matrix.
    matrix_elements: (u64, u64),
}

/// Activations of one piece.
#[derive(Debug)]
struct Work<D: Device> {
    /// Residual stream `[PIECE, C]`.
    x: D::Buffer,
    /// `[PIECE, C]`.
    query: D::Buffer,
    /// `[PIECE, C]`.
    attention: D::Buffer,
    /// `[PIECE, inner]`.
    inner: D::Buffer,
    /// `[LOGIT_ROWS, V]`.
    logits: D::Buffer,
    /// Only while a probe looks: keys, values, and what a branch adds, `[PIECE, C]` each.
    probed: Option<[D::Buffer; 3]>,
}

/// One piece of a step: rows of several sequences.
struct Piece {
    ids: Vec<u32>,
    positions: Vec<u32>,
    /// Index into `members` of each row.
    sequences: Vec<u32>,
    members: Vec<SequenceId>,
    /// Rows whose embeddings were given: row, and where they stand in its run.
    embedded: Vec<(usize, usize, usize)>,
    /// Rows whose logits are wanted, rising.
    wanted: Vec<u32>,
}

/// Position and sequence of each row whose logits are wanted.
struct Kept {
    positions: Vec<u32>,
    sequences: Vec<u32>,
}

impl Piece {
    fn kept(&self) -> Kept {
        let of = |values: &[u32]| self.wanted.iter().map(|&row| values[row as usize]).collect();
        Kept { positions: of(&self.positions), sequences: of(&self.sequences) }
    }
}

impl<D: Device> Decoder<D> {
    pub(crate) fn new(
        device: D,
        config: Config,
        weights: Weights<D>,
        cache: CacheOptions,
        context: Option<usize>,
    ) -> Result<Self, DeviceError> {
        let mut reaches: Vec<Reach> = Vec::new();
        let mut group_of = Vec::with_capacity(config.layers());
        for &reach in &config.reach {
            group_of.push(reaches.iter().position(|&r| r == reach).unwrap_or_else(|| {
                reaches.push(reach);
                reaches.len() - 1
            }));
        }
        let pages = cache.positions.div_ceil(PAGE).max(1);
        let shape = CacheShape {
            pages,
            heads: config.heads,
            head_size: config.head_size(),
            key: cache.key,
            value: cache.value,
        };
        let caches = (0..config.layers()).map(|_| device.cache(shape)).collect::<Result<_, _>>()?;
        let work = Work {
            x: device.buffer(PIECE * config.width)?,
            query: device.buffer(PIECE * config.width)?,
            attention: device.buffer(PIECE * config.width)?,
            inner: device.buffer(PIECE * config.inner)?,
            logits: device.buffer(LOGIT_ROWS * config.vocab)?,
            probed: None,
        };
        let spec = Spec {
            family: config.family,
            vocab: config.vocab,
            positions: context.map_or(config.positions, |limit| limit.min(config.positions)),
            layers: config.layers(),
            width: config.width,
            heads: config.heads,
            inner: config.inner,
            parameters: config.parameters(),
            bos: config.bos,
            eos: config.eos,
            weights: device.weight_dtype(&weights.layers[0].inner.weight),
            output: device.weight_dtype(weights.output()),
            key: cache.key,
            value: cache.value,
        };
        let per_layer = 4 * config.width * config.width + 2 * config.width * config.inner;
        let matrix_elements = (per_layer as u64, (config.vocab * config.width) as u64);
        let pages = Pages::new(&reaches, pages, PIECE);
        Ok(Self { device, config, spec, weights, caches, group_of, pages, work, matrix_elements })
    }

    /// The architecture.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The device.
    pub fn device(&self) -> &D {
        &self.device
    }

    fn step(
        &mut self,
        runs: &[Run<'_>],
        logits: &mut Vec<f32>,
        mut probe: Option<&mut dyn Probe>,
    ) -> Result<(), ModelError> {
        logits.clear();
        let lens = self.check(runs)?;
        if probe.is_some() && self.work.probed.is_none() {
            let buffer = || self.device.buffer(PIECE * self.config.width);
            self.work.probed = Some([buffer()?, buffer()?, buffer()?]);
        }
        let (mut run, mut done) = (0, 0);
        while run < runs.len() {
            let piece = self.cut(runs, &lens, &mut run, &mut done);
            if piece.ids.is_empty() {
                continue;
            }
            self.embed(&piece, runs);
            match probe.as_deref_mut() {
                None => {
                    self.layers(&piece);
                    self.logits(&piece, logits);
                }
                Some(probe) => self.probed_piece(&piece, logits, probe),
            }
            piece.members.iter().for_each(|&id| self.pages.settle(id));
        }
        Ok(())
    }

    /// Refuses a step before anything has changed; the lengths of the runs.
    fn check(&self, runs: &[Run<'_>]) -> Result<Vec<usize>, ModelError> {
        Pages::distinct(runs.iter().map(|r| r.sequence))?;
        let mut growth = Vec::with_capacity(runs.len());
        for run in runs {
            let held = self.pages.len(run.sequence)?;
            let added = match run.input {
                Input::Tokens(ids) => {
                    if let Some(&id) = ids.iter().find(|&&id| id as usize >= self.config.vocab) {
                        return Err(ModelError::UnknownToken { id, vocab: self.config.vocab });
                    }
                    ids.len()
                }
                Input::Embeddings(values) => {
                    if !values.len().is_multiple_of(self.config.width) {
                        return Err(ModelError::RaggedEmbeddings { len: values.len(), width: self.config.width });
                    }
                    values.len() / self.config.width
                }
            };
            if held + added > self.spec.positions {
                return Err(ModelError::PastLastPosition { held, added, limit: self.spec.positions });
            }
            growth.push((Some(run.sequence), added));
        }
        self.pages.room(&growth)?;
        Ok(growth.into_iter().map(|(_, added)| added).collect())
    }

    /// Takes the next rows, from row `done` of run `run` on, and makes room for them.
    fn cut(&mut self, runs: &[Run<'_>], lens: &[usize], run: &mut usize, done: &mut usize) -> Piece {
        let mut piece = Piece {
            ids: Vec::new(),
            positions: Vec::new(),
            sequences: Vec::new(),
            members: Vec::new(),
            embedded: Vec::new(),
            wanted: Vec::new(),
        };
        let mut copies = Vec::new();
        while *run < runs.len() && piece.ids.len() < PIECE {
            let Run { sequence, input, want } = runs[*run];
            let count = (lens[*run] - *done).min(PIECE - piece.ids.len());
            if count > 0 {
                let held = self.pages.len(sequence).expect("checked");
                self.pages.grow(sequence, count, &mut copies);
                let member = piece.members.len() as u32;
                piece.members.push(sequence);
                for i in 0..count {
                    let row = piece.ids.len();
                    match input {
                        Input::Tokens(ids) => piece.ids.push(ids[*done + i]),
                        Input::Embeddings(_) => {
                            piece.ids.push(0);
                            piece.embedded.push((row, *run, *done + i));
                        }
                    }
                    piece.positions.push((held + i) as u32);
                    piece.sequences.push(member);
                    let last = *done + i + 1 == lens[*run];
                    if want == Want::All || (want == Want::Last && last) {
                        piece.wanted.push(row as u32);
                    }
                }
            }
            *done += count;
            if *done == lens[*run] {
                (*run, *done) = (*run + 1, 0);
            }
        }
        for PageCopy { group, from, to } in copies {
            for (cache, _) in self.caches.iter_mut().zip(&self.group_of).filter(|(_, g)| **g == group) {
                self.device.copy_page(cache, from, to);
            }
        }
        piece
    }

    fn embed(&mut self, piece: &Piece, runs: &[Run<'_>]) {
        let Self { device, config, weights, work, .. } = self;
        let positions = weights.positions.as_ref();
        device.embed(&piece.ids, &weights.embedding, positions.map(|p| (&piece.positions[..], p)), &mut work.x);
        if piece.embedded.is_empty() {
            return;
        }
        // Rare: the row is given, only its position is added.
        let mut row_values = vec![0.0; config.width];
        if let Some(table) = positions {
            device.embed(&piece.positions, table, None, &mut work.query);
        }
        for &(row, run, at) in &piece.embedded {
            let Input::Embeddings(given) = runs[run].input else { continue };
            match positions {
                Some(_) => device.read(&work.query, row * config.width, &mut row_values),
                None => row_values.fill(0.0),
            }
            for (value, given) in row_values.iter_mut().zip(&given[at * config.width..]) {
                *value += given;
            }
            device.write(&mut work.x, row * config.width, &row_values);
        }
    }

    /// Every block over a piece: five fused operations, in the order the residual asks for.
    fn layers(&mut self, piece: &Piece) {
        let Self { device, config, weights, caches, group_of, pages, work, .. } = self;
        let tables = tables(pages, piece);
        let kept = piece.kept();
        let heads = Heads { count: config.heads, size: config.head_size() };
        for (index, layer) in weights.layers.iter().enumerate() {
            let tables = &tables[group_of[index]];
            let mut rows = Rows { positions: &piece.positions, sequences: &piece.sequences, tables };
            let args = NormQkv {
                x: &work.x,
                norm: layer.norm_1.with(config.eps),
                weight: &layer.qkv.weight,
                bias: layer.qkv.bias.as_ref(),
                heads,
                rotary: rotary(config, weights),
                rows,
            };
            device.norm_qkv(args, &mut caches[index], &mut work.query);
            // After the last keys and values only the rows whose logits are wanted go on.
            if index + 1 == config.layers() && piece.wanted.len() < piece.ids.len() {
                device.keep_rows(config.width, &piece.wanted, &mut work.query);
                device.keep_rows(config.width, &piece.wanted, &mut work.x);
                rows = Rows { positions: &kept.positions, sequences: &kept.sequences, tables };
            }
            let n = rows.len();
            if n == 0 {
                return;
            }
            let args = Attend {
                query: &work.query,
                cache: &caches[index],
                heads,
                reach: layer.reach,
                scale: layer.scale,
                rows,
            };
            device.attend(args, &mut work.attention);
            let attention_output = |work: &mut Work<D>| {
                let Linear { weight, bias } = &layer.attention_output;
                device.project_add(n, &work.attention, weight, bias.as_ref(), &mut work.x);
            };
            let inner = |work: &mut Work<D>| {
                let norm = layer.norm_2.as_ref().unwrap_or(&layer.norm_1).with(config.eps);
                let Linear { weight, bias } = &layer.inner;
                device.norm_linear_activate(
                    n,
                    &work.x,
                    norm,
                    weight,
                    bias.as_ref(),
                    config.activation,
                    &mut work.inner,
                );
            };
            // Parallel branches both read what the layer was given, so the MLP's norm comes before attention is added.
            if config.residual == Residual::Sequential {
                attention_output(work);
                inner(work);
            } else {
                inner(work);
                attention_output(work);
            }
            device.project_add(n, &work.inner, &layer.outer.weight, layer.outer.bias.as_ref(), &mut work.x);
        }
    }

    fn logits(&mut self, piece: &Piece, logits: &mut Vec<f32>) {
        let Self { device, config, weights, work, .. } = self;
        // The last layer has left these rows alone, one after the other.
        let rows: Vec<u32> = (0..piece.wanted.len() as u32).collect();
        for rows in rows.chunks(LOGIT_ROWS) {
            let norm = weights.final_norm.with(config.eps);
            device.norm_logits(&work.x, rows, norm, weights.output(), weights.head_bias.as_ref(), &mut work.logits);
            device.append(&work.logits, rows.len() * config.vocab, logits);
        }
    }
}

/// The page tables of a piece's sequences, `[groups][members]`.
fn tables<'a>(pages: &'a Pages, piece: &Piece) -> Vec<Vec<PageTable<'a>>> {
    let table = |id: SequenceId, group| {
        let held = pages.held(id, group);
        PageTable { first: held.first, pages: &held.pages }
    };
    let of_group = |group| piece.members.iter().map(|&id| table(id, group)).collect();
    (0..pages.groups()).map(of_group).collect()
}

fn rotary<'a, D: Device>(config: &Config, weights: &'a Weights<D>) -> Option<Rotary<'a, D::Buffer>> {
    match (config.position, &weights.rotary) {
        (Position::Rotary { dims, pairing, .. }, Some(table)) => Some(Rotary { table, dims, pairing }),
        _ => None,
    }
}

impl<D: Device> LanguageModel for Decoder<D> {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn open(&mut self) -> SequenceId {
        self.pages.open()
    }

    fn len(&self, sequence: SequenceId) -> Result<usize, ModelError> {
        self.pages.len(sequence)
    }

    fn fork(&mut self, sequence: SequenceId, len: usize) -> Result<SequenceId, ModelError> {
        self.pages.fork(sequence, len)
    }

    fn truncate(&mut self, sequence: SequenceId, len: usize) -> Result<(), ModelError> {
        self.pages.truncate(sequence, len)
    }

    fn can_cut(&self, sequence: SequenceId, len: usize) -> bool {
        self.pages.can_cut(sequence, len).is_ok()
    }

    fn close(&mut self, sequence: SequenceId) {
        self.pages.close(sequence);
    }

    fn fits(&self, growth: &[(Option<SequenceId>, usize)]) -> bool {
        self.pages.room(growth).is_ok()
    }

    fn forward(&mut self, runs: &[Run<'_>], logits: &mut Vec<f32>) -> Result<(), ModelError> {
        self.step(runs, logits, None)
    }

    fn forward_probed(
        &mut self,
        runs: &[Run<'_>],
        logits: &mut Vec<f32>,
        probe: &mut dyn Probe,
    ) -> Result<(), ModelError> {
        self.step(runs, logits, Some(probe))
    }

    fn token_bytes(&self, context: usize) -> u64 {
        let Self { device, config, weights, .. } = self;
        let matrices = |l: &Layer<D>| {
            [&l.qkv.weight, &l.attention_output.weight, &l.inner.weight, &l.outer.weight]
                .map(|w| device.weight_bytes(w) as u64)
                .into_iter()
                .sum::<u64>()
        };
        let keys: u64 = config.reach.iter().map(|r| (context + 1 - r.first_key(context)) as u64).sum();
        let per_key = cache_bytes(config, self.spec.key, self.spec.value);
        weights.layers.iter().map(matrices).sum::<u64>()
            + device.weight_bytes(weights.output()) as u64
            + keys * per_key as u64
    }

    fn token_operations(&self, context: usize, logits: bool) -> u64 {
        let Config { reach, width, .. } = &self.config;
        let keys = |reach: &[Reach]| reach.iter().map(|r| (context + 1 - r.first_key(context)) as u64).sum::<u64>();
        let (layer, output) = self.matrix_elements;
        let layers = reach.len() as u64;
        if logits {
            return 2 * (layers * layer + output) + 4 * keys(reach) * *width as u64;
        }
        // Of the last layer keys and values alone.
        let last = 2 * (width * width) as u64;
        2 * ((layers - 1) * layer + last) + 4 * keys(&reach[..reach.len() - 1]) * *width as u64
    }

    fn weight_bytes(&self) -> u64 {
        let Self { device, weights, .. } = self;
        let layers: u64 = weights
            .layers
            .iter()
            .flat_map(|l| [&l.qkv.weight, &l.attention_output.weight, &l.inner.weight, &l.outer.weight])
            .map(|w| device.weight_bytes(w) as u64)
            .sum();
        let rest = [Some(&weights.embedding), weights.positions.as_ref(), weights.head.as_ref()];
        layers + rest.into_iter().flatten().map(|w| device.weight_bytes(w) as u64).sum::<u64>()
    }
}

/// Bytes that one position takes in the cache of one layer.
pub(crate) fn cache_bytes(config: &Config, key: CacheType, value: CacheType) -> usize {
    let one = |kind| match kind {
        CacheType::F32 => config.width * 4,
        CacheType::F16 => config.width * 2,
        // One byte a channel, and a two-byte scale for 32 channels or a whole small head.
        CacheType::Q8_0 => config.width + 2 * config.heads * config.head_size().div_ceil(32),
    };
    one(key) + one(value)
}
