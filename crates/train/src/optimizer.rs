//! The optimiser: AdamW, Adafactor or Muon over the flat vector of parameters, each rank keeping the state of its shard.
//!
//! A shard is a range of the trained parameters. With `optimizer.shard` (ZeRO-1: Rajbhandari and others, 2020) every rank
//! updates its own and the weights are gathered afterwards; without, every rank updates all. State is saved by
//! parameter, so a run may go on with another number of ranks.

use std::ops::Range;

use gptneo_device::train::{AdaFactor, AdamW, Muon, MuonRoom, TrainDevice};
use gptneo_device::{Collective, View, ViewMut};
use gptneo_model::training::{Kind as Part, Layout, Parameters, Slot};

use crate::error::TrainError;
use crate::recipe::{Kind, OptimizerRecipe};

/// Values that pass between ranks or to the host at once.
const CHUNK: usize = 1 << 22;

/// How one parameter is updated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    AdamW,
    Adafactor,
    Muon,
}

impl Method {
    fn of(kind: Kind, slot: &Slot) -> Self {
        match kind {
            Kind::AdamW => Method::AdamW,
            Kind::Adafactor => Method::Adafactor,
            Kind::Muon { .. } if slot.kind == Part::Matrix => Method::Muon,
            Kind::Muon { .. } => Method::AdamW,
        }
    }

    /// The names of its states.
    fn fields(self) -> &'static [&'static str] {
        match self {
            Method::AdamW => &["first", "second"],
            Method::Adafactor => &["factors"],
            Method::Muon => &["momentum"],
        }
    }

    /// Whether a parameter may be cut into pieces.
    fn is_elementwise(self) -> bool {
        self == Method::AdamW
    }
}

/// A part of one parameter that one rank updates.
#[derive(Clone, Debug, PartialEq)]
struct Piece {
    /// Index among the trained slots.
    slot: usize,
    /// Where it lies in the flat vector.
    range: Range<usize>,
    method: Method,
    /// Where each of its fields begins in the rank's buffer of that field.
    at: [usize; 2],
    /// Values of each field.
    len: usize,
}

/// One tensor of saved state.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StateTensor {
    /// `first.NAME` and the like.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
}

/// The optimiser of one rank.
#[derive(Debug)]
pub(crate) struct Optimizer<D: TrainDevice> {
    recipe: OptimizerRecipe,
    rank: usize,
    shards: Vec<Range<usize>>,
    pieces: Vec<Vec<Piece>>,
    /// The first and the second field of every piece.
    state: [D::Buffer; 2],
    room: Option<MuonRoom<D::Buffer>>,
}

/// Gives some values of a saved tensor.
pub(crate) type Read<'a> = &'a mut dyn FnMut(&StateTensor, Range<usize>) -> Result<Vec<f32>, TrainError>;

/// What one update needs to know.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Update {
    /// Updates made, this one included: what the bias correction counts.
    pub number: u64,
    /// Learning rate.
    pub rate: f64,
    /// Multiplies the gradient: clipping.
    pub gradient_scale: f64,
}

/// Bytes of optimiser state that the fullest of `ranks` keeps, Muon's scratch included.
pub(crate) fn state_bytes(recipe: &OptimizerRecipe, layout: &Layout, ranks: usize) -> u64 {
    let pieces = |shard: &Range<usize>| state_lens(&cut(recipe, layout, shard)).iter().sum::<usize>();
    let most = shards(recipe, layout, ranks).iter().map(pieces).max().unwrap_or(0);
    let room = muon_shape(recipe, layout).map_or(0, |(rows, cols)| 2 * (rows * cols + rows * rows));
    4 * (most + room) as u64
}

/// The ranges that ranks update: cut anywhere, or between parameters where a parameter must stay whole.
fn shards(recipe: &OptimizerRecipe, layout: &Layout, ranks: usize) -> Vec<Range<usize>> {
    let total = layout.trained();
    if !recipe.shard || ranks == 1 {
        return vec![0..total; ranks];
    }
    let edge = |rank: usize| {
        let wanted = (total as u128 * rank as u128 / ranks as u128) as usize;
        let Some(slot) = layout.trained_slots().find(|slot| slot.range.contains(&wanted)) else { return total };
        match Method::of(recipe.kind, slot) {
            method if method.is_elementwise() => wanted,
            _ if wanted - slot.range.start > slot.range.len() / 2 => slot.range.end,
            _ => slot.range.start,
        }
    };
    (0..ranks).map(|rank| edge(rank)..edge(rank + 1)).collect()
}

