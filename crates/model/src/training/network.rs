//! A network in training: parameters, gradients, working memory, and the step.

use std::cell::RefCell;
use std::ops::Range;

use gptneo_device::train::{Base, Embed, TrainDevice, Write};
use gptneo_device::{Device, View, ViewMut};

use crate::config::{Config, Position};
use crate::load::rotary_table;

use super::batch::Batch;
use super::error::TrainError;
use super::head::Scores;
use super::layout::{Layout, Slot};
use super::low_rank::LowRankRoom;
use super::map::Map;
use super::objective::Objective;
use super::options::{Dropouts, Recompute, TrainOptions, Trainable};
use super::pass::{Gradients, Pass, Site};
use super::plan::Plan;
use super::room::{Room, Sizes};

/// Which masks dropout draws: the same key gives the same masks, on any number of threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepKey {
    /// Of the run.
    pub seed: u64,
    /// Different for every batch of the run, those of one accumulated step among them.
    pub number: u64,
}

/// Told of every finished range of the gradients: the device, the gradients, the range.
pub type OnReady<'a, D> = dyn FnMut(&D, &<D as Device>::Buffer, Range<usize>) + 'a;

/// Shown the logits of a row: its index in the batch, and V of them, or as many as a classifier has labels.
pub type OnLogits<'a> = dyn FnMut(usize, &[f32]) + 'a;

/// What a step found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// The objective's loss.
    pub loss: f64,
    /// Sum of `-log_prob` over the targets that count, in nats.
    pub nll: f64,
    /// Targets that count.
    pub counted: usize,
}

/// Weights and gradients: three flat vectors that the [`Layout`] divides.
#[derive(Debug)]
pub struct Parameters<D: TrainDevice> {
    /// Trained weights.
    pub trained: D::Buffer,
    /// Frozen weights.
    pub frozen: D::Buffer,
    /// Gradients of the trained weights, at the same places.
    pub gradients: D::Buffer,
}

/// A network in training.
#[derive(Debug)]
pub struct Network<D: TrainDevice> {
    device: D,
    config: Config,
    options: TrainOptions,
    layout: Layout,
    map: Map,
    parameters: Parameters<D>,
    room: Room<D>,
    scores: Scores,
    plan: Plan,
    low_rank: RefCell<LowRankRoom<D>>,
}

impl<D: TrainDevice> Network<D> {
    /// A network with all weights 0 ([`Network::load`] or [`Network::initialise`] gives it some) and all its memory.
    ///
    /// # Errors
    /// If the options make no network, or the device has no room.
    pub fn new(device: D, config: Config, options: TrainOptions) -> Result<Self, TrainError> {
        options.check()?;
        let layout = Layout::new(&config, &options.trainable)?;
        let map = Map::new(&config, &layout, options.trainable.adapters());
        let sizes = Sizes::new(&config, &map, &options);
        let plan = sizes.plan(&device, &config, options.longest, [layout.trained(), layout.frozen()]);
        let parameters = Parameters {
            trained: device.buffer(layout.trained())?,
            frozen: device.buffer(layout.frozen())?,
            gradients: device.buffer(layout.trained())?,
        };
        let low_rank = RefCell::new(LowRankRoom::new(&device, sizes.low_rank)?);
        let mut room = Room::new(&device, sizes)?;
        if let (Position::Rotary { dims, base, .. }, Some(buffer)) = (config.position, &mut room.work.rotary) {
            device.write(buffer, 0, &rotary_table(config.positions, dims, base));
        }
        Ok(Self { device, config, options, layout, map, parameters, room, scores: Scores::default(), plan, low_rank })
    }

    /// The device.
    pub fn device(&self) -> &D {
        &self.device
    }

    /// The architecture.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Where each parameter lies.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// What the network takes.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Weights and gradients.
    pub fn parameters(&self) -> &Parameters<D> {
        &self.parameters
    }

    /// The device, the layout, and weights and gradients to change: for optimisers and reductions.
    pub fn parts(&mut self) -> (&D, &Layout, &mut Parameters<D>) {
        (&self.device, &self.layout, &mut self.parameters)
    }

    /// What is trained.
    pub fn trainable(&self) -> &Trainable {
        &self.options.trainable
    }

