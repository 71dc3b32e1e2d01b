//! When to try again: exponential back-off with jitter, or as long as the server asks.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// How often and how patiently a request is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// Attempts in a row without a new byte before giving up; at least 1.
    pub attempts: u32,
    /// The first wait; each next one is twice as long.
    pub base: Duration,
    /// The longest wait we choose ourselves.
    pub longest: Duration,
    /// The longest wait that a server may ask for; beyond it the error is returned at once.
    pub longest_asked: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Retry {
            attempts: 6,
            base: Duration::from_millis(500),
            longest: Duration::from_secs(20),
            longest_asked: Duration::from_secs(120),
        }
    }
}

impl Retry {
    /// The wait after `failures` (1, 2, ...) failures: between half and all of `base * 2^(failures-1)`, so that many clients
    /// thrown out together do not come back together. `None` to give up.
    pub(crate) fn delay(&self, failures: u32, asked: Option<Duration>) -> Option<Duration> {
        if failures >= self.attempts {
            return None;
        }
        let full = self.base.saturating_mul(1 << (failures - 1).min(16)).min(self.longest);
        let own = full.mul_f64(0.5 + 0.5 * unit_random());
        match asked {
            Some(asked) if asked > self.longest_asked => None,
            Some(asked) => Some(asked.max(own)),
            None => Some(own),
        }
    }
}

/// In [0, 1). The standard library's hash seeds are random; jitter needs no better source.
fn unit_random() -> f64 {
    let bits = RandomState::new().build_hasher().finish() >> 11;
    bits as f64 / (1u64 << 53) as f64
}

/// Reads `Retry-After`: seconds, or an HTTP date seen from `now` (seconds since 1970).
pub(crate) fn parse_retry_after(value: &str, now: u64) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    http_date(value).map(|then| Duration::from_secs(then.saturating_sub(now)))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` to seconds since 1970 (RFC 9110, 5.6.7; the two obsolete forms are not read).
fn http_date(text: &str) -> Option<u64> {
    let mut words = text.split_once(", ")?.1.split(' ');
    let day: u64 = words.next()?.parse().ok().filter(|d| (1..=31).contains(d))?;
    let month = words.next()?;
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = months.iter().position(|m| *m == month)? as u64 + 1;
    let year: u64 = words.next()?.parse().ok().filter(|y| (1970..=9999).contains(y))?;
    let mut clock = words.next()?.split(':').map(|n| n.parse::<u64>().ok().filter(|n| *n <= 60));
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    if words.next()? != "GMT" {
        return None;
    }
    // Days since 1970-03-01 style count: years begin in March, so that the leap day is the last of its year.
    let (y, m) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (m * 306 + 5) / 10 + day - 1;
    const DAYS_TO_1970: u64 = 719_468;
    Some((days - DAYS_TO_1970) * 86_400 + hour * 3_600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patient() -> Retry {
        Retry { attempts: 5, base: Duration::from_millis(100), ..Retry::default() }
    }

    #[test]
    fn doubles_within_the_jitter() {
        for failures in 1..5 {
            let full = Duration::from_millis(100 << (failures - 1));
            for _ in 0..50 {
                let delay = patient().delay(failures, None).unwrap();
                assert!(delay >= full / 2 && delay <= full, "{failures}: {delay:?}");
            }
        }
    }

    #[test]
    fn gives_up_after_the_last_attempt() {
        assert!(patient().delay(4, None).is_some());
        assert_eq!(patient().delay(5, None), None);
        assert_eq!(Retry { attempts: 1, ..patient() }.delay(1, None), None);
        let endless = Retry { attempts: u32::MAX, ..patient() };
        assert!(endless.delay(1_000_000, None).unwrap() <= endless.longest);
    }

    #[test]
    fn waits_as_long_as_asked_within_reason() {
        assert_eq!(patient().delay(1, Some(Duration::from_secs(3))), Some(Duration::from_secs(3)));
        assert_eq!(patient().delay(1, Some(Duration::from_secs(3600))), None);
    }

    #[test]
    fn reads_both_forms_of_retry_after() {
        assert_eq!(parse_retry_after(" 7 ", 0), Some(Duration::from_secs(7)));
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(parse_retry_after(date, 784_111_770), Some(Duration::from_secs(7)));
        assert_eq!(parse_retry_after(date, 784_111_999), Some(Duration::ZERO));
        assert_eq!(http_date("Thu, 29 Feb 2024 00:00:00 GMT"), Some(1_709_164_800));
        for bad in ["", "soon", "-1", "Sun, 06 Nov 1994", "Sun, 99 Foo 1 1:2:3 GMT", "Sun, 06 Nov 1969 08:49:37 GMT"] {
            assert_eq!(parse_retry_after(bad, 0), None, "{bad}");
        }
    }
}