fn cut(recipe: &OptimizerRecipe, layout: &Layout, shard: &Range<usize>) -> Vec<Piece> {
    let mut at = [0, 0];
    let mut pieces = Vec::new();
    for (index, slot) in layout.trained_slots().enumerate() {
        let range = slot.range.start.max(shard.start)..slot.range.end.min(shard.end);
        if range.is_empty() {
            continue;
        }
        let method = Method::of(recipe.kind, slot);
        let len = match method {
            Method::AdamW | Method::Muon => range.len(),
            Method::Adafactor => {
                let (rows, cols) = matrix(slot);
                AdaFactor::state_len(rows, cols)
            }
        };
        let piece = Piece { slot: index, range, method, at, len };
        at.iter_mut().take(method.fields().len()).for_each(|at| *at += len);
        pieces.push(piece);
    }
    pieces
}

/// Values of a rank's two buffers.
fn state_lens(pieces: &[Piece]) -> [usize; 2] {
    let of = |field| pieces.iter().filter(|p| p.method.fields().len() > field).map(|p| p.len).sum();
    [of(0), of(1)]
}

/// A shape whose room is enough for every matrix that Muon updates.
fn muon_shape(recipe: &OptimizerRecipe, layout: &Layout) -> Option<(usize, usize)> {
    let matrices = layout.trained_slots().filter(|slot| Method::of(recipe.kind, slot) == Method::Muon).map(matrix);
    let (area, short) =
        matrices.fold((0, 0), |(area, short), (rows, cols)| (area.max(rows * cols), short.max(rows.min(cols))));
    // A matrix has at least its shorter side squared, so the other side is no shorter.
    (short > 0).then(|| (short, area.div_ceil(short)))
}

/// Rows and columns; a vector is one row.
fn matrix(slot: &Slot) -> (usize, usize) {
    match slot.shape[..] {
        [rows, cols] => (rows, cols),
        _ => (1, slot.range.len()),
    }
}

impl<D: TrainDevice> Optimizer<D> {
    /// A new optimiser for one of `ranks`.
    ///
    /// # Errors
    /// If the device has no room for its state.
    pub(crate) fn new(
        device: &D,
        recipe: OptimizerRecipe,
        layout: &Layout,
        rank: usize,
        ranks: usize,
    ) -> Result<Self, TrainError> {
        let shards = shards(&recipe, layout, ranks);
        let pieces: Vec<_> = shards.iter().map(|shard| cut(&recipe, layout, shard)).collect();
        let room = muon_shape(&recipe, layout).map(|(rows, cols)| MuonRoom::new(device, rows, cols)).transpose()?;
        let [first, second] = state_lens(&pieces[rank]);
        let state = [device.buffer(first)?, device.buffer(second)?];
        Ok(Self { recipe, rank, shards, pieces, state, room })
    }

    /// Whether each rank updates a part of the weights alone.
    pub(crate) fn is_sharded(&self) -> bool {
        self.recipe.shard && self.shards.len() > 1
    }

    /// What each rank updates.
    pub(crate) fn shards(&self) -> &[Range<usize>] {
        &self.shards
    }

    /// Updates this rank's shard of the weights.
    pub(crate) fn step(&mut self, device: &D, layout: &Layout, parameters: &mut Parameters<D>, update: Update) {
        let slots: Vec<&Slot> = layout.trained_slots().collect();
        let OptimizerRecipe { kind, beta1, beta2, eps, weight_decay, decay_all, .. } = self.recipe;
        let correction = |beta: f32| (1.0 - f64::from(beta).powf(update.number as f64)) as f32;
        let (rate, gradient_scale) = (update.rate as f32, update.gradient_scale as f32);
        for piece in &self.pieces[self.rank] {
            let slot = slots[piece.slot];
            let decay = if decay_all || slot.kind == Part::Matrix { weight_decay } else { 0.0 };
            let (rows, cols) = matrix(slot);
            let gradient = View::at(&parameters.gradients, piece.range.start);
            let weight = ViewMut::at(&mut parameters.trained, piece.range.start);
            match piece.method {
                Method::AdamW => {
                    let (correction_1, correction_2) = (correction(beta1), correction(beta2));
                    let step = AdamW {
                        rate,
                        beta_1: beta1,
                        beta_2: beta2,
                        eps,
                        decay,
                        correction_1,
                        correction_2,
                        gradient_scale,
                    };
                    let [first, second] = &mut self.state;
                    let (first, second) = (ViewMut::at(first, piece.at[0]), ViewMut::at(second, piece.at[1]));
                    device.adam_w(piece.len, step, gradient, weight, first, second);
                }
                Method::Adafactor => {
                    // The decay of the second moments as the paper has it.
                    let beta_2 = (1.0 - (update.number as f64).powf(-0.8)) as f32;
                    let step = AdaFactor { rate, beta_2, eps_1: 1e-30, eps_2: None, clip: 1.0, decay, gradient_scale };
                    device.ada_factor(rows, cols, step, gradient, weight, ViewMut::at(&mut self.state[0], piece.at[0]));
                }
                Method::Muon => {
                    let Kind::Muon { momentum } = kind else { unreachable!("the method comes from the kind") };
                    let step = Muon { rate, momentum, decay, gradient_scale };
                    let room = self.room.as_mut().expect("made for every matrix");
                    let momentum = ViewMut::at(&mut self.state[0], piece.at[0]);
                    device.muon(rows, cols, step, gradient, weight, momentum, room);
                }
            }
        }
    }

