//! Load for a server that speaks OpenAI's API, and what becomes of it: how soon the first token comes, how fast the others, how many of all
//! requests are served as well as was promised.
//!
//! In a closed loop so many clients ask without pause; in an open one requests arrive as they do from a crowd (Poisson) or all at once
//! (bursts), whether or not earlier ones are done, so that a queue shows. Every request has its own connection, streams, and is timed from
//! the moment at which it was due.

mod client;
mod figures;
mod prompts;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, mpsc};

pub use client::{Address, BadAddress, Observed};
pub use figures::{Figures, Level, Spread};
pub use prompts::{Prompt, ids, words};

/// When requests are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Arrival {
    /// So many clients, each asking again as soon as it is answered.
    Closed {
        /// Clients.
        clients: usize,
    },
    /// So many a second on average, each independent of the others.
    Poisson {
        /// Requests a second.
        rate: f64,
    },
    /// So many at once, every so often.
    Burst {
        /// Requests at once.
        size: usize,
        /// Between the beginnings of two bursts.
        every: Duration,
    },
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct Load {
    /// Whom.
    pub address: Address,
    /// Which model; the server's first where nothing is said.
    pub model: Option<String>,
    /// Its key.
    pub key: Option<String>,
    /// One for each request; of fewer prompts each is used again.
    pub prompts: Vec<Prompt>,
    /// How many.
    pub requests: usize,
    /// Tokens that each asks for.
    pub max_tokens: usize,
    /// Asks for all of them, whatever the model would rather do.
    pub ignore_eos: bool,
    /// When.
    pub arrival: Arrival,
    /// What arrival times are drawn with.
    pub seed: u64,
    /// How long one request may take.
    pub patience: Duration,
}

/// Sends a load, and tells what became of each request, in the order in which they were due. `done` is told how many have ended; `stop` ends
/// the load early.
///
/// # Errors
/// If the system gives no threads.
pub fn send(load: &Load, stop: &AtomicBool, done: &mut dyn FnMut(usize)) -> std::io::Result<Vec<Observed>> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name("load").enable_all().build()?;
    let found = runtime.block_on(async {
        let (told, mut heard) = mpsc::unbounded_channel();
        let load = Arc::new(load.clone());
        let begun = Instant::now();
        let mut due: VecDeque<(usize, Duration)> = schedule(&load).into_iter().enumerate().collect();
        let clients = match load.arrival {
            Arrival::Closed { clients } => clients,
            _ => Semaphore::MAX_PERMITS,
        };
        let clients = Arc::new(Semaphore::new(clients));
        let mut found: Vec<(usize, Observed)> = Vec::new();
        let mut sent = 0;
        while (!due.is_empty() && !stop.load(Ordering::SeqCst)) || found.len() < sent {
            let glance = tokio::time::sleep(Duration::from_millis(50));
            let next = due.front().copied().filter(|_| !stop.load(Ordering::SeqCst));
            tokio::select! {
                Some(one) = heard.recv() => {
                    found.push(one);
                    done(found.len());
                }
                permit = async {
                    let (_, after) = next.expect("looked at below");
                    tokio::time::sleep_until((begun + after).into()).await;
                    Arc::clone(&clients).acquire_owned().await
                }, if next.is_some() => {
                    let (Some((index, after)), Ok(permit)) = (due.pop_front(), permit) else { continue };
                    sent += 1;
                    let (load, told) = (Arc::clone(&load), told.clone());
                    let was_due = match load.arrival {
                        Arrival::Closed { .. } => Instant::now(),
                        _ => begun + after,
                    };
                    tokio::spawn(async move {
                        let observed = client::ask(&load, index, was_due).await;
                        // The receiver lives as long as anything is awaited.
                        let _ = told.send((index, observed));
                        drop(permit);
                    });
                }
                () = glance => {}
            }
        }
        found.sort_by_key(|(index, _)| *index);
        found.into_iter().map(|(_, observed)| observed).collect()
    });
    Ok(found)
}

/// When each request is due.
fn schedule(load: &Load) -> Vec<Duration> {
    match load.arrival {
        Arrival::Closed { .. } => vec![Duration::ZERO; load.requests],
        Arrival::Burst { size, every } => {
            (0..load.requests).map(|index| every * u32::try_from(index / size.max(1)).unwrap_or(u32::MAX)).collect()
        }
        Arrival::Poisson { rate } => {
            let mut drawn = prompts::Draw::new(load.seed);
            let mut at = 0.0;
            let next = |_| {
                at += -(1.0 - drawn.fraction()).ln() / rate;
                Duration::from_secs_f64(at)
            };
            (0..load.requests).map(next).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(arrival: Arrival) -> Vec<Duration> {
        schedule(&Load {
            address: "http://localhost:1/v1".parse().unwrap(),
            model: None,
            key: None,
            prompts: words(1, 1, 0),
            requests: 10_000,
            max_tokens: 1,
            ignore_eos: false,
            arrival,
            seed: 1,
            patience: Duration::from_secs(1),
        })
    }

    #[test]
    fn a_crowd_arrives_at_its_rate_and_without_memory() {
        let times = due(Arrival::Poisson { rate: 50.0 });
        let apart: Vec<f64> = times.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
        let mean = apart.iter().sum::<f64>() / apart.len() as f64;
        let variance = apart.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / apart.len() as f64;
        // Of an exponential distribution the deviation is the mean.
        assert!((mean - 0.02).abs() < 0.001, "{mean}");
        assert!((variance.sqrt() / mean - 1.0).abs() < 0.05, "{variance}");
    }

    #[test]
    fn bursts_come_all_at_once() {
        let times = due(Arrival::Burst { size: 100, every: Duration::from_secs(2) });
        assert_eq!(
            (times[99], times[100], times[9999]),
            (Duration::ZERO, Duration::from_secs(2), Duration::from_secs(198))
        );
    }
}
