//! The bootstrap of the reference harness: chunks of a thousand resamples, each drawn by a generator of its own.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::deviation;
use crate::mersenne::Mersenne;

/// Resamples by one generator.
const CHUNK: usize = 1000;

/// The standard deviation of a statistic over resamples, with replacement, of `len` documents.
pub(super) fn bootstrap(len: usize, iterations: usize, statistic: &(dyn Fn(&[u32]) -> f64 + Sync)) -> f64 {
    deviation(&resampled(len, iterations, statistic))
}

/// A statistic of each resample, with replacement, of `len` documents, `iterations` of them (above 0; above a chunk only whole
/// chunks are drawn). The statistic is given places. Chunk `i` draws as Python's `random.Random(i).choices` does, so the result does
/// not depend on threads.
pub(crate) fn resampled(len: usize, iterations: usize, statistic: &(dyn Fn(&[u32]) -> f64 + Sync)) -> Vec<f64> {
    let chunk = CHUNK.min(iterations);
    let chunks = iterations / chunk;
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        let mut places = Vec::with_capacity(len);
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= chunks {
                return done;
            }
            let mut random = Mersenne::new(at as u64);
            let drawn = (0..chunk).map(|_| {
                random.choices(len, &mut places);
                statistic(&places)
            });
            done.push((at, drawn.collect::<Vec<f64>>()));
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from).min(chunks);
    let mut all = thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut all = work();
        for other in others {
            all.extend(other.join().expect("a statistic does not panic"));
        }
        all
    });
    all.sort_by_key(|(at, _)| *at);
    all.into_iter().flat_map(|(_, drawn)| drawn).collect()
}
