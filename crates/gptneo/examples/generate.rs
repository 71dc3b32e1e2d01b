//! Continues a prompt: `cargo run --release --example generate -- MODEL_DIRECTORY "Once upon a time"`.

use std::error::Error;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;

use gptneo::engine::{Engine, Request, Sampling};
use gptneo::kernels::{Cpu, CpuOptions};
use gptneo::model::{LoadOptions, load, open};
use gptneo::text::Tokenizer;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(model), Some(prompt)) = (args.next(), args.next()) else {
        return Err("wanted: generate MODEL_DIRECTORY PROMPT".into());
    };
    let source = open(Path::new(&model))?;
    let tokenizer = Tokenizer::open(Path::new(&model))?;
    let loaded = load(Cpu::new(CpuOptions::default())?, &source, &LoadOptions::default(), &mut |_| {})?;
    let mut engine = Engine::new(Box::new(loaded.decoder), Some(tokenizer));

    let sampling = Sampling { temperature: 0.8, top_k: 40, seed: 1, ..Sampling::default() };
    let request = Request { max_tokens: Some(100), sampling, ..Request::new(prompt) };
    let mut out = std::io::stdout();
    let done = engine.generate(request, &mut |piece| match out.write_all(piece.text.as_bytes()).and(out.flush()) {
        Ok(()) => ControlFlow::Continue(()),
        Err(_) => ControlFlow::Break(()),
    })?;
    writeln!(
        out,
        "\n({}, {:.0} tokens/s)",
        done[0].finish_reason(),
        done[0].timings.decode_tokens_per_s().unwrap_or(0.0)
    )?;
    Ok(())
}
