//! Low-rank adapters (LoRA: Hu et al., 2021): beside a matrix `W`, `W x` becomes `W x + scale B (A x)`.
//!
//! An [`Adapter`] is host data in f32: for each matrix it targets a [`LowRank`] pair. [`Adapter::open`] and [`Adapter::save`] read
//! and write PEFT's directories (`peft`, its settings in `settings`); [`crate::LanguageModel::add_adapter`] takes one into a
//! model, where it belongs to the sequences opened with it; [`Merged`] is a model with the products added to its matrices.
//!
//! An adapter for a classifier brings the classification head that was trained with it, which its base never had: [`Merged`] puts it
//! under the body.
//!
//! Held against PEFT itself in `tests/adapters.rs` and `fixtures/adapters.py`.

mod error;
mod merge;
mod peft;
mod settings;

pub use error::AdapterError;
pub use merge::Merged;
pub(crate) use merge::add;
pub use peft::{SETTINGS_FILE, WEIGHTS_FILE};

use std::collections::BTreeMap;

use crate::classifier::Classifier;
use crate::config::Config;
use crate::family::{Role, roles};

/// What an adapter may stand beside, in the order of a layer.
pub const TARGETS: [Role; 7] =
    [Role::Query, Role::Key, Role::Value, Role::Qkv, Role::AttentionOutput, Role::Inner, Role::Outer];

/// The two factors beside one matrix `[O, C]`.
#[derive(Clone, Debug, PartialEq)]
pub struct LowRank {
    /// r.
    pub rank: usize,
    /// The scale's numerator: see [`Adapter::scale`].
    pub alpha: f32,
    /// A, `[r, C]`.
    pub a: Vec<f32>,
    /// B, `[O, r]`. Of a fused query, key and value the outputs are in thirds, as [`Role::Qkv`] is once loaded.
    pub b: Vec<f32>,
}

/// What holds for a whole adapter.
#[derive(Clone, Debug, PartialEq)]
pub struct AdapterSettings {
    /// The rank of matrices that have no other.
    pub rank: usize,
    /// The alpha of matrices that have no other.
    pub alpha: f32,
    /// Scale by `alpha / sqrt(r)` (Kalajdzievski, 2023) in place of `alpha / r`.
    pub rank_stabilised: bool,
    /// Probability with which inputs of A were dropped in training; nothing here depends on it.
    pub dropout: f32,
    /// The model it was trained on, as its maker named it.
    pub base: Option<String>,
}

impl Default for AdapterSettings {
    fn default() -> Self {
        Self { rank: 8, alpha: 8.0, rank_stabilised: false, dropout: 0.0, base: None }
    }
}

/// Low-rank pairs for some matrices of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Adapter {
    config: Config,
    settings: AdapterSettings,
    /// By layer, and the place of the role in [`TARGETS`].
    pairs: BTreeMap<(usize, usize), LowRank>,
    /// `[labels, C]`.
    score: Option<Vec<f32>>,
}

impl Adapter {
    /// An adapter for models of this configuration that targets nothing yet.
    pub fn new(config: &Config, settings: AdapterSettings) -> Self {
        Self { config: config.clone(), settings, pairs: BTreeMap::new(), score: None }
    }

    /// Puts a pair beside a matrix, in place of one that was there.
    ///
    /// # Errors
    /// If the model has no such matrix, or the lengths are not those of its shape.
    pub fn insert(&mut self, role: Role, layer: usize, pair: LowRank) -> Result<(), AdapterError> {
        let Some(place) = place(&self.config, role, layer) else {
            return Err(AdapterError::NoSuchMatrix { matrix: format!("{role:?} of layer {layer}") });
        };
        let (rows, cols) = shape(&self.config, role);
        let fits = |len, side: usize| pair.rank.checked_mul(side) == Some(len);
        if pair.rank == 0 || !fits(pair.a.len(), cols) || !fits(pair.b.len(), rows) {
            return Err(AdapterError::Misfit {
                matrix: module(&self.config, role, layer),
                wanted: [rows, cols],
                rank: pair.rank,
                found: [pair.b.len(), pair.a.len()],
            });
        }
        self.pairs.insert((layer, place), pair);
        Ok(())
    }

    /// Gives it a classification head `[labels, C]`, in place of one that was there.
    ///
    /// # Errors
    /// If the values do not make as many rows as there are labels, of the configuration's classifier if it is one.
    pub fn insert_score(&mut self, score: Vec<f32>) -> Result<(), AdapterError> {
        check_score(&self.config, &score)?;
        self.score = Some(score);
        Ok(())
    }

