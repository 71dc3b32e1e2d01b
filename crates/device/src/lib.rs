//! What a machine can do to numbers: the traits alone.
//!
//! [`Device`] is implemented by `kernels` (the CPU) and, later, by a GPU. The decoder in `model` is written once over
//! it. A device owns three kinds of storage: [`Device::Weight`], a matrix packed however the device likes;
//! [`Device::Buffer`], plain f32 activations; and [`Device::Cache`], the keys and values of one layer in pages.
//!
//! Axis letters, here and everywhere: `N` rows of the batch (tokens of any sequences, flat), `T` time, `C` channels,
//! `H` heads, `D` head size, `V` vocabulary, `L` layers, `O` outputs of a matrix.
//!
//! Operations may be enqueued; [`Device::sync`] waits. Each *fused* operation is defined by its decomposition into
//! the *plain* ones, and agrees with it within the bound its implementation states; the decoder runs the plain ones
//! when a probe is attached.
//!
//! [`TrainDevice`] adds what training needs, over the same buffers; [`Collective`] joins the ranks of a run.
#![forbid(unsafe_code)]

mod bytes;
pub mod collective;
mod dtype;
pub mod train;
mod view;

pub use bytes::Bytes;
pub use collective::{Collective, Single};
pub use dtype::{DType, UnknownDType};
pub use train::TrainDevice;
pub use view::{View, ViewMut};

use std::ops::Range;

/// Positions in one page of a key-value cache; attention also sums in blocks of this many, at absolute multiples.
pub const PAGE: usize = 64;

/// What a device could not do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// The memory was refused.
    #[error("the device has no room for {bytes} more bytes ({what})")]
    OutOfMemory {
        /// What the memory was for.
        what: &'static str,
        /// How much was asked for.
        bytes: usize,
    },
    /// The type cannot be read, or a row does not fill its blocks.
    #[error("a matrix of {dtype} with rows of {cols} values cannot be used here: {why}")]
    UnsupportedType {
        /// The storage type.
        dtype: DType,
        /// The row length.
        cols: usize,
        /// The reason.
        why: &'static str,
    },
}

/// A matrix in host memory, row-major `[rows, cols]`, whose rows are whole blocks of `dtype`.
#[derive(Clone, Debug)]
pub struct Matrix {
    dtype: DType,
    rows: usize,
    cols: usize,
    bytes: Bytes,
}

impl Matrix {
    /// A matrix over `bytes`, or `None` if they are not exactly `rows * cols` values in whole blocks per row.
    pub fn new(dtype: DType, rows: usize, cols: usize, bytes: Bytes) -> Option<Self> {
        let wanted = dtype.bytes_for(cols)?.checked_mul(rows)?;
        (wanted == bytes.len()).then_some(Self { dtype, rows, cols, bytes })
    }

    /// Storage type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Outputs `O`.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Inputs `C`.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// The stored bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

/// The non-linearity between the two matrices of the MLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `0.5 x (1 + erf(x / sqrt(2)))`.
    GeluErf,
    /// `0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))`.
    GeluTanh,
    /// `x * sigmoid(1.702 x)`.
    GeluQuick,
    /// `max(x, 0)`.
    Relu,
    /// `x * sigmoid(x)`.
    Silu,
}

/// Which earlier positions a layer's attention reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reach {
    /// All of them: `j <= i`.
    Global,
    /// The last `window`, itself included: `i - window < j <= i`.
    Local {
        /// Keys seen, at least 1.
        window: usize,
    },
}

impl Reach {
    /// The first position that a query at `position` sees.
    pub fn first_key(self, position: usize) -> usize {
        match self {
            Reach::Global => 0,
            Reach::Local { window } => (position + 1).saturating_sub(window),
        }
    }
}

/// How rotary embedding pairs the channels of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pairing {
    /// Channel `2i` with `2i + 1` (GPT-J).
    Adjacent,
    /// Channel `i` with `i + dims / 2` (GPT-NeoX).
    Halves,
}

/// Rotary position embedding of the first `dims` channels of every head.
#[derive(Debug)]
pub struct Rotary<'a, B> {
    /// `[positions, dims]`: for each position `dims / 2` cosines, then `dims / 2` sines.
    pub table: &'a B,
    /// Rotated channels, even, at most the head size.
    pub dims: usize,
    /// Which channels form a pair.
    pub pairing: Pairing,
}

/// Layer normalisation: `y = (x - mean) / sqrt(var + eps) * gain + bias`, `var` biased.
#[derive(Debug)]
pub struct Norm<'a, B> {
    /// `[C]`.
    pub gain: &'a B,
    /// `[C]`.
    pub bias: &'a B,
    /// Added to the variance.
    pub eps: f32,
}

/// Storage type of cached keys or values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheType {
    /// Exact.
    F32,
    /// Half precision.
    F16,
    /// 8-bit with one scale for 32 channels of a head (for the whole head where `D < 32`).
    Q8_0,
}

