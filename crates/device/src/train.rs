//! What a machine can do for training: [`TrainDevice`].
//!
//! Weights, gradients and optimiser states are ranges of a few long buffers, so every operation takes [`View`]s. Matrices are
//! row-major f32. Each forward operation keeps no more than its backward needs; each backward operation is the derivative of
//! its forward and is tested against finite differences by its implementation. `N` is the rows of a batch: tokens of all its
//! segments, flat.
//!
//! The result of every operation is the same for any number of threads: sums over rows run in one order.

mod attention;
mod dropout;
mod optimiser;

pub use attention::{AttentionBackward, AttentionForward, Segments};
pub use dropout::Dropout;
pub use optimiser::{AdaFactor, AdamW, Muon, MuonRoom};

use crate::{Activation, Device, Heads, Pairing, View, ViewMut};

/// Which of the operands of a product are transposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// `A [m, k] B [k, n]`: a gradient through a linear map, `dx = dy W`.
    Plain,
    /// `A [m, k] B [n, k]^T`: a linear map, `y = x W^T`.
    TransposedB,
    /// `A [k, m]^T B [k, n]`: the gradient of a weight, `dW = dy^T x`.
    TransposedA,
}

/// What a result is added to.
#[derive(Clone, Copy, Debug)]
pub enum Base<'a, B> {
    /// Nothing: the output is overwritten.
    Zero,
    /// What the output holds.
    Itself,
    /// Another tensor of the output's shape.
    Other(View<'a, B>),
}

/// Whether a gradient replaces what is there or is added to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// The first of a step.
    Set,
    /// Each further one.
    Add,
}

impl Write {
    /// The same choice for a product.
    pub fn base<'a, B>(self) -> Base<'a, B> {
        match self {
            Write::Set => Base::Zero,
            Write::Add => Base::Itself,
        }
    }
}

/// Arguments of [`TrainDevice::product`].
#[derive(Debug)]
pub struct Product<'a, B> {
    /// Rows of the result.
    pub m: usize,
    /// Columns of the result.
    pub n: usize,
    /// Terms of each sum.
    pub k: usize,
    /// Which operands are transposed.
    pub order: Order,
    /// The first operand.
    pub a: View<'a, B>,
    /// The second operand.
    pub b: View<'a, B>,
    /// Values from one stored row of `a` to the next.
    pub stride_a: usize,
    /// The same for `b`.
    pub stride_b: usize,
    /// The same for the output, and for another base.
    pub stride_out: usize,
    /// Added to every row, `[n]`.
    pub bias: Option<View<'a, B>>,
    /// What the result is added to.
    pub base: Base<'a, B>,
}

impl<'a, B> Product<'a, B> {
    /// A product of dense matrices: no bias, on nothing.
    pub fn dense(order: Order, [m, n, k]: [usize; 3], a: impl Into<View<'a, B>>, b: impl Into<View<'a, B>>) -> Self {
        let (stride_a, stride_b) = match order {
            Order::Plain => (k, n),
            Order::TransposedB => (k, k),
            Order::TransposedA => (m, n),
        };
        let (a, b) = (a.into(), b.into());
        Self { m, n, k, order, a, b, stride_a, stride_b, stride_out: n, bias: None, base: Base::Zero }
    }
}

/// Gradients of a pair of vectors (gain and bias) that lie in one buffer.
#[derive(Debug)]
pub struct NormGradients<'a, B> {
    /// Holds both.
    pub buffer: &'a mut B,
    /// Where the gain's begins, `[C]`, if it is wanted.
    pub gain: Option<usize>,
    /// Where the bias's begins, `[C]`, if it is wanted.
    pub bias: Option<usize>,
    /// Set or add.
    pub write: Write,
}

/// Arguments of [`TrainDevice::norm_backward`].
#[derive(Debug)]
pub struct NormBackward<'a, B> {
    /// N.
    pub rows: usize,
    /// C.
    pub width: usize,
    /// What was normalised, `[N, C]`.
    pub x: View<'a, B>,
    /// Mean and reciprocal deviation of each row, `[N, 2]`.
    pub stats: View<'a, B>,
    /// `[C]`.
    pub gain: View<'a, B>,
    /// Gradient of the output, `[N, C]`.
    pub dy: View<'a, B>,
}

/// Where embeddings come from, and which rows.
#[derive(Debug)]
pub struct Embed<'a, B> {
    /// Token of each row, `[N]`.
    pub ids: &'a [u32],
    /// Position of each row, `[N]`.
    pub positions: &'a [u32],
    /// C.
    pub width: usize,
    /// `[V, C]`.
    pub table: View<'a, B>,
    /// `[positions, C]`, where positions are learned.
    pub position_table: Option<View<'a, B>>,
}

