//! Storage types of tensors, as checkpoints and quantised files spell them.
//!
//! A type stores its elements in blocks along the last axis: one element a block for plain types, 32 or 256 for the
//! quantised ones. The layouts are those of GGUF; what the bytes of a block mean is told in `kernels`.

use std::fmt;
use std::str::FromStr;

macro_rules! dtypes {
    ($($variant:ident, $name:literal, $len:literal, $bytes:literal, $doc:literal;)*) => {
        /// How the elements of a tensor are stored.
        #[allow(non_camel_case_types, reason = "these are the names the field uses")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum DType { $(#[doc = $doc] $variant,)* }

        impl DType {
            /// Every type, in the order of declaration.
            pub const ALL: &[DType] = &[$(DType::$variant,)*];

            /// The lower-case name used on the command line and in reports.
            pub const fn name(self) -> &'static str {
                match self { $(DType::$variant => $name,)* }
            }

            /// Elements in one block.
            pub const fn block_len(self) -> usize {
                match self { $(DType::$variant => $len,)* }
            }

            /// Bytes of one block.
            pub const fn block_bytes(self) -> usize {
                match self { $(DType::$variant => $bytes,)* }
            }
        }
    };
}

dtypes! {
    F32, "f32", 1, 4, "IEEE single precision.";
    F16, "f16", 1, 2, "IEEE half precision.";
    BF16, "bf16", 1, 2, "The upper half of an f32.";
    F64, "f64", 1, 8, "IEEE double precision (readable).";
    Bool, "bool", 1, 1, "One byte, 0 or 1 (mask buffers, ignored by loaders).";
    U8, "u8", 1, 1, "Unsigned byte (mask buffers, ignored by loaders).";
    I8, "i8", 1, 1, "Signed byte.";
    I16, "i16", 1, 2, "Signed 16-bit integer.";
    I32, "i32", 1, 4, "Signed 32-bit integer.";
    I64, "i64", 1, 8, "Signed 64-bit integer.";
    Q8_0, "q8_0", 32, 34, "8-bit, one f16 scale for 32.";
    Q4_0, "q4_0", 32, 18, "4-bit, one f16 scale for 32.";
    Q4_K, "q4_k", 256, 144, "4-bit, 6-bit scale and minimum for 32, f16 pair for 256.";
    Q6_K, "q6_k", 256, 210, "6-bit, 8-bit scale for 16, f16 for 256.";
    Q4_1, "q4_1", 32, 20, "4-bit, f16 scale and minimum for 32 (readable).";
    Q5_0, "q5_0", 32, 22, "5-bit, one f16 scale for 32 (readable).";
    Q5_1, "q5_1", 32, 24, "5-bit, f16 scale and minimum for 32 (readable).";
    Q8_1, "q8_1", 32, 36, "8-bit with block sum (readable).";
    Q2_K, "q2_k", 256, 84, "2-bit, 4-bit scale and minimum for 16 (readable).";
    Q3_K, "q3_k", 256, 110, "3-bit, 6-bit scale for 16 (readable).";
    Q5_K, "q5_k", 256, 176, "5-bit, 6-bit scale and minimum for 32 (readable).";
    Q8_K, "q8_k", 256, 292, "8-bit, f32 scale for 256 (readable).";
    IQ4_NL, "iq4_nl", 32, 18, "4-bit, fixed non-linear levels (readable).";
    IQ4_XS, "iq4_xs", 256, 136, "4-bit non-linear levels, 6-bit scales (readable).";
    TQ1_0, "tq1_0", 256, 54, "Ternary, base-3 packed (readable).";
    TQ2_0, "tq2_0", 256, 66, "Ternary, 2-bit packed (readable).";
    MXFP4, "mxfp4", 32, 17, "4-bit floats with a shared exponent (readable).";
}

impl DType {
    /// Whether elements are floating-point numbers, one a block.
    pub const fn is_float(self) -> bool {
        matches!(self, DType::F32 | DType::F16 | DType::BF16 | DType::F64)
    }

    /// Whether elements are packed in blocks with shared scales.
    pub const fn is_quantised(self) -> bool {
        self.block_len() > 1
    }

    /// Bytes of `elements` values, or `None` if they do not fill whole blocks or the count overflows.
    pub const fn bytes_for(self, elements: usize) -> Option<usize> {
        if !elements.is_multiple_of(self.block_len()) {
            return None;
        }
        (elements / self.block_len()).checked_mul(self.block_bytes())
    }

    /// Mean bits of one element.
    pub fn bits(self) -> f64 {
        self.block_bytes() as f64 * 8.0 / self.block_len() as f64
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The name given is no storage type.
#[derive(Debug, thiserror::Error)]
#[error("unknown type `{0}`")]
pub struct UnknownDType(String);

impl FromStr for DType {
    type Err = UnknownDType;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let lower = name.to_ascii_lowercase();
        Self::ALL.iter().copied().find(|t| t.name() == lower).ok_or_else(|| UnknownDType(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for &dtype in DType::ALL {
            assert_eq!(dtype.name().to_uppercase().parse::<DType>().unwrap(), dtype);
        }
    }

    #[test]
    fn refuses_a_ragged_row_and_an_overflow() {
        assert_eq!(DType::Q4_0.bytes_for(64), Some(36));
        assert_eq!(DType::Q4_0.bytes_for(65), None);
        assert_eq!(DType::F32.bytes_for(usize::MAX), None);
    }
}
