//! Which addresses a redirect may lead to.
//!
//! A server that is asked for a file can answer "look there", and "there" can be a service that only this machine reaches:
//! a database on loopback, a router, the metadata service of a cloud. So each address belongs to a [`Zone`], and a redirect
//! stays in its zone or leads to the public one. The check sits in the name resolver, between the name and the connection:
//! what is checked is what is connected to.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use crate::location::Location;

/// A kind of network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Zone {
    Public,
    /// RFC 1918, unique local IPv6, and carriers' shared space (where overlay networks live).
    Private,
    Loopback,
    /// Link-local (cloud metadata lives there), multicast, reserved: never a place to be sent to.
    Special,
}

impl Zone {
    pub(crate) fn of(address: IpAddr) -> Zone {
        match address {
            IpAddr::V4(v4) => Zone::of_v4(v4),
            IpAddr::V6(v6) => Zone::of_v6(v6),
        }
    }

    fn of_v4(address: Ipv4Addr) -> Zone {
        match address.octets() {
            [127, ..] => Zone::Loopback,
            [10, ..] | [192, 168, ..] => Zone::Private,
            [172, b, ..] if b & 0xf0 == 16 => Zone::Private,
            [100, b, ..] if b & 0xc0 == 64 => Zone::Private,
            [0, ..] | [169, 254, ..] | [192, 0, 0, _] | [192, 0, 2, _] | [192, 88, 99, _] => Zone::Special,
            [198, 18 | 19, ..] | [198, 51, 100, _] | [203, 0, 113, _] | [224..=255, ..] => Zone::Special,
            _ => Zone::Public,
        }
    }

    fn of_v6(address: Ipv6Addr) -> Zone {
        let embedded = |high: u16, low: u16| {
            let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
            Zone::of_v4(Ipv4Addr::new(a, b, c, d))
        };
        match address.segments() {
            [0, 0, 0, 0, 0, 0, 0, 1] => Zone::Loopback,
            // An IPv4 address in IPv6 dress (mapped, compatible, NAT64, 6to4) is the IPv4 address.
            [0, 0, 0, 0, 0, 0xffff, high, low] => embedded(high, low),
            [0, 0, 0, 0, 0, 0, high, low] if high != 0 => embedded(high, low),
            [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
            [0x2002, high, low, ..] => embedded(high, low),
            [a, ..] if a & 0xfe00 == 0xfc00 => Zone::Private,
            // Teredo, documentation, the local NAT64 prefix.
            [0x2001, 0 | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] | [0x64, 0xff9b, ..] => Zone::Special,
            [a, ..] if a & 0xe000 == 0x2000 => Zone::Public,
            _ => Zone::Special,
        }
    }

    /// The zone that a host names without being looked up. Names are not among them, except `localhost`.
    pub(crate) fn of_literal(host: &str) -> Option<Zone> {
        let bare = host.trim_matches(['[', ']']);
        let name = bare.strip_suffix('.').unwrap_or(bare);
        if name == "localhost" || name.ends_with(".localhost") {
            return Some(Zone::Loopback);
        }
        if let Ok(address) = bare.parse() {
            return Some(Zone::of(address));
        }
        // `127.1`, `2130706433`, `0x7f.1`, `0177.0.0.1`: forms that a resolver takes for addresses, and that no honest
        // server sends. With a proxy the resolver is not ours, so they are refused here.
        let last = name.rsplit('.').next().unwrap_or_default();
        let numeric = last.bytes().next().is_some_and(|b| b.is_ascii_digit())
            && (last.bytes().all(|b| b.is_ascii_digit()) || last.starts_with("0x"));
        numeric.then_some(Zone::Special)
    }
}

/// Which zones a request may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The user's own address: anywhere.
    Any,
    /// A redirect.
    Public,
    /// A redirect from within a private network.
    PublicOrPrivate,
    /// A redirect from this machine.
    PublicOrLoopback,
}

