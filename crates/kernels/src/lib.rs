//! The CPU: [`Cpu`] implements [`gptneo_device::Device`] with a thread team of its own.
//!
//! [`Isa`] is the instruction set, chosen at run time; `team` the threads; `float` and `packed` the products with float and
//! with quantised weights, `product` what they share; `attention` works over the pages of `cache`; `blocks` knows every block
//! format of GGUF. [`measure`] finds the machine's own limits.
//!
//! ```
//! use gptneo_device::{Bytes, DType, Device, Matrix};
//! use gptneo_kernels::{Cpu, CpuOptions};
//!
//! let cpu = Cpu::new(CpuOptions { threads: Some(2), isa: None })?;
//! let bytes: Vec<u8> = [1.0f32, 2.0, 3.0, 4.0].iter().flat_map(|x| x.to_le_bytes()).collect();
//! let matrix = Matrix::new(DType::F32, 2, 2, Bytes::from(bytes)).expect("two rows of two");
//! let weight = cpu.weight(&[matrix])?;
//! let (mut x, mut y) = (cpu.buffer(2)?, cpu.buffer(2)?);
//! cpu.write(&mut x, 0, &[10.0, 1.0]);
//! cpu.linear(1, &x, &weight, None, 0..2, &mut y);
//! assert_eq!(y.as_slice(), [12.0, 34.0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![allow(unsafe_code, reason = "kernels: intrinsics, and memory that workers share")]
#![allow(clippy::needless_range_loop, reason = "kernels index several arrays of registers at once")]

mod activation;
mod attention;
mod blocks;
mod cache;
mod cpu;
mod element;
mod finish;
mod float;
mod gemm;
mod inputs;
mod isa;
mod lanes;
mod low_rank;
pub mod measure;
mod memory;
mod norm;
mod packed;
mod product;
mod rotary;
mod simd;
mod team;
mod train;
mod weight;

pub use cache::Cache;
pub use cpu::{Buffer, Cpu, CpuError, CpuOptions};
#[doc(hidden)]
pub use gemm::bench as gemm_bench;
pub use isa::{Isa, IsaError};
#[doc(hidden)]
pub use packed::bench as packed_bench;
pub use weight::Weight;
