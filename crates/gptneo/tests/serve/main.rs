//! `gptneo serve` as its clients meet it: the real binary, on the model that is built in, over real sockets.
//!
//! What is counted in thousands is counted so here; how fast it goes is measured elsewhere (`bench/serving.py`).
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by its panic")]
#![cfg(unix)]

mod answers;
mod doors;
mod hostile;
mod http;
mod limits;
mod reference;
mod server;
mod storms;
