//! Work in parallel, results in order.
//!
//! The caller's thread hands out items and takes results in the order of the items, whichever worker was faster. No more
//! than a few items per worker are under way, so memory stays flat.

use std::collections::BTreeMap;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::error::Result;

/// Items per worker that are under way: one in work, others waiting so that it never does.
const AHEAD: usize = 3;

/// Does `work` on all items on `workers` threads, each with a state of its own; gives the states back.
///
/// `next` gives items until it gives none; `take` gets the results in the order of the items.
///
/// # Errors
/// The first of `next` or `take`; work under way is finished and dropped.
pub(crate) fn in_order<S: Send, I: Send, R: Send>(
    workers: usize,
    state: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, I) -> R + Sync,
    mut next: impl FnMut() -> Result<Option<I>>,
    mut take: impl FnMut(R) -> Result<()>,
) -> Result<Vec<S>> {
    let workers = workers.max(1);
    let (send_item, items) = mpsc::channel::<(u64, I)>();
    let (send_result, results) = mpsc::channel::<(u64, R)>();
    let items = Mutex::new(items);
    thread::scope(|scope| {
        let spawn = |_| {
            let send_result = send_result.clone();
            let (items, state, work) = (&items, &state, &work);
            scope.spawn(move || {
                let mut state = state();
                loop {
                    // The lock is held while waiting: whoever has it gets the next item.
                    let item = items.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok((number, item)) = item else { return state };
                    if send_result.send((number, work(&mut state, item))).is_err() {
                        return state;
                    }
                }
            })
        };
        let threads: Vec<_> = (0..workers).map(spawn).collect();
        drop(send_result);
        let mut early: BTreeMap<u64, R> = BTreeMap::new();
        let (mut given, mut taken) = (0, 0);
        let mut over = false;
        loop {
            while !over && given - taken < (workers * AHEAD) as u64 {
                match next()? {
                    Some(item) => {
                        send_item.send((given, item)).expect("the receiver lives as long as this");
                        given += 1;
                    }
                    None => over = true,
                }
            }
            if over && taken == given {
                break;
            }
            match results.recv_timeout(Duration::from_millis(100)) {
                Ok((number, result)) => drop(early.insert(number, result)),
                // A worker that panicked will not answer; its panic goes on here.
                Err(RecvTimeoutError::Timeout) if threads.iter().any(thread::ScopedJoinHandle::is_finished) => break,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            while let Some(result) = early.remove(&taken) {
                taken += 1;
                take(result)?;
            }
        }
        drop(send_item);
        let joined =
            threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        Ok(joined.collect())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::CorpusError;

    fn squares(workers: usize, count: u64, fail_at: Option<u64>) -> Result<(Vec<u64>, u64)> {
        let (mut at, mut taken) = (0, Vec::new());
        let states = in_order(
            workers,
            || 0u64,
            |done, item: u64| {
                *done += 1;
                // Later items are quicker.
                thread::sleep(Duration::from_micros(200 * (item % 7)));
                item * item
            },
            || {
                at += 1;
                Ok((at <= count).then_some(at - 1))
            },
            |square| {
                taken.push(square);
                if fail_at == Some(taken.len() as u64) { Err(CorpusError::Cancelled) } else { Ok(()) }
            },
        )?;
        Ok((taken, states.iter().sum()))
    }

    #[test]
    fn results_come_in_the_order_of_the_items() {
        for workers in [0, 1, 2, 5] {
            for count in [0, 1, 100] {
                let (taken, done) = squares(workers, count, None).unwrap();
                assert_eq!(taken, (0..count).map(|item| item * item).collect::<Vec<_>>());
                assert_eq!(done, count);
            }
        }
    }

    #[test]
    fn an_error_ends_it() {
        assert!(matches!(squares(3, 1000, Some(10)), Err(CorpusError::Cancelled)));
    }

    #[test]
    #[should_panic(expected = "item 7")]
    fn a_panic_of_a_worker_goes_on() {
        let mut at = 0;
        let next = || {
            at += 1;
            Ok(Some(at))
        };
        let _ = in_order(2, || (), |(), item: u32| assert!(item != 7, "item {item}"), next, |()| Ok(()));
    }
}
