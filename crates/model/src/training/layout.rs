//! Where each parameter lies: one flat vector for what is trained, one for what is frozen, both in the order in which the backward
//! pass finishes gradients.

use std::collections::HashMap;
use std::ops::Range;

use crate::config::Config;
use crate::family::{Role, roles};

use super::error::TrainError;
use super::options::Trainable;

/// What a parameter is, for optimisers that treat kinds differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A matrix of a linear map inside a layer.
    Matrix,
    /// Token or position embeddings, and the output matrix or a classifier's head.
    Embedding,
    /// Gain or bias of a layer norm.
    Norm,
    /// Bias of a linear map.
    Bias,
}

/// What a slot is of the matrix that its role names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Part {
    /// The parameter itself.
    #[default]
    Whole,
    /// A of an adapter beside it, `[r, C]`.
    Down,
    /// B of an adapter beside it, `[O, r]`.
    Up,
}

/// One parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Its name in a Hugging Face checkpoint, or in PEFT's.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// Which layer's.
    pub layer: Option<usize>,
    /// Itself, or a factor of an adapter beside it.
    pub part: Part,
    /// `[O, C]` of a matrix, `[len]` of a vector, as they lie here: outputs are rows whatever the checkpoint does.
    pub shape: Vec<usize>,
    /// How optimisers see it.
    pub kind: Kind,
    /// Whether it is trained: which of the two vectors it lies in.
    pub trained: bool,
    /// Where it lies in that vector; the gradients have the ranges of the trained one.
    pub range: Range<usize>,
}

/// Every parameter of a network, in the order in which their gradients are finished: output matrix (if not tied) or a classifier's head, final norm, layers from
/// last to first, position embeddings, token embeddings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    slots: Vec<Slot>,
    index: HashMap<(Role, Option<usize>, Part), usize>,
    trained: usize,
    frozen: usize,
}

impl Layout {
    /// The layout of a model of which some parameters are trained.
    ///
    /// # Errors
    /// If a name or an adapter's target is none of the model's, nothing is trained, or only some of a layer's query, key and value.
    pub fn new(config: &Config, trainable: &Trainable) -> Result<Self, TrainError> {
        let mut ordered: Vec<(Role, Option<usize>)> = roles(config).collect();
        ordered.sort_by_key(|&(role, layer)| order(config, role, layer));
        let (mut slots, mut index, mut ends) = (Vec::new(), HashMap::new(), [0, 0]);
        for (role, layer) in ordered {
            let (name, _) = config.family.hf_name(role, layer).expect("roles come from the family's table");
            let trained = trainable.includes(role, &name);
            let (rows, cols) = role.shape(config);
            let end = &mut ends[usize::from(trained)];
            let range = *end..*end + rows * cols.unwrap_or(1);
            *end = range.end;
            index.insert((role, layer, Part::Whole), slots.len());
            let shape = std::iter::once(rows).chain(cols).collect();
            let whole = Slot { name, role, layer, part: Part::Whole, shape, kind: kind(role), trained, range };
            let adapters = trainable.adapters().filter(|adapters| layer.is_some() && adapters.targets.contains(&role));
            let factors =
                adapters.zip(cols).map(|(adapters, cols)| factors(&whole, rows, cols, adapters.rank, &mut ends[1]));
            slots.push(whole);
            for factor in factors.into_iter().flatten() {
                index.insert((role, layer, factor.part), slots.len());
                slots.push(factor);
            }
        }
        let [frozen, trained] = ends;
        let layout = Self { slots, index, trained, frozen };
        if let Trainable::Named(names) = trainable
            && let Some(unknown) = names.iter().find(|&name| layout.slots.iter().all(|slot| slot.name != *name))
        {
            return Err(TrainError::UnknownParameter(unknown.clone(), layout.slots[0].name.clone()));
        }
        if let Some(adapters) = trainable.adapters() {
            for &target in &adapters.targets {
                if layout.place_of(target, Some(0), Part::Down).is_none() {
                    return Err(TrainError::NoTarget(target, config.family));
                }
            }
        }
        if trained == 0 {
            return Err(TrainError::NothingTrained);
        }
        for layer in 0..config.layers() {
            let of = |role| layout.find(role, Some(layer)).map(|slot| slot.trained);
            if of(Role::Query) != of(Role::Key) || of(Role::Key) != of(Role::Value) {
                return Err(TrainError::SplitQkv(layer));
            }
        }
        Ok(layout)
    }

    /// Every parameter, in order.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The trained ones, in order: their ranges follow each other from 0 to [`Layout::trained`].
    pub fn trained_slots(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter().filter(|slot| slot.trained)
    }

    /// Values of the trained vector.
    pub fn trained(&self) -> usize {
        self.trained
    }

    /// Values of the frozen vector.
    pub fn frozen(&self) -> usize {
        self.frozen
    }

    /// The parameter of a role.
    pub fn find(&self, role: Role, layer: Option<usize>) -> Option<&Slot> {
        self.place(role, layer).map(|i| &self.slots[i])
    }

    pub(super) fn place(&self, role: Role, layer: Option<usize>) -> Option<usize> {
        self.place_of(role, layer, Part::Whole)
    }

