//! The Open Inference Protocol v2, which KServe, Seldon Core and Triton speak: text in, text out.
//!
//! A request brings its texts as the input `text` (BYTES, `[n]`) or token ids as `tokens` (INT32 or INT64, `[t]` or `[n, t]`), and how
//! tokens are chosen in its `parameters`, by the names of [`crate::openai::Settings`]. It gets `text` and `finish_reason` (BYTES) and
//! `tokens` (INT32: how many were generated), each `[n]`.

mod grpc;
mod infer;
#[allow(clippy::all, clippy::pedantic, missing_docs, unreachable_pub, dead_code, reason = "generated: see proto/open_inference.proto")]
#[rustfmt::skip]
mod inference;
mod rest;

pub(crate) use grpc::Service;
pub(crate) use inference::grpc_inference_service_server::GrpcInferenceServiceServer;
pub(crate) use rest::routes;
