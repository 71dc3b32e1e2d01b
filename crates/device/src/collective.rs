//! Ranks that train together: the operations they share, and [`Single`], the rank that is alone.

use std::ops::Range;

use crate::Device;

/// Why ranks could not work together.
#[derive(Debug, thiserror::Error)]
#[error("rank {rank} could not {what}: {why}")]
pub struct CollectiveError {
    /// Whose call failed.
    pub rank: usize,
    /// The operation, as a verb.
    pub what: &'static str,
    /// What the system said.
    pub why: String,
}

/// A sum over ranks that is under way.
#[derive(Debug)]
#[must_use = "the sum is there after `all_reduce_wait`"]
pub struct Pending {
    /// The values being summed.
    pub range: Range<usize>,
    /// The implementation's number for it.
    pub ticket: u64,
}

/// The ranks of a run. Every rank makes the same calls in the same order, with the same ranges.
///
/// Buffers are handed over with each call, so that an implementation that must copy (MPI over host memory) and one that
/// need not (NCCL) have the same face.
pub trait Collective<D: Device>: Send {
    /// This rank, from 0.
    fn rank(&self) -> usize;
    /// Ranks in all.
    fn size(&self) -> usize;

    /// Starts to sum `range` of `buffer` over the ranks. The range keeps what it has until
    /// [`all_reduce_wait`](Collective::all_reduce_wait) replaces it; the caller neither reads nor writes it before.
    fn all_reduce_start(
        &mut self,
        device: &D,
        buffer: &D::Buffer,
        range: Range<usize>,
    ) -> Result<Pending, CollectiveError>;
    /// Ends a sum: `pending.range` of `buffer` is now the sum.
    fn all_reduce_wait(&mut self, device: &D, buffer: &mut D::Buffer, pending: Pending) -> Result<(), CollectiveError>;
    /// Sums over the ranks; rank `r` has the sum in `shards[r]` of `buffer` afterwards, the rest is undefined.
    fn reduce_scatter(
        &mut self,
        device: &D,
        buffer: &mut D::Buffer,
        shards: &[Range<usize>],
    ) -> Result<(), CollectiveError>;
    /// Rank `r` gives `shards[r]` of `buffer` to all.
    fn all_gather(
        &mut self,
        device: &D,
        buffer: &mut D::Buffer,
        shards: &[Range<usize>],
    ) -> Result<(), CollectiveError>;
    /// Rank `root` gives `range` of `buffer` to all.
    fn broadcast(
        &mut self,
        device: &D,
        buffer: &mut D::Buffer,
        range: Range<usize>,
        root: usize,
    ) -> Result<(), CollectiveError>;
    /// Sums a few numbers on the host, in the order of the ranks (losses, counts, norms).
    fn sum(&mut self, values: &mut [f64]) -> Result<(), CollectiveError>;
    /// Waits for all ranks.
    fn barrier(&mut self) -> Result<(), CollectiveError>;
}

/// One rank, alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Single;

impl<D: Device> Collective<D> for Single {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn all_reduce_start(&mut self, _: &D, _: &D::Buffer, range: Range<usize>) -> Result<Pending, CollectiveError> {
        Ok(Pending { range, ticket: 0 })
    }

    fn all_reduce_wait(&mut self, _: &D, _: &mut D::Buffer, _: Pending) -> Result<(), CollectiveError> {
        Ok(())
    }

    fn reduce_scatter(&mut self, _: &D, _: &mut D::Buffer, shards: &[Range<usize>]) -> Result<(), CollectiveError> {
        assert_eq!(shards.len(), 1, "one shard for one rank");
        Ok(())
    }

    fn all_gather(&mut self, _: &D, _: &mut D::Buffer, shards: &[Range<usize>]) -> Result<(), CollectiveError> {
        assert_eq!(shards.len(), 1, "one shard for one rank");
        Ok(())
    }

    fn broadcast(&mut self, _: &D, _: &mut D::Buffer, _: Range<usize>, root: usize) -> Result<(), CollectiveError> {
        assert_eq!(root, 0, "there is one rank");
        Ok(())
    }

    fn sum(&mut self, _: &mut [f64]) -> Result<(), CollectiveError> {
        Ok(())
    }

    fn barrier(&mut self) -> Result<(), CollectiveError> {
        Ok(())
    }
}
