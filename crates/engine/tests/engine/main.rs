//! The engine against models with known answers.

mod beams;
mod generating;
mod rails;
mod scoring;
mod simulation;
mod speculation;
mod toy;
