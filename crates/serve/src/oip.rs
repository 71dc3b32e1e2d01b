//! The Open Inference Protocol v2, which KServe, Seldon Core and Triton speak: text in, text out.
//!
//! A request brings its texts as the input `text` (BYTES, `[n]`) or token ids as `tokens` (INT32 or INT64, `[t]` or `[n, t]`), and how
//! tokens are chosen in its `parameters`, by the names of [`crate::openai::Settings`]. It gets `text` and `finish_reason` (BYTES) and
//! `tokens` (INT32: how many were generated), each `[n]`.

mod infer;
mod rest;

pub(crate) use rest::routes;