/// Shape of the cache of one layer: `pages` pages of [`PAGE`] positions of `heads` heads of `head_size`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheShape {
    /// Pages.
    pub pages: usize,
    /// H.
    pub heads: usize,
    /// D.
    pub head_size: usize,
    /// Type of keys.
    pub key: CacheType,
    /// Type of values.
    pub value: CacheType,
}

/// Where the positions of one sequence lie in the cache: page `first + i` of the sequence is cache page `pages[i]`.
#[derive(Clone, Copy, Debug)]
pub struct PageTable<'a> {
    /// Absolute index (position / [`PAGE`]) of the first page that is still held.
    pub first: usize,
    /// Cache pages.
    pub pages: &'a [u32],
}

/// The rows of a flat batch: which sequence and position each stands at.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// Absolute position of each row, `[N]`.
    pub positions: &'a [u32],
    /// Index into `tables` of each row, `[N]`. Rows of one sequence stand together, positions rising by one.
    pub sequences: &'a [u32],
    /// One table per sequence in the batch; it covers every key the rows can reach.
    pub tables: &'a [PageTable<'a>],
}

impl Rows<'_> {
    /// N.
    pub fn len(&self) -> usize {
        self.positions.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }
}

/// Heads of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heads {
    /// H.
    pub count: usize,
    /// D; `count * size` is C.
    pub size: usize,
}

/// Arguments of [`Device::norm_qkv`].
#[derive(Debug)]
pub struct NormQkv<'a, D: Device + ?Sized> {
    /// Residual stream, `[N, C]`.
    pub x: &'a D::Buffer,
    /// Norm before attention.
    pub norm: Norm<'a, D::Buffer>,
    /// `[3 C, C]`: rows of q, then of k, then of v, heads in order within each.
    pub weight: &'a D::Weight,
    /// `[3 C]`.
    pub bias: Option<&'a D::Buffer>,
    /// H and D.
    pub heads: Heads,
    /// Rotary embedding of q and k.
    pub rotary: Option<Rotary<'a, D::Buffer>>,
    /// The batch.
    pub rows: Rows<'a>,
}

/// Arguments of [`Device::attend`].
#[derive(Debug)]
pub struct Attend<'a, D: Device + ?Sized> {
    /// `[N, C]`, rotated.
    pub query: &'a D::Buffer,
    /// Keys and values, those of the rows themselves included.
    pub cache: &'a D::Cache,
    /// H and D.
    pub heads: Heads,
    /// Which keys each query sees.
    pub reach: Reach,
    /// Multiplies every score (1 for GPT-Neo, which was trained without scaling).
    pub scale: f32,
    /// The batch.
    pub rows: Rows<'a>,
}

/// Arguments of [`Device::add_low_rank`].
#[derive(Debug)]
pub struct LowRank<'a, D: Device + ?Sized> {
    /// Inputs, `[N, C]`.
    pub x: &'a D::Buffer,
    /// C.
    pub width: usize,
    /// The rows that get something added.
    pub rows: Range<usize>,
    /// Holds both factors.
    pub factors: &'a D::Buffer,
    /// Where `down: [r, C]` begins among them.
    pub down: usize,
    /// Where `up: [r, O]` begins among them: the second factor by its columns, its scale multiplied in.
    pub up: usize,
    /// r.
    pub rank: usize,
    /// O.
    pub height: usize,
    /// The outputs wanted, of `0..O`.
    pub outputs: Range<usize>,
}