/// Rotary embedding of the queries and keys of `[N, 3 C]`.
#[derive(Debug)]
pub struct Turn<'a, B> {
    /// H and D.
    pub heads: Heads,
    /// `[positions, dims]`: for each position `dims / 2` cosines, then as many sines.
    pub table: &'a B,
    /// Rotated channels of each head.
    pub dims: usize,
    /// Which channels form a pair.
    pub pairing: Pairing,
    /// Position of each row, `[N]`.
    pub positions: &'a [u32],
    /// Whether to turn back, which is the backward operation.
    pub back: bool,
}

/// Log-probabilities of the targets of some rows, on the host.
#[derive(Debug)]
pub struct LogProbs<'a> {
    /// `logits[i][targets[i]] - log_z[i]`, `[R]`.
    pub log_probs: &'a mut [f32],
    /// Logarithm of the sum of the exponentials of all logits, `[R]`.
    pub log_z: &'a mut [f32],
}

/// Arguments of [`TrainDevice::logit_gradients`].
#[derive(Clone, Copy, Debug)]
pub struct LogitGradients<'a> {
    /// V.
    pub vocab: usize,
    /// `[R]`.
    pub targets: &'a [u32],
    /// As [`TrainDevice::log_probs`] gave them, `[R]`.
    pub log_z: &'a [f32],
    /// Derivative of the loss by each row's log-probability, `[R]`.
    pub d_log_probs: &'a [f32],
    /// Derivative of the loss by each row's `log_z` beside that, `[R]`.
    pub d_log_z: &'a [f32],
}

/// A machine that can train.
///
/// # Panics
/// Operations panic if a tensor does not lie within its buffer, or an id within its table: those are faults of the caller,
/// which checked what came from outside.
pub trait TrainDevice: Device {
    /// Bytes of scratch that the operations keep, for the plan of a run: attention over segments of at most `longest` rows, and
    /// products of at most these `[m, n, k]`.
    fn training_scratch(&self, longest: usize, heads: Heads, products: &[[usize; 3]]) -> usize;

    // ---- linear maps

    /// `out = base + op(A) op(B) + bias`, `out: [m, n]`.
    fn product(&self, args: Product<'_, Self::Buffer>, out: ViewMut<'_, Self::Buffer>);
    /// `out (+)= sum over rows of x`, `x: [rows, width]`, `out: [width]`: the gradient of a bias.
    fn column_sums(
        &self,
        rows: usize,
        width: usize,
        x: View<'_, Self::Buffer>,
        write: Write,
        out: ViewMut<'_, Self::Buffer>,
    );

    // ---- embedding, norm, activation

    /// `out[i] = table[ids[i]] + position_table[positions[i]]`, `out: [N, C]`.
    fn embed_rows(&self, args: Embed<'_, Self::Buffer>, out: ViewMut<'_, Self::Buffer>);
    /// `table[ids[i]] += dy[i]` in the order of the rows, `dy: [N, C]`.
    fn scatter_add(&self, ids: &[u32], width: usize, dy: View<'_, Self::Buffer>, table: ViewMut<'_, Self::Buffer>);
    /// `out = norm(x)`, both `[rows, C]`; the mean and reciprocal deviation of each row go to `stats: [rows, 2]`.
    fn norm_forward(
        &self,
        rows: usize,
        width: usize,
        x: View<'_, Self::Buffer>,
        norm: NormViews<'_, Self::Buffer>,
        out: ViewMut<'_, Self::Buffer>,
        stats: ViewMut<'_, Self::Buffer>,
    );
    /// `dx (+)= norm'(x)^T dy`; the gradients of gain and bias where wanted.
    fn norm_backward(
        &self,
        args: NormBackward<'_, Self::Buffer>,
        write: Write,
        dx: ViewMut<'_, Self::Buffer>,
        gradients: Option<NormGradients<'_, Self::Buffer>>,
    );
    /// `out = activation(x)` over `len` values.
    fn activate_forward(
        &self,
        len: usize,
        activation: Activation,
        x: View<'_, Self::Buffer>,
        out: ViewMut<'_, Self::Buffer>,
    );
    /// `d = d activation'(x)` over `len` values.
    fn activate_backward(
        &self,
        len: usize,
        activation: Activation,
        x: View<'_, Self::Buffer>,
        d: ViewMut<'_, Self::Buffer>,
    );
    /// Turns the queries and keys of `qkv: [N, 3 C]` in place.
    fn turn(&self, args: Turn<'_, Self::Buffer>, qkv: ViewMut<'_, Self::Buffer>);

