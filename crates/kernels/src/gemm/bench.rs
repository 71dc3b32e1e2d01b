//! What `benches/cpu.rs` measures: products of plain buffers on the team, in the three orders of training.

use std::sync::atomic::AtomicUsize;

use gptneo_device::DeviceError;

use super::{Gemm, SCRATCH, View, panels_len};
use crate::cpu::Cpu;
use crate::finish::Finish;
use crate::memory::Memory;

/// How the operands lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// `A B`: the gradient of a layer's input.
    Nn,
    /// `A Bᵀ`: a layer.
    Nt,
    /// `Aᵀ B`: the gradient of a weight.
    Tn,
}

/// A product `[m, k] [k, n]` of noise.
pub struct Case {
    order: Order,
    shape: [usize; 3],
    left: Memory<f32>,
    right: Memory<f32>,
    out: Memory<f32>,
    panels: Memory<f32>,
    scratch: Memory<f32>,
}

impl Case {
    /// # Errors
    /// If there is no room.
    pub fn new(cpu: &Cpu, order: Order, m: usize, k: usize, n: usize) -> Result<Self, DeviceError> {
        let noise = |len: usize| {
            let mut values = Memory::dense(len, "a bench")?;
            let mut seed = 1_u32;
            values.iter_mut().for_each(|x| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *x = (seed >> 8) as f32 / (1 << 23) as f32 - 1.0;
            });
            Ok::<_, DeviceError>(values)
        };
        Ok(Self {
            order,
            shape: [m, k, n],
            left: noise(m * k)?,
            right: noise(k * n)?,
            out: noise(m * n)?,
            panels: Memory::dense(panels_len(cpu.isa(), m, k, n), "a bench")?,
            scratch: Memory::dense(SCRATCH * cpu.threads(), "a bench")?,
        })
    }

    /// Multiplies once on the team.
    pub fn run(&mut self, cpu: &Cpu) {
        let [m, k, n] = self.shape;
        let (left, right) = match self.order {
            Order::Nn => (View::new(&self.left, m, k), View::new(&self.right, k, n)),
            Order::Nt => (View::new(&self.left, m, k), View::new(&self.right, n, k).transposed()),
            Order::Tn => (View::new(&self.left, k, m).transposed(), View::new(&self.right, k, n)),
        };
        let finish = Finish { bias: None, activation: None, add: false, out: self.out.shared(), stride: n };
        let next = AtomicUsize::new(0);
        let gemm = Gemm { isa: cpu.isa(), left, right, finish, panels: self.panels.shared(), next: &next };
        let scratch = self.scratch.shared();
        cpu.team.run(|worker| {
            // SAFETY: each worker has its own.
            gemm.work(worker, unsafe { scratch.part(worker.index() * SCRATCH, SCRATCH) });
        });
    }
}