    /// The classification head, `[labels, C]`, where it brings one.
    pub fn score(&self) -> Option<&[f32]> {
        self.score.as_deref()
    }

    /// What the model is with this adapter: a classifier, if the adapter brings a head; its labels are the base's, or have no
    /// names, since PEFT keeps none.
    ///
    /// # Errors
    /// If the head does not fit the base.
    pub fn adapted(&self, base: &Config) -> Result<Config, AdapterError> {
        let Some(score) = &self.score else { return Ok(base.clone()) };
        let labels = check_score(base, score)?;
        let classifier = match &base.classifier {
            Some(classifier) => classifier.clone(),
            None => Classifier::unnamed(labels).map_err(|error| AdapterError::Labels { error })?,
        };
        Ok(base.clone().classifying(classifier))
    }

    /// What holds for all of it.
    pub fn settings(&self) -> &AdapterSettings {
        &self.settings
    }

    /// The pair beside a matrix.
    pub fn get(&self, role: Role, layer: usize) -> Option<&LowRank> {
        let place = TARGETS.iter().position(|&target| target == role)?;
        self.pairs.get(&(layer, place))
    }

    /// Every pair, layer by layer.
    pub fn iter(&self) -> impl Iterator<Item = (Role, usize, &LowRank)> {
        self.pairs.iter().map(|(&(layer, place), pair)| (TARGETS[place], layer, pair))
    }

    /// What multiplies `B (A x)`: `alpha / r`, or `alpha / sqrt(r)` where ranks are stabilised.
    pub fn scale(&self, pair: &LowRank) -> f32 {
        let rank = pair.rank as f32;
        pair.alpha / if self.settings.rank_stabilised { rank.sqrt() } else { rank }
    }

    /// Makes it as strong as `factor` says: every alpha is multiplied.
    #[must_use]
    pub fn scaled(mut self, factor: f32) -> Self {
        self.settings.alpha *= factor;
        self.pairs.values_mut().for_each(|pair| pair.alpha *= factor);
        self
    }

    /// Numbers in all pairs, and in the head.
    pub fn parameters(&self) -> u64 {
        let head = self.score.as_ref().map_or(0, Vec::len) as u64;
        self.pairs.values().map(|pair| (pair.a.len() + pair.b.len()) as u64).sum::<u64>() + head
    }

    /// Refuses a model whose matrices have other shapes.
    ///
    /// # Errors
    /// Naming the first matrix that does not fit.
    pub fn check(&self, config: &Config) -> Result<(), AdapterError> {
        for (role, layer, pair) in self.iter() {
            let [rows, cols] = [pair.b.len(), pair.a.len()].map(|len| len / pair.rank);
            let matrix = || module(&self.config, role, layer);
            if place(config, role, layer).is_none() {
                return Err(AdapterError::NoSuchMatrix { matrix: matrix() });
            }
            if shape(config, role) != (rows, cols) {
                let (wanted, rank) = (shape(config, role).into(), pair.rank);
                return Err(AdapterError::Misfit {
                    matrix: matrix(),
                    wanted,
                    rank,
                    found: [pair.b.len(), pair.a.len()],
                });
            }
        }
        self.score.as_ref().map_or(Ok(()), |score| check_score(config, score).map(drop))
    }
}

/// The number of labels that a head has, if it fits the model.
fn check_score(config: &Config, score: &[f32]) -> Result<usize, AdapterError> {
    let labels = score.len() / config.width;
    let wanted = config.classifier.as_ref().map(|classifier| classifier.labels().len());
    if labels * config.width != score.len() || labels == 0 || wanted.is_some_and(|wanted| wanted != labels) {
        return Err(AdapterError::Head { found: score.len(), width: config.width, labels: wanted });
    }
    Ok(labels)
}

/// The matrices of a model that an adapter may target, layer by layer.
fn targets(config: &Config) -> impl Iterator<Item = (Role, usize)> + '_ {
    roles(config).filter_map(|(role, layer)| TARGETS.contains(&role).then_some((role, layer?)))
}

/// PEFT's word for every matrix of the layers.
pub const ALL_LINEAR: &str = "all-linear";

