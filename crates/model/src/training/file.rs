//! Parameters as the tensors of a Hugging Face checkpoint, for those who write the file themselves.

use crate::config::Config;
use crate::error::LoadError;
use crate::family::Layout as Stored;
use crate::layout;

use super::layout::{Part, Slot};

/// The shape that the checkpoint's tensor of a parameter has: GPT-2 keeps its matrices transposed.
pub fn file_shape(config: &Config, slot: &Slot) -> Vec<usize> {
    match stored(config, slot) {
        Stored::Transposed => slot.shape.iter().rev().copied().collect(),
        Stored::Plain | Stored::HeadMajor => slot.shape.clone(),
    }
}

/// The bytes of the checkpoint's tensor: f32, little-endian, in the order that its family keeps.
///
/// # Errors
/// If there is no room for them.
///
/// # Panics
/// If the values are not as many as the slot has.
pub fn file_bytes(config: &Config, slot: &Slot, values: &[f32]) -> Result<Vec<u8>, LoadError> {
    assert_eq!(values.len(), slot.range.len(), "the values of {}", slot.name);
    let mut bytes = layout::zeroed(4 * values.len())?;
    for (bytes, value) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(values) {
        *bytes = value.to_le_bytes();
    }
    let cols = slot.shape.get(1).copied();
    match (stored(config, slot), cols) {
        (Stored::Transposed, Some(cols)) => layout::transpose(&bytes, slot.shape[0], cols, 4),
        (Stored::HeadMajor, cols) => {
            layout::head_major(&bytes, config.heads, 4 * config.head_size() * cols.unwrap_or(1))
        }
        _ => Ok(bytes),
    }
}

fn stored(config: &Config, slot: &Slot) -> Stored {
    let (_, stored) = config.family.hf_name(slot.role, slot.layer).expect("slots come from the family's table");
    match (slot.part, stored) {
        (Part::Whole, stored) => stored,
        // The outputs of a factor are ordered as its matrix's; neither is ever transposed.
        (Part::Up, Stored::HeadMajor) => Stored::HeadMajor,
        (Part::Up | Part::Down, _) => Stored::Plain,
    }
}
