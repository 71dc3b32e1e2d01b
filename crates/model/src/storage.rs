//! Which type each matrix is stored in, and the conversions between types.

use std::fmt;

use gptneo_device::{DType, Device, Matrix};

use crate::error::LoadError;
use crate::family::Role;
use crate::source::TensorSource;

/// Values converted at a time: bounds the memory that a conversion takes beside its result.
const CHUNK: usize = 1 << 22;

/// The types a model's matrices are to be stored in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Storage {
    /// Matrices of the layers.
    pub layers: DType,
    /// Output matrix and embedding.
    pub output: DType,
}

impl Storage {
    /// The usual choice for a type: the output matrix, which meets every token, keeps six bits where the layers have
    /// four.
    pub fn new(layers: DType) -> Result<Self, LoadError> {
        let output = match layers {
            DType::Q4_0 | DType::Q4_K => DType::Q6_K,
            DType::F32 | DType::F16 | DType::BF16 | DType::Q8_0 | DType::Q6_K => layers,
            other => return Err(LoadError::UnsupportedTarget(other)),
        };
        Ok(Self { layers, output })
    }

    /// The same with another type for the output matrix.
    pub fn with_output(self, output: DType) -> Result<Self, LoadError> {
        Self::new(output)?;
        Ok(Self { output, ..self })
    }

    /// What is asked for a matrix. Position embeddings are small and added to every token, a
    /// classifier's head is smaller still: at least f16.
    pub fn wanted(&self, role: Role) -> DType {
        match role {
            Role::Positions | Role::Score if self.layers.is_quantised() => DType::F16,
            Role::Positions | Role::Score => self.layers,
            Role::Embedding | Role::Head => self.output,
            _ => self.layers,
        }
    }

    /// What a matrix with rows of `cols` values gets: what is asked for, or the nearest type whose blocks fit.
    pub fn of(&self, role: Role, cols: usize) -> DType {
        let wanted = self.wanted(role);
        let fits = |dtype: &DType| cols.is_multiple_of(dtype.block_len());
        let ladder: &[DType] = match wanted {
            DType::Q4_K => &[DType::Q4_K, DType::Q4_0],
            DType::Q6_K => &[DType::Q6_K, DType::Q8_0],
            _ => &[wanted],
        };
        ladder.iter().copied().find(fits).unwrap_or(DType::F16)
    }
}

/// The type a matrix stored as `stored` gets, or keeps where no `storage` is asked for; what could not be had is noted.
pub(crate) fn choose(
    storage: Option<Storage>,
    role: Role,
    cols: usize,
    stored: DType,
    name: impl FnOnce() -> String,
    fallbacks: &mut Vec<Fallback>,
) -> DType {
    let Some(storage) = storage else { return stored };
    let (wanted, used) = (storage.wanted(role), storage.of(role, cols));
    if used != wanted {
        fallbacks.push(Fallback { tensor: name(), cols, wanted, used });
    }
    used
}

/// A tensor that could not have the type asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fallback {
    /// Its name.
    pub tensor: String,
    /// Its row length.
    pub cols: usize,
    /// The type asked for.
    pub wanted: DType,
    /// The type it got.
    pub used: DType,
}

impl fmt::Display for Fallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tensor, cols, wanted, used } = self;
        write!(f, "{tensor}: rows of {cols} do not fill blocks of {}, so {wanted} became {used}", wanted.block_len())
    }
}

/// A vector as f32.
pub(crate) fn floats<D: Device>(
    device: &D,
    source: &dyn TensorSource,
    role: Role,
    layer: Option<usize>,
) -> Result<Vec<f32>, LoadError> {
    let (dtype, bytes) = source.vector(role, layer)?;
    let mut values = vec![0.0; bytes.len() / dtype.block_bytes() * dtype.block_len()];
    device.dequantize(dtype, &bytes, &mut values)?;
    Ok(values)
}

/// The matrix in another type, a chunk of rows at a time.
pub(crate) fn convert<D: Device>(device: &D, matrix: &Matrix, target: DType) -> Result<Matrix, LoadError> {
    if matrix.dtype() == target {
        return Ok(matrix.clone());
    }
    let (rows, cols) = (matrix.rows(), matrix.cols());
    let len = target.bytes_for(rows * cols).expect("the caller chose a type whose blocks the rows fill");
    let mut out = Vec::new();
    out.try_reserve_exact(len).map_err(|_| LoadError::OutOfMemory { bytes: len })?;
    for_chunks(device, matrix, |values| Ok(device.quantize(target, cols, values, &mut out)?))?;
    Ok(Matrix::new(target, rows, cols, out.into()).expect("whole rows were quantised"))
}

/// Hands the rows of a matrix on as f32, a chunk of whole rows at a time.
pub(crate) fn for_chunks<D: Device>(
    device: &D,
    matrix: &Matrix,
    mut each: impl FnMut(&[f32]) -> Result<(), LoadError>,
) -> Result<(), LoadError> {
    let (rows, cols, dtype) = (matrix.rows(), matrix.cols(), matrix.dtype());
    let step = (CHUNK / cols).clamp(1, rows.max(1));
    let row_bytes = dtype.bytes_for(cols).expect("a matrix has whole rows");
    let mut values = vec![0.0; step * cols];
    for chunk in matrix.bytes().chunks(step * row_bytes) {
        let values = &mut values[..chunk.len() / row_bytes * cols];
        device.dequantize(dtype, chunk, values)?;
        each(values)?;
    }
    Ok(())
}
