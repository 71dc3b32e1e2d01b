//! How many connections this process may have open: most systems allow a thousand files until a process asks for more.

/// Files that are open beside connections.
const OTHERS: u64 = 128;

/// Asks the system for room for `connections`; returns for how many there is.
#[cfg(unix)]
pub(crate) fn room(connections: usize) -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let wanted = connections as u64 + OTHERS;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_some_and(|now| now < wanted) {
        let most = maximum.map_or(wanted, |most| most.min(wanted));
        // Where the system refuses, the limit stays, and is read below.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum });
    }
    let allowed = getrlimit(Resource::Nofile).current.map_or(wanted, |now| now.min(wanted));
    usize::try_from(allowed.saturating_sub(OTHERS)).unwrap_or(connections).max(1)
}

/// Asks the system for room for `connections`; returns for how many there is.
#[cfg(not(unix))]
pub(crate) fn room(connections: usize) -> usize {
    connections
}
