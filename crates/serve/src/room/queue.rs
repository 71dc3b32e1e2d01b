//! Who is next: clients in turn, by what they were given so far.
//!
//! Each client has a clock that goes on by the cost of what it is given; the one whose clock is earliest is next, and of its jobs the
//! oldest. A client that comes back starts at the time that is now, so nobody saves up. One client's flood so delays another by at most
//! one job.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

/// Idle clients that are remembered in any case.
const IDLE: usize = 64;

/// Jobs by client.
#[derive(Debug)]
pub(crate) struct FairQueue<T> {
    clients: HashMap<Arc<str>, Client<T>>,
    /// Clients with jobs, by their clocks; of equal clocks the one that waits longer.
    turns: BTreeSet<(u64, u64, Arc<str>)>,
    /// The clock of who was served last.
    now: u64,
    arrivals: u64,
    len: usize,
}

#[derive(Debug)]
struct Client<T> {
    jobs: VecDeque<(u64, T)>,
    clock: u64,
    since: u64,
}

impl<T> Default for FairQueue<T> {
    fn default() -> Self {
        Self { clients: HashMap::new(), turns: BTreeSet::new(), now: 0, arrivals: 0, len: 0 }
    }
}

impl<T> FairQueue<T> {
    /// Jobs that wait.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Puts a job behind the client's others; `cost`: what it may use up, in tokens.
    pub(crate) fn push(&mut self, client: Arc<str>, cost: u64, job: T) {
        let arrival = self.arrivals;
        self.arrivals += 1;
        self.len += 1;
        let now = self.now;
        let entry = self.clients.entry(Arc::clone(&client)).or_insert_with(|| Client {
            jobs: VecDeque::new(),
            clock: now,
            since: arrival,
        });
        if entry.jobs.is_empty() {
            entry.clock = entry.clock.max(now);
            entry.since = arrival;
            self.turns.insert((entry.clock, entry.since, client));
        }
        entry.jobs.push_back((cost.max(1), job));
    }

    /// Takes the next job.
    pub(crate) fn pop(&mut self) -> Option<T> {
        let (clock, _, name) = self.turns.pop_first()?;
        self.now = self.now.max(clock);
        let client = self.clients.get_mut(&name)?;
        let (cost, job) = client.jobs.pop_front()?;
        self.len -= 1;
        client.clock = clock.saturating_add(cost);
        if client.jobs.is_empty() {
            // Its clock is needed only while it is ahead of the others. One that is not counts as none, so it may be forgotten late:
            // when there are more idle clients than others.
            if self.clients.len() > 2 * self.turns.len() + IDLE {
                let now = self.now;
                self.clients.retain(|_, client| !client.jobs.is_empty() || client.clock > now);
            }
        } else {
            client.since = self.arrivals;
            self.arrivals += 1;
            self.turns.insert((client.clock, client.since, name));
        }
        Some(job)
    }

    /// Drops jobs that nobody waits for any more.
    pub(crate) fn retain(&mut self, wanted: impl Fn(&T) -> bool) {
        for client in self.clients.values_mut() {
            client.jobs.retain(|(_, job)| wanted(job));
        }
        let clients = &self.clients;
        self.turns.retain(|(_, _, name)| clients.get(name).is_some_and(|client| !client.jobs.is_empty()));
        self.clients.retain(|_, client| !client.jobs.is_empty());
        self.len = self.clients.values().map(|client| client.jobs.len()).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all<T>(queue: &mut FairQueue<T>) -> Vec<T> {
        std::iter::from_fn(|| queue.pop()).collect()
    }

    fn order(jobs: &[(&str, u64)]) -> Vec<usize> {
        let mut queue = FairQueue::default();
        for (at, (client, cost)) in jobs.iter().enumerate() {
            queue.push(Arc::from(*client), *cost, at);
        }
        all(&mut queue)
    }

    #[test]
    fn one_clients_jobs_keep_their_order() {
        assert_eq!(order(&[("a", 5), ("a", 1), ("a", 9)]), [0, 1, 2]);
    }

    #[test]
    fn a_flood_delays_another_by_one_job() {
        assert_eq!(order(&[("a", 10), ("a", 10), ("a", 10), ("b", 10)]), [0, 3, 1, 2]);
    }

    #[test]
    fn who_asks_for_little_is_served_more_often() {
        assert_eq!(order(&[("a", 30), ("a", 30), ("b", 10), ("b", 10), ("b", 10), ("b", 10)]), [0, 2, 3, 4, 1, 5]);
    }

    #[test]
    fn nobody_saves_up() {
        let mut queue = FairQueue::default();
        for _ in 0..100 {
            queue.push(Arc::from("a"), 10, 'a');
            queue.pop();
        }
        queue.push(Arc::from("b"), 10, 'b');
        queue.push(Arc::from("b"), 10, 'b');
        queue.push(Arc::from("a"), 10, 'a');
        // `b` did not ask before, and is not given a hundred turns for it; `a` is ahead by its last job.
        assert_eq!(all(&mut queue), ['b', 'a', 'b']);
    }

    #[test]
    fn what_is_not_wanted_is_forgotten() {
        let mut queue = FairQueue::default();
        for at in 0..10_000 {
            queue.push(Arc::from(format!("{}", at % 100)), 1, at);
        }
        queue.retain(|job| job % 2 == 1);
        assert_eq!((queue.len(), all(&mut queue).len()), (5000, 5000));
        assert_eq!(queue.len(), 0);
        assert!(queue.clients.len() <= 100 && queue.turns.is_empty());
    }

    /// Many clients at once, each always asking: what they are given differs by at most the dearest job.
    #[test]
    fn all_who_always_ask_are_given_the_same() {
        let mut queue = FairQueue::default();
        let cost = |client: usize| [3, 50, 7, 20][client];
        for client in 0..4 {
            queue.push(Arc::from(client.to_string()), cost(client), client);
        }
        let mut given = [0u64; 4];
        for _ in 0..10_000 {
            let client: usize = queue.pop().unwrap();
            given[client] += cost(client);
            queue.push(Arc::from(client.to_string()), cost(client), client);
        }
        let (least, most) = (given.iter().min().unwrap(), given.iter().max().unwrap());
        assert!(most - least <= 100, "{given:?}");
    }
}