    // ---- attention

    /// Causal attention within segments; what [`TrainDevice::attention_backward`] needs beside `qkv` goes to `log_sums`.
    fn attention_forward(
        &self,
        args: AttentionForward<'_, Self::Buffer>,
        out: ViewMut<'_, Self::Buffer>,
        log_sums: ViewMut<'_, Self::Buffer>,
    );
    /// Writes the gradient of queries, keys and values, `d_qkv: [N, 3 C]`; probabilities are computed afresh.
    fn attention_backward(&self, args: AttentionBackward<'_, Self::Buffer>, d_qkv: ViewMut<'_, Self::Buffer>);

    // ---- dropout

    /// `out = base + mask(x) / (1 - probability)`, `[rows, width]`; forward and backward alike, since the mask depends on the
    /// key and the place of an element alone.
    fn drop_out(
        &self,
        rows: usize,
        width: usize,
        dropout: Dropout,
        x: View<'_, Self::Buffer>,
        base: Base<'_, Self::Buffer>,
        out: ViewMut<'_, Self::Buffer>,
    );

    // ---- loss

    /// Log-probabilities of `targets` (`[R]`) under `logits: [R, V]`. A target of [`IGNORE`] has log-probability 0.
    fn log_probs(&self, vocab: usize, targets: &[u32], logits: View<'_, Self::Buffer>, out: LogProbs<'_>);
    /// Logits become the derivative of the loss by them: `d_log_prob (onehot - p) + d_log_z p` (`p` the softmax).
    fn logit_gradients(&self, args: LogitGradients<'_>, logits: ViewMut<'_, Self::Buffer>);

    // ---- whole vectors

    /// Sets `len` values.
    fn fill(&self, len: usize, value: f32, out: ViewMut<'_, Self::Buffer>);
    /// Multiplies `len` values.
    fn scale(&self, len: usize, factor: f32, out: ViewMut<'_, Self::Buffer>);
    /// `out += factor x` over `len` values.
    fn add_scaled(&self, len: usize, factor: f32, x: View<'_, Self::Buffer>, out: ViewMut<'_, Self::Buffer>);
    /// Copies `len` values.
    fn copy(&self, len: usize, x: View<'_, Self::Buffer>, out: ViewMut<'_, Self::Buffer>);
    /// Sum of squares of `len` values, in f64; NaN or infinite where a value is.
    fn sum_of_squares(&self, len: usize, x: View<'_, Self::Buffer>) -> f64;

    // ---- optimiser steps

    /// One step of AdamW over `len` values; the four vectors may lie anywhere.
    fn adam_w(
        &self,
        len: usize,
        step: AdamW,
        gradient: View<'_, Self::Buffer>,
        weight: ViewMut<'_, Self::Buffer>,
        first: ViewMut<'_, Self::Buffer>,
        second: ViewMut<'_, Self::Buffer>,
    );
    /// One step of Adafactor over a matrix `[rows, cols]` or, with one row, a vector. `state`: [`AdaFactor::state_len`].
    fn ada_factor(
        &self,
        rows: usize,
        cols: usize,
        step: AdaFactor,
        gradient: View<'_, Self::Buffer>,
        weight: ViewMut<'_, Self::Buffer>,
        state: ViewMut<'_, Self::Buffer>,
    );
    /// One step of Muon over a matrix `[rows, cols]`. `momentum: [rows, cols]`; the room may be for a larger matrix.
    #[allow(clippy::too_many_arguments, reason = "one fused operation, each argument a tensor")]
    fn muon(
        &self,
        rows: usize,
        cols: usize,
        step: Muon,
        gradient: View<'_, Self::Buffer>,
        weight: ViewMut<'_, Self::Buffer>,
        momentum: ViewMut<'_, Self::Buffer>,
        room: &mut MuonRoom<Self::Buffer>,
    );
}

/// A target that counts for nothing: padding, prompts.
pub const IGNORE: u32 = u32::MAX;

/// A layer norm whose gain and bias are parts of longer buffers.
#[derive(Debug)]
pub struct NormViews<'a, B> {
    /// `[C]`.
    pub gain: View<'a, B>,
    /// `[C]`.
    pub bias: View<'a, B>,
    /// Added to the variance.
    pub eps: f32,
}
