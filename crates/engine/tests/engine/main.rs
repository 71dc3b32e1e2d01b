//! The engine against models with known answers.

mod beams;
mod generating;
mod golden;
mod rails;
mod scoring;
mod simulation;
mod sources;
mod speculation;
mod toy;