/// The matrices of a layer that names stand for, each once: names of modules as transformers has them, or the ends of such
/// names (`q_proj`), or [`ALL_LINEAR`].
///
/// # Errors
/// For a name of none, with those there are.
pub fn target_roles(config: &Config, names: &[String]) -> Result<Vec<Role>, AdapterError> {
    let modules: Vec<(Role, String)> =
        targets(config).take_while(|(_, layer)| *layer == 0).map(|(role, _)| (role, module(config, role, 0))).collect();
    let mut roles = Vec::new();
    for name in names {
        let named = modules.iter().filter(|(_, module)| name == ALL_LINEAR || settings::names(name, module));
        let mut any = false;
        for (role, _) in named {
            any = true;
            if !roles.contains(role) {
                roles.push(*role);
            }
        }
        if !any {
            let last = |(_, module): &(Role, String)| module.rsplit('.').next().unwrap_or(module).to_owned();
            let known = modules.iter().map(last).collect::<Vec<_>>().join(", ");
            return Err(AdapterError::UnknownTarget { name: name.clone(), family: config.family, known });
        }
    }
    Ok(roles)
}

/// The place of a role in [`TARGETS`], if the model has it in this layer.
fn place(config: &Config, role: Role, layer: usize) -> Option<usize> {
    let has = layer < config.layers() && config.family.table().iter().any(|entry| entry.role == role);
    TARGETS.iter().position(|&target| target == role).filter(|_| has)
}

/// O and C of a target.
fn shape(config: &Config, role: Role) -> (usize, usize) {
    let (rows, cols) = role.shape(config);
    (rows, cols.expect("targets are matrices"))
}

/// What transformers calls the module that holds a target: `transformer.h.0.attn.attention.q_proj`.
fn module(config: &Config, role: Role, layer: usize) -> String {
    let (name, _) = config.family.hf_name(role, Some(layer)).expect("the family's table has its targets");
    name.strip_suffix(".weight").map(str::to_owned).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shapes;

    fn pair(rank: usize, rows: usize, cols: usize) -> LowRank {
        LowRank { rank, alpha: 4.0, a: vec![0.5; rank * cols], b: vec![0.25; rows * rank] }
    }

    #[test]
    fn scales_by_rank_or_its_root() {
        let config = shapes::config("gpt2").unwrap();
        let settings = AdapterSettings::default();
        let stable = AdapterSettings { rank_stabilised: true, ..settings.clone() };
        let pair = pair(16, 1, 1);
        assert_eq!(Adapter::new(&config, settings).scale(&pair), 0.25);
        assert_eq!(Adapter::new(&config, stable).scale(&pair), 1.0);
    }

    #[test]
    fn targets_are_named_as_peft_names_them() {
        let roles = |shape: &str, names: &[&str]| {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            target_roles(&shapes::config(shape).unwrap(), &names)
        };
        use Role::{AttentionOutput, Inner, Key, Outer, Qkv, Query, Value};
        let neo = roles("gpt-neo-125m", &["q_proj", "attention.v_proj", "q_proj"]).unwrap();
        assert_eq!(neo, [Query, Value]);
        let all = roles("gpt-j-6b", &[ALL_LINEAR, "fc_in"]).unwrap();
        assert_eq!(all.len(), 6);
        assert!([Query, Key, Value, AttentionOutput, Inner, Outer].iter().all(|role| all.contains(role)));
        assert_eq!(roles("pythia-14m", &["query_key_value", "dense"]).unwrap(), [Qkv, AttentionOutput]);
        let message = roles("gpt2", &["c_attn", "q_proj"]).unwrap_err().to_string();
        assert!(message.contains("q_proj") && message.contains("c_attn"), "{message}");
    }

    #[test]
    fn refuses_what_the_model_does_not_have() {
        let config = shapes::config("gpt2").unwrap();
        let mut adapter = Adapter::new(&config, AdapterSettings::default());
        let fused = pair(4, 3 * 768, 768);
        adapter.insert(Role::Qkv, 11, fused.clone()).unwrap();
        for (role, layer, pair) in [
            (Role::Qkv, 12, fused.clone()),
            (Role::Query, 0, pair(4, 768, 768)),
            (Role::Embedding, 0, fused.clone()),
            (Role::Outer, 0, fused.clone()),
            (Role::Qkv, 0, LowRank { rank: 0, alpha: 1.0, a: Vec::new(), b: Vec::new() }),
            (Role::Qkv, 0, LowRank { rank: usize::MAX, ..fused.clone() }),
        ] {
            assert!(adapter.insert(role, layer, pair).is_err(), "{role:?} of layer {layer}");
        }
        assert!(adapter.check(&config).is_ok());
        let message = adapter.check(&shapes::config("gpt2-medium").unwrap()).unwrap_err().to_string();
        assert!(message.contains("transformer.h.11.attn.c_attn"), "{message}");
        assert!(adapter.check(&shapes::config("gpt-neo-125m").unwrap()).is_err(), "another family");
    }
}
