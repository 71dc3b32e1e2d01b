//! Text from the weights at hand, through the engine.

use std::ops::ControlFlow;

use gptneo_device::Device;
use gptneo_engine::{Engine, Request, Sampling};
use gptneo_model::{LoadOptions, TensorSource, load};
use gptneo_text::Tokenizer;

use crate::error::TrainError;
use crate::recipe::SampleRecipe;

/// Continues every prompt of the recipe; `seed` decides what is drawn.
///
/// # Errors
/// Prompts that the model cannot take, and what loading it refuses.
pub(crate) fn samples<D: Device>(
    device: D,
    weights: &dyn TensorSource,
    tokenizer: &Tokenizer,
    recipe: &SampleRecipe,
    seed: u64,
) -> Result<Vec<String>, TrainError> {
    let positions = weights.config().positions;
    let options = LoadOptions { context: Some(positions), cache_positions: Some(positions), ..LoadOptions::default() };
    let loaded = load(device, weights, &options, &mut |_| ())?;
    let mut engine = Engine::new(Box::new(loaded.decoder), Some(tokenizer.clone()));
    let mut texts = Vec::with_capacity(recipe.prompts.len());
    for prompt in &recipe.prompts {
        let sampling = Sampling { temperature: recipe.temperature, seed, ..Sampling::default() };
        let request = Request { max_tokens: Some(recipe.tokens), sampling, ..Request::new(prompt.as_str()) };
        let generated = engine.generate(request, &mut |_| ControlFlow::Continue(()))?;
        texts.extend(generated.into_iter().map(|generation| generation.text));
    }
    Ok(texts)
}