impl Scope {
    pub(crate) const ALL: [Scope; 4] = [Scope::Any, Scope::Public, Scope::PublicOrPrivate, Scope::PublicOrLoopback];

    /// Where a server in `zone` may send us.
    pub(crate) fn from(zone: Zone) -> Scope {
        match zone {
            Zone::Public | Zone::Special => Scope::Public,
            Zone::Private => Scope::PublicOrPrivate,
            Zone::Loopback => Scope::PublicOrLoopback,
        }
    }

    pub(crate) fn admits(self, zone: Zone) -> bool {
        match self {
            Scope::Any => true,
            Scope::Public => zone == Zone::Public,
            Scope::PublicOrPrivate => matches!(zone, Zone::Public | Zone::Private),
            Scope::PublicOrLoopback => matches!(zone, Zone::Public | Zone::Loopback),
        }
    }
}

/// The zones of hosts connected to, as resolved for the connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<HashMap<String, Zone>>>);

impl Seen {
    /// A host that we never resolved (a proxy did) counts as public: it may send us least far.
    pub(crate) fn zone(&self, location: &Location) -> Zone {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Zone::of_literal(location.host()).or_else(|| seen.get(location.host()).copied()).unwrap_or(Zone::Public)
    }

    fn note(&self, host: &str, zone: Zone) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(host.to_ascii_lowercase(), zone);
    }
}

/// The error inside ureq's error when every address of a host is out of scope.
#[derive(Debug)]
pub(crate) struct OutOfScope;

impl fmt::Display for OutOfScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the address lies in a network that a redirect may not lead to")
    }
}

impl std::error::Error for OutOfScope {}

/// The system's resolver, less the addresses out of scope.
#[derive(Debug)]
pub(crate) struct Guard {
    pub(crate) scope: Scope,
    pub(crate) seen: Seen,
}