    /// What a slot lies in, to be read.
    pub(super) fn slot_buffer(&self, slot: &Slot) -> &D::Buffer {
        if slot.trained { &self.parameters.trained } else { &self.parameters.frozen }
    }

    /// Writes the values of a slot.
    pub(super) fn write_slot(&mut self, place: usize, values: &[f32]) {
        let Slot { trained, range, .. } = &self.layout.slots()[place];
        assert_eq!(values.len(), range.len(), "the values of {}", self.layout.slots()[place].name);
        let buffer = if *trained { &mut self.parameters.trained } else { &mut self.parameters.frozen };
        self.device.write(buffer, range.start, values);
    }

    /// The loss of a batch, and its gradients: set, or added to what earlier batches gave.
    ///
    /// `on_ready(device, gradients, range)` is called as soon as a range of the gradients is finished; the ranges come in order
    /// and cover all. It may start to send them.
    ///
    /// # Errors
    /// If the batch is not one that the network takes; then nothing has changed.
    pub fn step(
        &mut self,
        batch: &Batch<'_>,
        objective: &mut dyn Objective,
        key: StepKey,
        write: Write,
        on_ready: &mut OnReady<'_, D>,
    ) -> Result<Outcome, TrainError> {
        batch.check(&self.config, &self.options)?;
        let Self { device, config, options, layout, map, parameters, room, scores, low_rank, .. } = self;
        let Parameters { trained, frozen, gradients } = parameters;
        let dropouts = options.dropout;
        let pass =
            Pass { device, config, layout, map, trained, frozen, batch: *batch, key: Some(key), dropouts, low_rank };
        let mut gradients = Gradients { buffer: gradients, write };
        pass.forward(room, options.recompute);

        let Room { sizes, inputs, states, work } = room;
        let loss = pass.head(sizes.head_rows, objective, work, scores, &mut gradients);
        let last = inputs.last().expect("the last layer has an output");
        pass.norm_back_onto(
            map.final_norm,
            last,
            &work.final_stats,
            &work.d_normed,
            Write::Set,
            (&mut work.d_x).into(),
            &mut gradients,
        );
        let mut ready = |buffer: &D::Buffer, range: Range<usize>| {
            if !range.is_empty() {
                on_ready(device, buffer, range);
            }
        };
        let after_layers = |slot: &Slot| slot.layer.is_none() && !is_embedding(slot, map, layout);
        ready(gradients.buffer, layout.trained_range(after_layers));
        for index in (map.floor..config.layers()).rev() {
            let x = &inputs[input_of(map.floor, index)];
            let state = &mut states[state_of(map.floor, index, options.recompute)];
            if options.recompute == Recompute::Layers {
                pass.layer_forward(index, x, state, work, None);
            }
            pass.layer_backward(index, x, state, work, &mut gradients);
            ready(gradients.buffer, layout.trained_range(|slot| slot.layer == Some(index)));
        }
        if map.trains_embeddings {
            pass.embed_backward(work, &mut gradients);
        }
        ready(gradients.buffer, layout.trained_range(|slot| is_embedding(slot, map, layout)));
        Ok(Outcome { loss, ..outcome(batch, scores) })
    }

    /// Scores the targets of a batch without dropout or gradients; [`Network::log_probs`] has them then. The loss is the mean.
    ///
    /// # Errors
    /// If the batch is not one that the network takes.
    pub fn evaluate(&mut self, batch: &Batch<'_>) -> Result<Outcome, TrainError> {
        self.evaluated(batch, None)
    }

    /// The same, and `see` is shown the logits of each row whose target counts, in order: from those of a classifier come
    /// its accuracy, or (one logit, whose log-probability is always 0) the values that it predicts.
    ///
    /// # Errors
    /// As there.
    pub fn evaluate_logits(&mut self, batch: &Batch<'_>, see: &mut OnLogits<'_>) -> Result<Outcome, TrainError> {
        self.evaluated(batch, Some(see))
    }

