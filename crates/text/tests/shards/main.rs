//! Token shards: what was written is read, what is damaged is refused, and the order of sequences is what it promises.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod damage;
mod order;
mod round_trip;
mod world;
