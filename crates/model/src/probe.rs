//! Seeing and changing named activations.
//!
//! Names: `embedding`; for each layer `i` `layers.{i}.norm_1`, `.query`, `.key` (both before rotary embedding),
//! `.value`, `.attention` (heads joined, before the output matrix), `.attention_output`, `.norm_2`, `.inner` (before
//! the activation), `.activated`, `.mlp_output`, `.residual` (what the layer leaves); then `final` and `logits`.

/// One activation of the decoder.
#[derive(Debug)]
pub struct Activation<'a> {
    /// Its name, see the [module](self).
    pub name: &'a str,
    /// Values in one row.
    pub width: usize,
    /// `[N, width]`; what the probe leaves here is what the decoder goes on with.
    pub values: &'a mut [f32],
}

/// Is shown every activation, in order, and may change it.
pub trait Probe {
    /// Whether this activation is to be shown. Those that are not wanted cost nothing to skip.
    fn wants(&mut self, name: &str) -> bool {
        let _ = name;
        true
    }

    /// Sees an activation; returns whether it was changed.
    fn see(&mut self, activation: Activation<'_>) -> bool;
}
