//! Every operation of a rank. `cargo test -p gptneo-mpi --features mpi` runs it as one rank; `.ci/run` runs it under `mpirun` as
//! several. MPI is begun once in a process, so one test goes through all.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by its panic")]

use std::ops::Range;

use gptneo_device::{Collective, Device};
use gptneo_kernels::{Cpu, CpuOptions};
use gptneo_mpi::{MpiError, Ranks, World};

/// More than one message holds.
const LONG: usize = (1 << 22) + 5;

type Buffer = <Cpu as Device>::Buffer;

struct Rank {
    cpu: Cpu,
    ranks: Ranks,
    rank: usize,
    size: usize,
}

impl Rank {
    /// Value `i` of rank `r`: small whole numbers, whose sums are exact in any order.
    fn value(rank: usize, i: usize) -> f32 {
        (i % 11 + 3 * rank) as f32
    }

    /// The sum of value `i` over the ranks.
    fn total(&self, i: usize) -> f32 {
        (0..self.size).map(|rank| Self::value(rank, i)).sum()
    }

    fn buffer(&self, len: usize) -> Buffer {
        let mut buffer = self.cpu.buffer(len).unwrap();
        let values: Vec<f32> = (0..len).map(|i| Self::value(self.rank, i)).collect();
        self.cpu.write(&mut buffer, 0, &values);
        buffer
    }

    fn check(&self, what: &str, buffer: &Buffer, range: Range<usize>, wanted: impl Fn(usize) -> f32) {
        let wrong = range.clone().find(|i| buffer.as_slice()[*i] != wanted(*i));
        assert_eq!(wrong, None, "{what} over {range:?} on rank {} of {}", self.rank, self.size);
    }

    /// Uneven shards of `len` values, an empty one among them.
    fn shards(&self, len: usize) -> Vec<Range<usize>> {
        let edge = |rank: usize| if rank == 1 { 0 } else { len * rank / self.size };
        (0..self.size).map(|rank| edge(rank)..edge(rank + 1).max(edge(rank))).collect()
    }

    fn all_reduce(&mut self) {
        let mut buffer = self.buffer(LONG + 100);
        let ranges = [LONG..LONG + 100, 10..10, 7..LONG];
        let pending: Vec<_> = ranges
            .iter()
            .map(|range| self.ranks.all_reduce_start(&self.cpu, &buffer, range.clone()).unwrap())
            .collect();
        self.check("a sum that is not waited for", &buffer, 0..LONG + 100, |i| Self::value(self.rank, i));
        // The order in which they are waited for is free.
        for pending in pending.into_iter().rev() {
            self.ranks.all_reduce_wait(&self.cpu, &mut buffer, pending).unwrap();
        }
        self.check("a sum", &buffer, 7..LONG + 100, |i| self.total(i));
        self.check("what was not summed", &buffer, 0..7, |i| Self::value(self.rank, i));
    }

    fn shards_are_summed_and_gathered(&mut self, len: usize) {
        let shards = self.shards(len);
        let mut buffer = self.buffer(len);
        self.ranks.reduce_scatter(&self.cpu, &mut buffer, &shards).unwrap();
        self.check("a sum of shards", &buffer, shards[self.rank].clone(), |i| self.total(i));
        self.ranks.all_gather(&self.cpu, &mut buffer, &shards).unwrap();
        self.check("gathered shards", &buffer, 0..len, |i| self.total(i));
    }

    fn broadcast(&mut self) {
        for root in 0..self.size {
            let mut buffer = self.buffer(LONG);
            self.ranks.broadcast(&self.cpu, &mut buffer, 3..LONG, root).unwrap();
            self.check("values passed on", &buffer, 3..LONG, |i| Self::value(root, i));
            self.check("what was not passed on", &buffer, 0..3, |i| Self::value(self.rank, i));
        }
    }

    /// In another order the sums would have other bits.
    fn numbers_are_added_in_the_order_of_ranks(&mut self) {
        let given = |rank: usize, i: usize| if rank == 0 { 1.0 } else { 1e-16 * (rank + i) as f64 };
        for len in [0, 1, 3] {
            let mut values: Vec<f64> = (0..len).map(|i| given(self.rank, i)).collect();
            Collective::<Cpu>::sum(&mut self.ranks, &mut values).unwrap();
            let wanted: Vec<f64> = (0..len).map(|i| (0..self.size).map(|rank| given(rank, i)).sum()).collect();
            assert_eq!(values, wanted);
        }
        Collective::<Cpu>::barrier(&mut self.ranks).unwrap();
    }
}

#[test]
fn every_operation_does_what_it_says() {
    let world = World::join().unwrap();
    assert!(world.rank() < world.size());
    assert!((1..=world.size()).contains(&world.here()));
    assert!(matches!(World::join(), Err(MpiError::Twice)));
    let cpu = Cpu::new(CpuOptions { threads: Some(1), isa: None }).unwrap();
    let mut rank = Rank { cpu, ranks: world.ranks(), rank: world.rank(), size: world.size() };
    rank.all_reduce();
    rank.shards_are_summed_and_gathered(1);
    rank.shards_are_summed_and_gathered(LONG);
    rank.broadcast();
    rank.numbers_are_added_in_the_order_of_ranks();
}