    /// Names and shapes of the whole state.
    pub(crate) fn described(&self, layout: &Layout) -> Vec<StateTensor> {
        described(&self.recipe, layout)
    }

    /// The values of tensor `index` of [`Optimizer::described`], on rank 0. All ranks ask for the same tensors in the same
    /// order; the others get nothing.
    ///
    /// # Errors
    /// If ranks cannot work together.
    pub(crate) fn tensor(
        &self,
        device: &D,
        layout: &Layout,
        ranks: &mut dyn Collective<D>,
        index: usize,
    ) -> Result<Vec<f32>, TrainError> {
        let mut values = Vec::new();
        if self.rank == 0 {
            values.resize(self.described(layout)[index].shape.iter().product(), 0.0);
        }
        let givers = if self.is_sharded() { 0..self.shards.len() } else { 0..1 };
        for giver in givers {
            for (piece, field, at) in fields(&self.pieces[giver]) {
                if place(&self.recipe, layout, piece, field) != index {
                    continue;
                }
                let begin = offset(layout, piece);
                for part in (0..piece.len).step_by(CHUNK).map(|from| from..piece.len.min(from + CHUNK)) {
                    let mine = (self.rank == giver).then(|| View::at(&self.state[field], at + part.start));
                    let to = (self.rank == 0).then(|| &mut values[begin + part.start..begin + part.end]);
                    give(device, ranks, giver, part.len(), mine, to)?;
                }
            }
        }
        Ok(values)
    }

    /// Takes this rank's part of a saved state; `read` gives values of a tensor by name.
    ///
    /// # Errors
    /// Those of `read`.
    pub(crate) fn load(&mut self, device: &D, layout: &Layout, read: Read<'_>) -> Result<(), TrainError> {
        let tensors = described(&self.recipe, layout);
        for (piece, field, at) in fields(&self.pieces[self.rank]) {
            let tensor = &tensors[place(&self.recipe, layout, piece, field)];
            let begin = offset(layout, piece);
            let values = read(tensor, begin..begin + piece.len)?;
            device.write(&mut self.state[field], at, &values);
        }
        Ok(())
    }
}

/// Values of the rank that gives them (`mine`) to the host of rank 0 (`to`).
fn give<D: TrainDevice>(
    device: &D,
    ranks: &mut dyn Collective<D>,
    giver: usize,
    len: usize,
    mine: Option<View<'_, D::Buffer>>,
    to: Option<&mut [f32]>,
) -> Result<(), TrainError> {
    if giver == 0 {
        if let (Some(mine), Some(to)) = (mine, to) {
            device.read(mine.buffer, mine.start, to);
        }
        return Ok(());
    }
    let mut passing = device.buffer(len)?;
    if let Some(mine) = mine {
        device.copy(len, mine, ViewMut::at(&mut passing, 0));
    }
    ranks.broadcast(device, &mut passing, 0..len, giver)?;
    if let Some(to) = to {
        device.read(&passing, 0, to);
    }
    Ok(())
}

/// Every piece's fields: which, and where they lie in the rank's buffer of that field.
fn fields(pieces: &[Piece]) -> impl Iterator<Item = (&Piece, usize, usize)> {
    pieces.iter().flat_map(|piece| (0..piece.method.fields().len()).map(move |field| (piece, field, piece.at[field])))
}

/// Where a piece begins in the tensors of its parameter.
fn offset(layout: &Layout, piece: &Piece) -> usize {
    if piece.method.is_elementwise() {
        let slot = layout.trained_slots().nth(piece.slot).expect("pieces are of trained slots");
        piece.range.start - slot.range.start
    } else {
        0
    }
}

/// The index of a piece's tensor among all.
fn place(recipe: &OptimizerRecipe, layout: &Layout, piece: &Piece, field: usize) -> usize {
    let before = layout.trained_slots().take(piece.slot);
    before.map(|slot| Method::of(recipe.kind, slot).fields().len()).sum::<usize>() + field
}

/// Names and shapes of every tensor of the whole state, in the order of their parameters.
fn described(recipe: &OptimizerRecipe, layout: &Layout) -> Vec<StateTensor> {
    let of = |slot: &Slot| {
        let method = Method::of(recipe.kind, slot);
        let shape = match method {
            Method::AdamW | Method::Muon => slot.shape.clone(),
            Method::Adafactor => {
                let (rows, cols) = matrix(slot);
                vec![AdaFactor::state_len(rows, cols)]
            }
        };
        let name = slot.name.clone();
        method.fields().iter().map(move |field| StateTensor { name: format!("{field}.{name}"), shape: shape.clone() })
    };
    layout.trained_slots().flat_map(of).collect()
}
