//! How much each client has used up: two buckets that fill again with time, one of requests and one of tokens.
//!
//! A bucket holds what may be used in a minute and fills evenly. Tokens are taken when a request begins, as many as it may use up, and
//! what it did not use is given back at its end. Buckets that are full again are forgotten, so that a million strangers leave nothing.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::keys::Allowance;

/// Clients remembered at most; beyond, those whose buckets are fullest are forgotten first.
const MOST: usize = 100_000;
/// The time in which an empty bucket is full.
const MINUTE: f64 = 60.0;

/// One bucket's state.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    level: f64,
    at: Instant,
}

impl Bucket {
    fn refilled(&self, capacity: f64, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        (self.level + passed * capacity / MINUTE).min(capacity)
    }
}

#[derive(Clone, Copy, Debug)]
struct Account {
    requests: Bucket,
    tokens: Bucket,
    allowance: Allowance,
}

/// What is left to a client, for headers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Standing {
    pub(crate) allowance: Allowance,
    pub(crate) requests_left: u32,
    pub(crate) tokens_left: u32,
    pub(crate) requests_reset: Duration,
    pub(crate) tokens_reset: Duration,
}

/// Too much in a minute.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Exceeded {
    /// `requests` or `tokens`.
    pub(crate) what: &'static str,
    pub(crate) limit: u32,
    /// When there is enough again.
    pub(crate) wait: Duration,
}

/// All clients' accounts.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    accounts: Mutex<HashMap<String, Account>>,
}

impl Rates {
    /// Takes one request from the client's account.
    pub(crate) fn request(&self, client: &str, allowance: Allowance, now: Instant) -> Result<Standing, Exceeded> {
        self.with(client, allowance, now, |account| match allowance.requests {
            Some(limit) => take(&mut account.requests, limit, 1.0, "requests", now),
            None => Ok(()),
        })
    }

    /// Takes tokens that a request may use up.
    pub(crate) fn tokens(
        &self,
        client: &str,
        allowance: Allowance,
        tokens: u64,
        now: Instant,
    ) -> Result<Standing, Exceeded> {
        self.with(client, allowance, now, |account| match allowance.tokens {
            // More than a minute's worth is charged as a full minute, so that it can be asked for at all.
            Some(limit) => take(&mut account.tokens, limit, (tokens as f64).min(f64::from(limit)), "tokens", now),
            None => Ok(()),
        })
    }

    /// Gives back tokens that were taken and not used.
    pub(crate) fn give_back(&self, client: &str, tokens: u64, now: Instant) {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(account) = accounts.get_mut(client) else { return };
        if let Some(limit) = account.allowance.tokens {
            let capacity = f64::from(limit);
            let level = (account.tokens.refilled(capacity, now) + tokens as f64).min(capacity);
            account.tokens = Bucket { level, at: now };
        }
    }

    fn with(
        &self,
        client: &str,
        allowance: Allowance,
        now: Instant,
        take: impl FnOnce(&mut Account) -> Result<(), Exceeded>,
    ) -> Result<Standing, Exceeded> {
        if allowance == Allowance::default() {
            return Ok(Standing::default());
        }
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if accounts.len() >= MOST && !accounts.contains_key(client) {
            forget(&mut accounts, now);
        }
        let full = |limit: Option<u32>| Bucket { level: limit.map_or(0.0, f64::from), at: now };
        let fresh = Account { requests: full(allowance.requests), tokens: full(allowance.tokens), allowance };
        let account = accounts.entry(client.to_owned()).or_insert(fresh);
        account.allowance = allowance;
        take(account)?;
        Ok(account.standing(now))
    }
}

impl Account {
    fn standing(&self, now: Instant) -> Standing {
        let of = |bucket: &Bucket, limit: Option<u32>| {
            let capacity = limit.map_or(0.0, f64::from);
            let level = bucket.refilled(capacity, now);
            let reset = if capacity > 0.0 { (capacity - level) * MINUTE / capacity } else { 0.0 };
            (level as u32, Duration::from_secs_f64(reset.max(0.0)))
        };
        let (requests_left, requests_reset) = of(&self.requests, self.allowance.requests);
        let (tokens_left, tokens_reset) = of(&self.tokens, self.allowance.tokens);
        Standing { allowance: self.allowance, requests_left, tokens_left, requests_reset, tokens_reset }
    }