impl Resolver for Guard {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let all = DefaultResolver::default().resolve(uri, config, timeout).map_err(|error| match error {
            // The system has one error for every way of not knowing a name.
            ureq::Error::Io(_) => ureq::Error::HostNotFound,
            other => other,
        })?;
        let mut kept = self.empty();
        let mut zone = None;
        for address in all.iter().filter(|a| self.scope.admits(Zone::of(a.ip()))) {
            kept.push(*address);
            // A host with addresses of several kinds counts as public if one is: the strictest reading.
            if zone != Some(Zone::Public) {
                zone = Some(Zone::of(address.ip()));
            }
        }
        match (zone, uri.host()) {
            (Some(zone), Some(host)) => {
                self.seen.note(host, zone);
                Ok(kept)
            }
            _ => Err(ureq::Error::Other(Box::new(OutOfScope))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_zone_of_every_special_range() {
        use Zone::*;
        let table = [
            ("127.0.0.1", Loopback),
            ("127.255.255.254", Loopback),
            ("::1", Loopback),
            ("::ffff:127.0.0.1", Loopback),
            ("::127.0.0.1", Loopback),
            ("64:ff9b::7f00:1", Loopback),
            ("2002:7f00:1::", Loopback),
            ("128.0.0.1", Public),
            ("10.0.0.0", Private),
            ("10.255.255.255", Private),
            ("9.255.255.255", Public),
            ("11.0.0.0", Public),
            ("172.15.255.255", Public),
            ("172.16.0.0", Private),
            ("172.31.255.255", Private),
            ("172.32.0.0", Public),
            ("192.167.255.255", Public),
            ("192.168.0.1", Private),
            ("192.169.0.0", Public),
            ("100.63.255.255", Public),
            ("100.64.0.0", Private),
            ("100.127.255.255", Private),
            ("100.128.0.0", Public),
            ("fc00::1", Private),
            ("fdff::1", Private),
            ("::ffff:10.0.0.1", Private),
            ("::ffff:192.168.1.1", Private),
            ("2002:c0a8:101::1", Private),
            ("64:ff9b::a00:1", Private),
            ("169.254.169.254", Special),
            ("169.254.0.0", Special),
            ("169.253.255.255", Public),
            ("::ffff:169.254.169.254", Special),
            ("64:ff9b::a9fe:a9fe", Special),
            ("2002:a9fe:a9fe::", Special),
            ("fe80::1", Special),
            ("febf::1", Special),
            ("fec0::1", Special),
            ("ff02::1", Special),
            ("::", Special),
            ("0.0.0.0", Special),
            ("0.1.2.3", Special),
            ("::ffff:0.0.0.0", Special),
            ("192.0.0.1", Special),
            ("192.0.2.1", Special),
            ("192.88.99.1", Special),
            ("198.17.255.255", Public),
            ("198.18.0.1", Special),
            ("198.19.255.255", Special),
            ("198.20.0.0", Public),
            ("198.51.100.1", Special),
            ("203.0.113.1", Special),
            ("223.255.255.255", Public),
            ("224.0.0.1", Special),
            ("239.255.255.250", Special),
            ("240.0.0.1", Special),
            ("255.255.255.255", Special),
            ("2001:db8::1", Special),
            ("2001::1", Special),
            ("3fff::1", Special),
            ("64:ff9b:1::1", Special),
            ("100::1", Special),
            ("2001:4860:4860::8888", Public),
            ("2606:4700::1111", Public),
            ("8.8.8.8", Public),
            ("1.1.1.1", Public),
            ("4000::1", Special),
            ("::2", Special),
            ("::ffff:8.8.8.8", Public),
        ];
        for (text, zone) in table {
            assert_eq!(Zone::of(text.parse().unwrap()), zone, "{text}");
        }
    }

    #[test]
    fn knows_addresses_in_disguise() {
        for host in [
            "2130706433",
            "0x7f000001",
            "127.1",
            "0177.0.0.1",
            "0x7f.0.0.1",
            "1.2.3",
            "10.0.0.0x1",
            "999.1.1.1",
            "127.0.0.1.",
        ] {
            assert_eq!(Zone::of_literal(host), Some(Zone::Special), "{host}");
        }
        for host in ["localhost", "localhost.", "x.localhost", "[::1]", "127.0.0.1"] {
            assert_eq!(Zone::of_literal(host), Some(Zone::Loopback), "{host}");
        }
        for host in ["huggingface.co", "cdn-lfs.hf.co", "1e100.net", "0xff.example"] {
            assert_eq!(Zone::of_literal(host), None, "{host}");
        }
    }

    #[test]
    fn a_redirect_never_leads_inwards() {
        use Zone::*;
        for from in [Public, Private, Loopback, Special] {
            for to in [Public, Private, Loopback, Special] {
                let allowed = to == Public || (from == to && to != Special);
                assert_eq!(Scope::from(from).admits(to), allowed, "{from:?} to {to:?}");
            }
        }
    }

    #[test]
    fn refuses_at_the_resolver() {
        let check = |scope, url: &str| {
            let guard = Guard { scope, seen: Seen::default() };
            let timeout = NextTimeout {
                after: ureq::unversioned::transport::time::Duration::NotHappening,
                reason: ureq::Timeout::Resolve,
                ..NextTimeout::default()
            };
            guard.resolve(&url.parse().unwrap(), &Config::default(), timeout).is_ok()
        };
        for url in ["http://127.0.0.1:1/", "http://localhost:1/", "http://2130706433:1/", "http://127.1:1/"] {
            assert!(check(Scope::Any, url), "{url}");
            assert!(!check(Scope::Public, url), "{url}");
            assert!(!check(Scope::PublicOrPrivate, url), "{url}");
        }
        assert!(!check(Scope::PublicOrLoopback, "http://169.254.169.254/"));
        assert!(!check(Scope::PublicOrLoopback, "http://10.0.0.1/"));
        assert!(check(Scope::PublicOrPrivate, "http://10.0.0.1/"));
    }
}
