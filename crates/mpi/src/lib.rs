//! Ranks over MPI: `gptneo_device::Collective` for processes that `mpirun` or `srun` started together.
//!
//! One thread of each process makes all calls of MPI, in the order in which they are asked for; the others hand it values and
//! wait for its answers. So a sum goes on while the backward pass computes, MPI needs no more than its `FUNNELED` level, and
//! nothing here is unsafe. Values pass through host memory.
//!
//! Everything is behind the feature `mpi`, which needs an MPI library and libclang to build; without it this crate is empty.
#![forbid(unsafe_code)]

#[cfg(feature = "mpi")]
mod ranks;
#[cfg(feature = "mpi")]
mod world;

#[cfg(feature = "mpi")]
pub use ranks::Ranks;
#[cfg(feature = "mpi")]
pub use world::{MpiError, World};