    fn evaluated(&mut self, batch: &Batch<'_>, see: Option<&mut OnLogits<'_>>) -> Result<Outcome, TrainError> {
        batch.check(&self.config, &self.options)?;
        let Self { device, config, options, layout, map, parameters, room, scores, low_rank, .. } = self;
        let Parameters { trained, frozen, .. } = parameters;
        let dropouts = Dropouts::default();
        let pass = Pass { device, config, layout, map, trained, frozen, batch: *batch, key: None, dropouts, low_rank };
        pass.forward(room, options.recompute);
        pass.score(room.sizes.head_rows, &mut room.work, scores, see);
        let found = outcome(batch, scores);
        Ok(Outcome { loss: found.nll / found.counted.max(1) as f64, ..found })
    }

    /// Log-probability of each target of the last batch, 0 where ignored.
    pub fn log_probs(&self) -> &[f32] {
        &self.scores.log_probs
    }
}

fn outcome(batch: &Batch<'_>, scores: &Scores) -> Outcome {
    let nll = scores.log_probs.iter().map(|&l| -f64::from(l)).sum();
    Outcome { loss: 0.0, nll, counted: batch.counted() }
}

/// Token and position embeddings, whose gradients are finished last.
fn is_embedding(slot: &Slot, map: &Map, layout: &Layout) -> bool {
    let is = |place: usize| layout.slots()[place].name == slot.name;
    is(map.embedding) || map.positions.is_some_and(is)
}

/// The buffer of a layer's input: two in turn below the floor, then one each.
fn input_of(floor: usize, index: usize) -> usize {
    if index < floor { (floor - index - 1) % 2 } else { index - floor + floor.min(2) }
}

/// The set of activations of a layer: one for all, or one for all below the floor and then one each.
fn state_of(floor: usize, index: usize, recompute: Recompute) -> usize {
    match recompute {
        Recompute::Layers => 0,
        Recompute::Nothing => (index + 1).saturating_sub(floor) - usize::from(floor == 0),
    }
}

impl<D: TrainDevice> Pass<'_, D> {
    /// From ids to the final norm's output in `work.normed`.
    fn forward(&self, room: &mut Room<D>, recompute: Recompute) {
        let Room { inputs, states, work, .. } = room;
        let floor = self.map.floor;
        self.embed(&mut inputs[input_of(floor, 0)], work);
        for index in 0..self.config.layers() {
            let state = &mut states[state_of(floor, index, recompute)];
            let [x, out] = inputs
                .get_disjoint_mut([input_of(floor, index), input_of(floor, index + 1)])
                .expect("a layer's input and output are two buffers");
            self.layer_forward(index, x, state, work, Some(out));
        }
        let last = inputs.last().expect("the last layer has an output");
        self.normalise(self.map.final_norm, last, &mut work.normed, &mut work.final_stats);
    }

    fn embed(&self, out: &mut D::Buffer, work: &mut super::room::Work<D>) {
        let (rows, width) = (self.rows(), self.config.width);
        let args = Embed {
            ids: self.batch.ids,
            positions: self.batch.positions,
            width,
            table: self.view(self.map.embedding),
            position_table: self.map.positions.map(|place| self.view(place)),
        };
        match self.dropout(Site::Embedding) {
            None => self.device.embed_rows(args, out.into()),
            Some(dropout) => {
                self.device.embed_rows(args, (&mut work.d_x).into());
                self.device.drop_out(rows, width, dropout, (&work.d_x).into(), Base::Zero, out.into());
            }
        }
    }

    fn embed_backward(&self, work: &mut super::room::Work<D>, gradients: &mut Gradients<'_, D>) {
        let (rows, width) = (self.rows(), self.config.width);
        let mut d = View::from(&work.d_x);
        if let Some(dropout) = self.dropout(Site::Embedding) {
            self.device.drop_out(rows, width, dropout, d, Base::Zero, (&mut work.d_normed).into());
            d = View::from(&work.d_normed);
        }
        let tables = [(Some(self.map.embedding), self.batch.ids), (self.map.positions, self.batch.positions)];
        for (place, ids) in tables {
            let Some(place) = place.filter(|&place| self.trains(place)) else { continue };
            let range = self.layout.slots()[place].range.clone();
            // A tied output matrix has written its part before.
            if gradients.write == Write::Set && place != self.map.head.weight {
                self.device.fill(range.len(), 0.0, ViewMut::at(gradients.buffer, range.start));
            }
            self.device.scatter_add(ids, width, d, ViewMut::at(gradients.buffer, range.start));
        }
    }
}
