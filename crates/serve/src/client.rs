//! Who asks: by key, or by address where there are no keys.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use gptneo_engine::Rail;

use crate::app::App;
use crate::keys::{Allowance, Key};
use crate::problem::Problem;
use crate::rates::Exceeded;

/// Who asks.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    id: Arc<str>,
    /// The name of its key.
    key: Option<Arc<str>>,
    /// Whether it is on this machine.
    here: bool,
    allowance: Allowance,
    rails: Arc<[Arc<dyn Rail>]>,
}

impl Client {
    /// The holder of a key.
    pub(crate) fn with_key(key: &Key, everyone: Allowance) -> Self {
        let own = key.allowance();
        let allowance =
            Allowance { requests: own.requests.or(everyone.requests), tokens: own.tokens.or(everyone.tokens) };
        let id = format!("key:{}", key.name()).into();
        Self { id, key: Some(key.name().into()), here: false, allowance, rails: key.rails() }
    }

    /// Whoever is at this address.
    pub(crate) fn at(address: IpAddr, everyone: Allowance) -> Self {
        // One household has a /64 of IPv6.
        let id = match address {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => match address.to_ipv4_mapped() {
                Some(address) => address.to_string(),
                None => {
                    let [a, b, c, d, ..] = address.segments();
                    format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
                }
            },
        };
        let here = address.to_canonical().is_loopback();
        Self { id: id.into(), key: None, here, allowance: everyone, rails: Arc::default() }
    }

    /// What queues and limits know it by.
    pub(crate) fn id(&self) -> Arc<str> {
        Arc::clone(&self.id)
    }

    /// The name of its key, if it has sent one.
    pub(crate) fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// Whether it is known by its address, and that is this machine's.
    pub(crate) fn is_here(&self) -> bool {
        self.here
    }

    /// What it may use up in a minute.
    pub(crate) fn allowance(&self) -> Allowance {
        self.allowance
    }

    /// Rails of its key.
    pub(crate) fn rails(&self) -> &[Arc<dyn Rail>] {
        &self.rails
    }

    /// Takes tokens from its account.
    ///
    /// # Errors
    /// 429, if it has used up its tokens.
    pub(crate) fn charge(&self, app: &App, tokens: u64) -> Result<(), Problem> {
        let standing = app.rates.tokens(&self.id, self.allowance, tokens, Instant::now());
        standing.map(drop).map_err(|exceeded| {
            app.metrics.refused("tokens");
            exceeded.into()
        })
    }

    /// Gives back tokens that were not used.
    pub(crate) fn give_back(&self, app: &App, tokens: u64) {
        app.rates.give_back(&self.id, tokens, Instant::now());
    }
}

impl From<Exceeded> for Problem {
    fn from(exceeded: Exceeded) -> Self {
        let Exceeded { what, limit, wait } = exceeded;
        let seconds = wait.as_secs_f64().ceil() as u64;
        let message = format!("you may use up {limit} {what} a minute, and have: wait {} s", seconds.max(1));
        Self::overloaded(message, seconds)
    }
}
