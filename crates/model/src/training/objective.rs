//! What training drives at: from the log-probabilities of targets to a loss and its derivatives.

use gptneo_device::train::IGNORE;

/// How many tokens an objective must see before it can weigh one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// That token alone: logits are computed once, some rows at a time.
    #[default]
    Token,
    /// The whole batch (preferences compare sequences): the product with the output matrix is done twice, since logits of all rows are
    /// never held at once.
    Batch,
}

/// Rows whose targets have been scored: some of a batch, or with [`Scope::Batch`] all of it.
#[derive(Clone, Copy, Debug)]
pub struct Scored<'a> {
    /// The first row's index in the batch.
    pub first: usize,
    /// Targets, [`IGNORE`] where nothing counts, `[R]`.
    pub targets: &'a [u32],
    /// Log-probability of each target; 0 where ignored. `[R]`.
    pub log_probs: &'a [f32],
    /// Logarithm of each row's sum of exponentials, `[R]`.
    pub log_z: &'a [f32],
}

/// Derivatives of the loss, to be filled; 0 before.
#[derive(Debug)]
pub struct Derivatives<'a> {
    /// By each log-probability, `[R]`.
    pub log_probs: &'a mut [f32],
    /// By each `log_z`, beside its part in the log-probability; `[R]`.
    pub log_z: &'a mut [f32],
}

/// An objective as a value. Reinforcement multiplies log-probabilities by advantages, preferences compare sums over sequences,
/// distillation weighs tokens by a teacher: all need no more than this.
pub trait Objective {
    /// What it must see at once.
    fn scope(&self) -> Scope {
        Scope::Token
    }

    /// Fills the derivatives; returns the loss of these rows.
    fn weigh(&mut self, scored: &Scored<'_>, derivatives: &mut Derivatives<'_>) -> f64;
}

/// The next token, or the label of a classifier: `sum of (-log_prob + z_loss log_z^2)` over targets that count, times `factor`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NextToken {
    /// Usually 1 / (targets that count, in all the batches that one optimiser step adds up).
    pub factor: f32,
    /// Weight of the squared logarithm of the normaliser, 0 for none; 1e-4 in the original GPT-Neo.
    pub z_loss: f32,
}

impl NextToken {
    /// The mean over `counted` tokens.
    pub fn mean(counted: usize) -> Self {
        Self { factor: 1.0 / counted.max(1) as f32, z_loss: 0.0 }
    }
}

impl Objective for NextToken {
    fn weigh(&mut self, scored: &Scored<'_>, derivatives: &mut Derivatives<'_>) -> f64 {
        let mut loss = 0.0;
        for (i, (&log_prob, &log_z)) in scored.log_probs.iter().zip(scored.log_z).enumerate() {
            if scored.targets[i] == IGNORE {
                continue;
            }
            derivatives.log_probs[i] = -self.factor;
            derivatives.log_z[i] = 2.0 * self.z_loss * self.factor * log_z;
            loss += f64::from(self.z_loss) * f64::from(log_z).powi(2) - f64::from(log_prob);
        }
        loss * f64::from(self.factor)
    }
}

/// A value of each row that counts (STS-B's similarity): `sum of (logit - value)^2` times `factor`, for a
/// classifier of one label. The logarithm of the sum over one exponential is its logit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SquaredError<'a> {
    /// What each row's logit should be; read where its target counts, `[N]`.
    pub values: &'a [f32],
    /// Usually 1 / (targets that count, in all the batches that one optimiser step adds up).
    pub factor: f32,
}

impl Objective for SquaredError<'_> {
    fn weigh(&mut self, scored: &Scored<'_>, derivatives: &mut Derivatives<'_>) -> f64 {
        let mut loss = 0.0;
        for (i, (&logit, &value)) in scored.log_z.iter().zip(&self.values[scored.first..]).enumerate() {
            if scored.targets[i] != IGNORE {
                let error = logit - value;
                derivatives.log_z[i] = 2.0 * self.factor * error;
                loss += f64::from(error).powi(2);
            }
        }
        loss * f64::from(self.factor)
    }
}