/// A machine that can run the decoder.
///
/// # Panics
/// Operations panic if the lengths of their buffers do not describe one batch: that is a fault of the decoder, since
/// every length that comes from outside was checked when the model was loaded.
pub trait Device: Send + Sync + 'static {
    /// A matrix `[O, C]` in the device's own layout, plain or quantised.
    type Weight: Send + Sync + std::fmt::Debug;
    /// f32 values.
    type Buffer: Send + Sync + std::fmt::Debug;
    /// Keys and values of one layer, in pages.
    type Cache: Send + Sync + std::fmt::Debug;

    /// What the device is, for people: `CPU (avx2, 2 threads)`.
    fn describe(&self) -> String;

    // ---- storage

    /// Packs the rows of all `parts`, one below the other, into one weight. All parts have one type and row length.
    ///
    /// Float types are used in place where the device can; quantised types that it does not compute with directly
    /// are converted to one that holds them exactly, or to f16 ([`Device::weight_dtype`] tells).
    fn weight(&self, parts: &[Matrix]) -> Result<Self::Weight, DeviceError>;
    /// The type the device computes with.
    fn weight_dtype(&self, weight: &Self::Weight) -> DType;
    /// Bytes that one multiplication with the weight reads.
    fn weight_bytes(&self, weight: &Self::Weight) -> usize;
    /// A zeroed buffer.
    fn buffer(&self, len: usize) -> Result<Self::Buffer, DeviceError>;
    /// A zeroed cache. Pages that were never written cost address space, not memory.
    fn cache(&self, shape: CacheShape) -> Result<Self::Cache, DeviceError>;
    /// Copies `values` into the buffer at `offset`.
    fn write(&self, buffer: &mut Self::Buffer, offset: usize, values: &[f32]);
    /// Copies out of the buffer at `offset` (after all that was enqueued).
    fn read(&self, buffer: &Self::Buffer, offset: usize, values: &mut [f32]);
    /// Appends the first `len` values of the buffer (after all that was enqueued).
    fn append(&self, buffer: &Self::Buffer, len: usize, values: &mut Vec<f32>) {
        let start = values.len();
        values.resize(start + len, 0.0);
        self.read(buffer, 0, &mut values[start..]);
    }
    /// Copies one page of a cache onto another (copy on write of shared prefixes).
    fn copy_page(&self, cache: &mut Self::Cache, from: u32, to: u32);
    /// Waits for all that was enqueued.
    fn sync(&self) {}

    // ---- host-side conversions, as parallel as the device's host can be

    /// Quantises rows of `cols` values to `dtype`, appending whole blocks to `out`.
    fn quantize(&self, dtype: DType, cols: usize, values: &[f32], out: &mut Vec<u8>) -> Result<(), DeviceError>;
    /// Reads any stored type as f32; `values.len()` elements, whole blocks.
    fn dequantize(&self, dtype: DType, bytes: &[u8], values: &mut [f32]) -> Result<(), DeviceError>;

    // ---- plain operations; `n` rows

    /// `out[i] = table[ids[i]] (+ positions_table[positions[i]])`, `out: [N, C]`.
    fn embed(
        &self,
        ids: &[u32],
        table: &Self::Weight,
        positions: Option<(&[u32], &Self::Weight)>,
        out: &mut Self::Buffer,
    );
    /// `out = norm(x)`, both `[N, C]`.
    fn norm(&self, n: usize, x: &Self::Buffer, norm: Norm<'_, Self::Buffer>, out: &mut Self::Buffer);
    /// `out = x weight[outputs]^T + bias[outputs]`, `x: [N, C]`, `out: [N, outputs.len()]`.
    fn linear(
        &self,
        n: usize,
        x: &Self::Buffer,
        weight: &Self::Weight,
        bias: Option<&Self::Buffer>,
        outputs: Range<usize>,
        out: &mut Self::Buffer,
    );
    /// Rotates `x: [N, H, D]` in place.
    fn rotate(&self, x: &mut Self::Buffer, heads: Heads, rotary: Rotary<'_, Self::Buffer>, positions: &[u32]);
    /// Writes `key, value: [N, H, D]` into the cache at the rows' positions.
    fn store(&self, key: &Self::Buffer, value: &Self::Buffer, rows: Rows<'_>, cache: &mut Self::Cache);
    /// `out[i] = softmax(scale * query[i] . keys in reach) values`, per head, in f32; `out: [N, C]`.
    fn attend(&self, args: Attend<'_, Self>, out: &mut Self::Buffer);
    /// Applies `activation` to the first `len` values.
    fn activate(&self, len: usize, activation: Activation, x: &mut Self::Buffer);
    /// Keeps some rows of `x: [N, width]`, in place: `x[i] = x[rows[i]]`, `rows` rising.
    fn keep_rows(&self, width: usize, rows: &[u32], x: &mut Self::Buffer);
    /// `x += y` over the first `len` values.
    fn add(&self, len: usize, y: &Self::Buffer, x: &mut Self::Buffer);

    /// `out[i] += (x[i] down^T) up[.., outputs]` for the rows `i` in `rows`; `out: [N, outputs.len()]`.
    fn add_low_rank(&self, args: LowRank<'_, Self>, out: &mut Self::Buffer);

    // ---- fused operations

    /// `norm`, `linear` to q, k and v, `rotate` q and k, `store` k and v; q is left in `query: [N, C]`.
    fn norm_qkv(&self, args: NormQkv<'_, Self>, cache: &mut Self::Cache, query: &mut Self::Buffer);
    /// `residual += x weight^T + bias`; `x: [N, C']`, `residual: [N, C]`.
    fn project_add(
        &self,
        n: usize,
        x: &Self::Buffer,
        weight: &Self::Weight,
        bias: Option<&Self::Buffer>,
        residual: &mut Self::Buffer,
    );
    /// `out = activation(norm(x) weight^T + bias)`; `out: [N, O]`.
    #[allow(clippy::too_many_arguments, reason = "one fused operation, each argument a tensor")]
    fn norm_linear_activate(
        &self,
        n: usize,
        x: &Self::Buffer,
        norm: Norm<'_, Self::Buffer>,
        weight: &Self::Weight,
        bias: Option<&Self::Buffer>,
        activation: Activation,
        out: &mut Self::Buffer,
    );
    /// `out[i] = norm(x[rows[i]]) weight^T + bias`; `out: [rows.len(), V]`.
    fn norm_logits(
        &self,
        x: &Self::Buffer,
        rows: &[u32],
        norm: Norm<'_, Self::Buffer>,
        weight: &Self::Weight,
        bias: Option<&Self::Buffer>,
        out: &mut Self::Buffer,
    );
}
