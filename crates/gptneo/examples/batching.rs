//! Continuous batching: requests of different lengths share the model, join and leave at any step.
//! `cargo run --release --example batching -- MODEL_DIRECTORY`.

use std::collections::HashMap;
use std::error::Error;
use std::io::Write;
use std::path::Path;

use gptneo::engine::{Event, Request, Scheduler, SchedulerOptions};
use gptneo::kernels::{Cpu, CpuOptions};
use gptneo::model::{LoadOptions, load, open};
use gptneo::text::Tokenizer;

fn main() -> Result<(), Box<dyn Error>> {
    let model = std::env::args().nth(1).ok_or("wanted: batching MODEL_DIRECTORY")?;
    let source = open(Path::new(&model))?;
    let tokenizer = Tokenizer::open(Path::new(&model))?;
    // The cache of all sequences together: when it is full, the youngest waits.
    let options = LoadOptions { cache_positions: Some(1024), ..LoadOptions::default() };
    let loaded = load(Cpu::new(CpuOptions::default())?, &source, &options, &mut |_| {})?;
    let options = SchedulerOptions::default();
    let mut scheduler = Scheduler::new(Box::new(loaded.decoder), Some(tokenizer), Vec::new(), options);

    let mut prompts = ["Once upon a time", "The cat", "A boy", "In the garden"].into_iter();
    let mut names = HashMap::new();
    let mut out = std::io::stdout().lock();
    for step in 0.. {
        // A new request every eighth step, while the others go on.
        if let Some(prompt) = (step % 8 == 0).then(|| prompts.next()).flatten() {
            let request = Request { max_tokens: Some(24), ..Request::new(prompt) };
            names.insert(scheduler.submit(request)?, prompt);
        } else if scheduler.idle() {
            return Ok(());
        }
        for (ticket, event) in scheduler.step() {
            match event {
                Event::Finished(done) => writeln!(out, "step {step}: {}{:?}", names[&ticket], done.text)?,
                Event::Failed(error) => writeln!(out, "step {step}: {}: {error}", names[&ticket])?,
                _ => {}
            }
        }
    }
    Ok(())
}
