//! How likely each word of a text is: `cargo run --release --example score -- MODEL_DIRECTORY "some text"`.

use std::error::Error;
use std::io::Write;
use std::path::Path;

use gptneo::engine::Engine;
use gptneo::kernels::{Cpu, CpuOptions};
use gptneo::model::{LoadOptions, load, open};
use gptneo::text::Tokenizer;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(model), Some(text)) = (args.next(), args.next()) else {
        return Err("wanted: score MODEL_DIRECTORY TEXT".into());
    };
    let source = open(Path::new(&model))?;
    let tokenizer = Tokenizer::open(Path::new(&model))?;
    let loaded = load(Cpu::new(CpuOptions::default())?, &source, &LoadOptions::default(), &mut |_| {})?;
    let mut engine = Engine::new(Box::new(loaded.decoder), Some(tokenizer.clone()));

    // With text there is a log-probability for each token; the first follows the token that begins a text.
    let score = engine.score_text(&text, Some(1))?;
    let mut out = std::io::stdout().lock();
    for ((&id, logprob), position) in score.tokens.iter().zip(&score.logprobs).zip(&score.positions) {
        let word = String::from_utf8_lossy(tokenizer.token_bytes(id).unwrap_or_default()).into_owned();
        let guess = position.top.first().map_or(0, |&(id, _)| id);
        let guess = String::from_utf8_lossy(tokenizer.token_bytes(guess).unwrap_or_default()).into_owned();
        writeln!(out, "{logprob:8.3}  {word:?}, and then perhaps {guess:?}")?;
    }
    writeln!(out, "perplexity {:.3}", score.perplexity())?;
    Ok(())
}
