//! The one decoder: every family, every storage, any device.
//!
//! A step takes runs of tokens of any number of sequences as one flat batch of rows, each with its sequence and
//! position, so that prompts of unequal length need no padding. Rows are computed in pieces of at most [`PIECE`]; keys
//! and values go into the cache first and are read from there, so the cut into pieces does not show in the result.
//! The piece a probe looks at runs the plain decomposition in `probed`.
//!
//! Tested against transformers in `tests/golden.rs`, and there too: any cut into pieces, batches and probes.

mod adapted;
mod door;
mod probed;

pub(crate) use door::cache_bytes;

use gptneo_device::{
    Attend, CacheShape, CacheType, Device, DeviceError, Heads, NormQkv, PAGE, PageTable, Reach, Rotary, Rows,
};

use crate::config::{Config, Position, Residual};
use crate::language_model::{AdapterId, Input, ModelError, Run, SequenceId, Spec};
use crate::pages::{PageCopy, Pages};
use crate::probe::Probe;
use crate::weights::{Layer, Linear, Weights};

use adapted::{AdaptedRows, PlainRoom, Residents, Site};

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
    residents: Residents<D>,
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
    /// `[LOGIT_ROWS, V]`, or as wide as there are labels.
    logits: D::Buffer,
    /// There once a probe has looked or an adapter was added.
    plain: Option<PlainRoom<D>>,
}

/// One piece of a step: rows of several sequences.
struct Piece {
    ids: Vec<u32>,
    positions: Vec<u32>,
    /// Index into `members` of each row.
    sequences: Vec<u32>,
    members: Vec<SequenceId>,
    /// The adapter of each member.
    adapters: Vec<Option<AdapterId>>,
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

    /// The adapter of each of some rows, given their sequences.
    fn adapters_of<'a>(&'a self, sequences: &'a [u32]) -> impl Iterator<Item = Option<AdapterId>> + 'a {
        sequences.iter().map(|&member| self.adapters[member as usize])
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
            logits: device.buffer(LOGIT_ROWS * config.outputs())?,
            plain: None,
        };
        let spec = Spec {
            family: config.family,
            vocab: config.vocab,
            classifier: config.classifier.clone(),
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
        let matrix_elements = (per_layer as u64, (config.outputs() * config.width) as u64);
        let pages = Pages::new(&reaches, pages, PIECE);
        let residents = Residents::new();
        Ok(Self { device, config, spec, weights, caches, group_of, pages, residents, work, matrix_elements })
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
        if probe.is_some() && self.work.plain.is_none() {
            self.work.plain = Some(PlainRoom::new(&self.device, PIECE * self.config.width)?);
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
            adapters: Vec::new(),
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
                piece.adapters.push(self.pages.adapter(sequence));
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
                    if *done + i >= lens[*run] - want.rows(lens[*run]) {
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

    /// Every block over a piece: five fused operations, in the order the residual asks for; those beside which rows have an
    /// adapter in their plain parts.
    fn layers(&mut self, piece: &Piece) {
        let Self { device, config, weights, caches, group_of, pages, residents, work, .. } = self;
        let device = &*device;
        let tables = tables(pages, piece);
        let kept = piece.kept();
        let heads = Heads { count: config.heads, size: config.head_size() };
        let mut adapted = residents.rows(piece.adapters_of(&piece.sequences));
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
            match &mut work.plain {
                Some(plain) if adapted.touch(index, Site::Qkv) => {
                    adapted.norm_qkv(device, index, args, plain, &mut caches[index], &mut work.query);
                }
                _ => device.norm_qkv(args, &mut caches[index], &mut work.query),
            }
            // After the last keys and values only the rows whose logits are wanted go on.
            if index + 1 == config.layers() && piece.wanted.len() < piece.ids.len() {
                device.keep_rows(config.width, &piece.wanted, &mut work.query);
                device.keep_rows(config.width, &piece.wanted, &mut work.x);
                rows = Rows { positions: &kept.positions, sequences: &kept.sequences, tables };
                adapted = residents.rows(piece.adapters_of(&kept.sequences));
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
            // Parallel branches both read what the layer was given, so the MLP's norm comes before attention is added.
            if config.residual == Residual::Sequential {
                work.attention_output(device, n, config, (index, layer), &adapted);
                work.inner(device, n, config, (index, layer), &adapted);
            } else {
                work.inner(device, n, config, (index, layer), &adapted);
                work.attention_output(device, n, config, (index, layer), &adapted);
            }
            let Linear { weight, bias } = &layer.outer;
            device.project_add(n, &work.inner, weight, bias.as_ref(), &mut work.x);
            adapted.add(device, (index, Site::Outer), &work.inner, 0..config.width, &mut work.x);
        }
    }

    fn logits(&mut self, piece: &Piece, logits: &mut Vec<f32>) {
        let Self { device, config, weights, work, .. } = self;
        // The last layer has left these rows alone, one after the other.
        let rows: Vec<u32> = (0..piece.wanted.len() as u32).collect();
        for rows in rows.chunks(LOGIT_ROWS) {
            let norm = weights.final_norm.with(config.eps);
            device.norm_logits(&work.x, rows, norm, weights.output(), weights.head_bias.as_ref(), &mut work.logits);
            device.append(&work.logits, rows.len() * config.outputs(), logits);
        }
    }
}

impl<D: Device> Work<D> {
    /// What attention found goes through its output matrix into the residual stream.
    fn attention_output(
        &mut self,
        device: &D,
        n: usize,
        config: &Config,
        at: (usize, &Layer<D>),
        adapted: &AdaptedRows<'_, D>,
    ) {
        let (index, layer) = at;
        let Linear { weight, bias } = &layer.attention_output;
        let width = config.width;
        device.project_add(n, &self.attention, weight, bias.as_ref(), &mut self.x);
        adapted.add(device, (index, Site::AttentionOutput), &self.attention, 0..width, &mut self.x);
    }

    /// The residual stream goes through norm, first MLP matrix and activation.
    fn inner(&mut self, device: &D, n: usize, config: &Config, at: (usize, &Layer<D>), adapted: &AdaptedRows<'_, D>) {
        let (index, layer) = at;
        let norm = layer.norm_2.as_ref().unwrap_or(&layer.norm_1).with(config.eps);
        let Linear { weight, bias } = &layer.inner;
        match &mut self.plain {
            Some(plain) if adapted.touch(index, Site::Inner) => {
                device.norm(n, &self.x, norm, &mut plain.branch);
                device.linear(n, &plain.branch, weight, bias.as_ref(), 0..config.inner, &mut self.inner);
                adapted.add(device, (index, Site::Inner), &plain.branch, 0..config.inner, &mut self.inner);
                device.activate(n * config.inner, config.activation, &mut self.inner);
            }
            _ => {
                let (x, inner, activation) = (&self.x, &mut self.inner, config.activation);
                device.norm_linear_activate(n, x, norm, weight, bias.as_ref(), activation, inner);
            }
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