    pub(super) fn place_of(&self, role: Role, layer: Option<usize>, part: Part) -> Option<usize> {
        self.index.get(&(role, layer, part)).copied()
    }

    /// The trained values of a layer, or of the embeddings or the head: what becomes ready together.
    pub(super) fn trained_range(&self, of: impl Fn(&Slot) -> bool) -> Range<usize> {
        let mut ranges = self.trained_slots().filter(|slot| of(slot)).map(|slot| slot.range.clone());
        let Some(first) = ranges.next() else { return 0..0 };
        ranges.fold(first, |all, next| {
            debug_assert_eq!(all.end, next.start, "parameters that become ready together lie together");
            all.start..next.end
        })
    }
}

/// The factors of an adapter beside a matrix `[rows, cols]`, at `end` of the trained vector.
fn factors(whole: &Slot, rows: usize, cols: usize, rank: usize, end: &mut usize) -> [Slot; 2] {
    [(Part::Down, "lora_A", rank, cols), (Part::Up, "lora_B", rows, rank)].map(|(part, side, rows, cols)| {
        let range = *end..*end + rows * cols;
        *end = range.end;
        let name = format!("base_model.model.{}.{side}.weight", whole.name.trim_end_matches(".weight"));
        Slot { name, part, shape: vec![rows, cols], trained: true, range, ..whole.clone() }
    })
}

/// The place of a parameter in the order of the backward pass.
fn order(config: &Config, role: Role, layer: Option<usize>) -> (usize, usize) {
    let group = match (role, layer) {
        (_, Some(layer)) => config.layers() - layer,
        (Role::Positions | Role::Embedding, None) => config.layers() + 1,
        (_, None) => 0,
    };
    let within = match role {
        Role::Head => 0,
        Role::HeadBias => 1,
        Role::FinalGain => 2,
        Role::FinalBias => 3,
        Role::Outer => 4,
        Role::OuterBias => 5,
        Role::Inner => 6,
        Role::InnerBias => 7,
        Role::Norm2Gain => 8,
        Role::Norm2Bias => 9,
        Role::AttentionOutput => 10,
        Role::AttentionOutputBias => 11,
        // These three in this order are one matrix `[3 C, C]`.
        Role::Query => 12,
        Role::Key => 13,
        Role::Value => 14,
        Role::Qkv => 15,
        Role::QkvBias => 16,
        Role::Norm1Gain => 17,
        Role::Norm1Bias => 18,
        Role::Positions => 19,
        Role::Embedding => 20,
        // Alone where the output matrix and its bias would be.
        Role::Score => 0,
    };
    (group, within)
}

fn kind(role: Role) -> Kind {
    match role {
        Role::Embedding | Role::Positions | Role::Head | Role::Score => Kind::Embedding,
        Role::Norm1Gain | Role::Norm1Bias | Role::Norm2Gain | Role::Norm2Bias | Role::FinalGain | Role::FinalBias => {
            Kind::Norm
        }
        Role::QkvBias | Role::AttentionOutputBias | Role::InnerBias | Role::OuterBias | Role::HeadBias => Kind::Bias,
        Role::Query | Role::Key | Role::Value | Role::Qkv | Role::AttentionOutput | Role::Inner | Role::Outer => {
            Kind::Matrix
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shapes;

    #[test]
    fn covers_every_parameter_once_last_layers_first() {
        for name in ["gpt2", "gpt-neo-125m", "gpt-j-6b", "pythia-160m"] {
            let config = shapes::config(name).unwrap();
            let layout = Layout::new(&config, &Trainable::All).unwrap();
            assert_eq!(layout.trained() as u64, config.parameters(), "{name}");
            let mut end = 0;
            for slot in layout.slots() {
                assert_eq!(slot.range.start, end, "{name} {}", slot.name);
                assert_eq!(slot.range.len(), slot.shape.iter().product::<usize>());
                end = slot.range.end;
            }
            let start = |layer| layout.find(Role::Inner, Some(layer)).unwrap().range.start;
            assert!(start(11) < start(10) && start(1) < start(0), "{name}");
            assert_eq!(layout.slots().last().unwrap().role, Role::Embedding);
        }
    }

    #[test]
    fn frozen_parameters_lie_apart_and_unknown_names_are_refused() {
        let config = shapes::config("gpt-neo-125m").unwrap();
        let name = "transformer.h.3.mlp.c_fc.weight";
        let named = |name: &str| Trainable::Named([name.to_owned()].into());
        let layout = Layout::new(&config, &named(name)).unwrap();
        assert_eq!(layout.trained(), 768 * 3072);
        assert_eq!((layout.trained() + layout.frozen()) as u64, config.parameters());
        assert_eq!(layout.trained_slots().next().unwrap().name, name);
        let refused = Layout::new(&config, &named("transformer.h.12.mlp.c_fc.weight"));
        assert!(matches!(refused, Err(TrainError::UnknownParameter(..))));
        let split = Layout::new(&config, &named("transformer.h.3.attn.attention.q_proj.weight"));
        assert!(matches!(split, Err(TrainError::SplitQkv(3))));
        assert!(matches!(Layout::new(&config, &Trainable::Named([].into())), Err(TrainError::NothingTrained)));
    }
}