    /// How full its emptiest bucket is, 0 to 1.
    fn fullness(&self, now: Instant) -> f64 {
        let share = |bucket: &Bucket, limit: Option<u32>| {
            limit.map_or(1.0, |limit| bucket.refilled(f64::from(limit), now) / f64::from(limit))
        };
        share(&self.requests, self.allowance.requests).min(share(&self.tokens, self.allowance.tokens))
    }
}

fn take(bucket: &mut Bucket, limit: u32, wanted: f64, what: &'static str, now: Instant) -> Result<(), Exceeded> {
    let capacity = f64::from(limit);
    let level = bucket.refilled(capacity, now);
    if level < wanted {
        let wait = Duration::from_secs_f64((wanted - level) * MINUTE / capacity);
        return Err(Exceeded { what, limit, wait });
    }
    *bucket = Bucket { level: level - wanted, at: now };
    Ok(())
}

/// Forgets accounts that are as good as new; if none is, the fuller half.
fn forget(accounts: &mut HashMap<String, Account>, now: Instant) {
    accounts.retain(|_, account| account.fullness(now) < 1.0);
    if accounts.len() < MOST {
        return;
    }
    let mut fullness: Vec<f64> = accounts.values().map(|account| account.fullness(now)).collect();
    let middle = fullness.len() / 2;
    let (_, &mut median, _) = fullness.select_nth_unstable_by(middle, f64::total_cmp);
    accounts.retain(|_, account| account.fullness(now) < median);
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOWANCE: Allowance = Allowance { requests: Some(60), tokens: Some(6000) };

    #[test]
    fn a_minute_of_requests_is_what_was_allowed() {
        let (rates, begun) = (Rates::default(), Instant::now());
        let mut passed = 0;
        // Ten asked each second for ten minutes: a full bucket and what flows in.
        for tick in 0..6000u64 {
            let now = begun + Duration::from_millis(100 * tick);
            passed += u32::from(rates.request("a", ALLOWANCE, now).is_ok());
        }
        assert!((659..=661).contains(&passed), "{passed}");
    }

    #[test]
    fn who_asks_too_much_is_told_when_to_come_back() {
        let (rates, now) = (Rates::default(), Instant::now());
        assert_eq!(rates.tokens("a", ALLOWANCE, 5000, now).unwrap().tokens_left, 1000);
        let exceeded = rates.tokens("a", ALLOWANCE, 2000, now).unwrap_err();
        assert_eq!((exceeded.what, exceeded.limit, exceeded.wait), ("tokens", 6000, Duration::from_secs(10)));
        assert!(rates.tokens("a", ALLOWANCE, 2000, now + exceeded.wait).is_ok());
        assert!(rates.tokens("b", ALLOWANCE, 6000, now).is_ok(), "another's account is another");
    }

    #[test]
    fn what_was_not_used_comes_back() {
        let (rates, now) = (Rates::default(), Instant::now());
        rates.tokens("a", ALLOWANCE, 6000, now).unwrap();
        rates.give_back("a", 4000, now);
        assert_eq!(rates.tokens("a", ALLOWANCE, 1000, now).unwrap().tokens_left, 3000);
        rates.give_back("a", 1 << 60, now);
        assert_eq!(rates.tokens("a", ALLOWANCE, 0, now).unwrap().tokens_left, 6000);
    }

    #[test]
    fn a_million_strangers_leave_little() {
        let (rates, begun) = (Rates::default(), Instant::now());
        for stranger in 0..1_000_000u32 {
            let now = begun + Duration::from_micros(u64::from(stranger));
            rates.request(&stranger.to_string(), ALLOWANCE, now).unwrap();
        }
        assert!(rates.accounts.lock().unwrap().len() <= MOST);
    }
}
