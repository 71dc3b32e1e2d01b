//! The numbers of one optimiser step.

use crate::{Device, DeviceError};

/// AdamW (Loshchilov and Hutter, 2019), as PyTorch computes it: with `g = gradient_scale gradient`,
/// `m = beta_1 m + (1 - beta_1) g`, `v = beta_2 v + (1 - beta_2) g^2`,
/// `w = w (1 - rate decay) - rate (m / correction_1) / (sqrt(v / correction_2) + eps)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// Learning rate.
    pub rate: f32,
    /// Decay of the first moment.
    pub beta_1: f32,
    /// Decay of the second moment.
    pub beta_2: f32,
    /// Added to the denominator, after the root.
    pub eps: f32,
    /// Weight decay, decoupled; 0 for norms, biases and embeddings unless asked.
    pub decay: f32,
    /// `1 - beta_1^t`, `t` counted from 1.
    pub correction_1: f32,
    /// `1 - beta_2^t`.
    pub correction_2: f32,
    /// Multiplies the gradient: clipping, and the mean over accumulated batches.
    pub gradient_scale: f32,
}

/// Adafactor (Shazeer and Stern, 2018) without momentum: second moments of a matrix as the product of a vector of rows and one of
/// columns. `u = g^2 + eps_1`; the row and column means decay by `beta_2`; the update `g / sqrt(v)` is divided by
/// `max(1, rms(update) / clip)` and multiplied by the rate, and by `max(eps_2, rms(w))` where `eps_2` is given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdaFactor {
    /// Learning rate.
    pub rate: f32,
    /// Decay of the moments at this step, often `1 - t^-0.8`.
    pub beta_2: f32,
    /// Added to squared gradients.
    pub eps_1: f32,
    /// Least scale of the parameters; `None` for steps that do not follow their scale.
    pub eps_2: Option<f32>,
    /// Largest root mean square of an update.
    pub clip: f32,
    /// Weight decay, decoupled.
    pub decay: f32,
    /// Multiplies the gradient.
    pub gradient_scale: f32,
}

impl AdaFactor {
    /// Values of the state of a matrix (`rows` of row means, then `cols` of column means) or of a vector (`rows == 1`).
    pub const fn state_len(rows: usize, cols: usize) -> usize {
        if rows == 1 { cols } else { rows + cols }
    }
}

/// Muon (Jordan and others, 2024): momentum made orthogonal by five steps of Newton-Schulz with coefficients 3.4445,
/// -4.7750, 2.0315, in f32. `m = momentum m + g`, `u = g + momentum m` (Nesterov),
/// `w = w (1 - rate decay) - rate 0.2 sqrt(max(rows, cols)) orthogonal(u)`: the factor (Liu and others, 2025) gives updates the root mean
/// square of AdamW's, so that both share one rate and schedule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Muon {
    /// Learning rate.
    pub rate: f32,
    /// Decay of the momentum.
    pub momentum: f32,
    /// Weight decay, decoupled.
    pub decay: f32,
    /// Multiplies the gradient.
    pub gradient_scale: f32,
}

/// Working memory of [`TrainDevice::muon`](super::TrainDevice::muon).
#[derive(Debug)]
pub struct MuonRoom<B> {
    /// The update, `[rows, cols]`.
    pub update: B,
    /// The update after a step, `[rows, cols]`.
    pub next: B,
    /// The update times its transpose, of the shorter side squared.
    pub gram: B,
    /// The polynomial of that.
    pub polynomial: B,
}

impl<B> MuonRoom<B> {
    /// Room for matrices of at most this shape; a shape of a larger area or shorter side needs more.
    ///
    /// # Errors
    /// If the device has no room.
    pub fn new<D: Device<Buffer = B>>(device: &D, rows: usize, cols: usize) -> Result<Self, DeviceError> {
        let square = rows.min(cols).pow(2);
        let buffer = |len| device.buffer(len);
        let (update, next) = (buffer(rows * cols)?, buffer(rows * cols)?);
        Ok(Self { update, next, gram: buffer(square)?, polynomial: buffer(square)? })
    }
}
