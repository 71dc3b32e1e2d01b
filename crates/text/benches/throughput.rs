//! How fast text becomes ids and ids become text, on one core.
//!
//! `cargo bench -p gptneo-text -- TOKENIZER_JSON FILE...` prints MB/s of UTF-8 for each file (plain text): cold with an
//! empty word cache, and the best of five with a warm one.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark reports")]

use std::path::PathBuf;
use std::time::Instant;

use gptneo_text::{Special, Tokenizer};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args_os().skip(1).filter(|arg| arg != "--bench").map(PathBuf::from);
    let Some(json) = args.next() else {
        eprintln!("usage: throughput TOKENIZER_JSON FILE...");
        return Ok(());
    };
    let bytes = std::fs::read(&json)?;
    let started = Instant::now();
    let tokenizer = Tokenizer::from_json(&bytes)?;
    println!("{}: {} tokens, read in {:.1?}", json.display(), tokenizer.token_count(), started.elapsed());
    for path in args {
        let text = String::from_utf8_lossy(&std::fs::read(&path)?).into_owned();
        let megabytes = text.len() as f64 / 1e6;
        let fresh = Tokenizer::from_json(&bytes)?;
        let started = Instant::now();
        let ids = fresh.encode(&text)?;
        let cold = megabytes / started.elapsed().as_secs_f64();
        let best = |work: &dyn Fn() -> usize| {
            let rate = |_| {
                let started = Instant::now();
                std::hint::black_box(work());
                megabytes / started.elapsed().as_secs_f64()
            };
            (0..5).map(rate).fold(0.0, f64::max)
        };
        let encode = best(&|| fresh.encode(&text).map_or(0, |ids| ids.len()));
        let decode = best(&|| fresh.decode(&ids, Special::Keep).map_or(0, |text| text.len()));
        let stream = best(&|| {
            let mut stream = fresh.stream(Special::Keep);
            ids.iter().map(|&id| stream.push(id).map_or(0, str::len)).sum()
        });
        println!(
            "{}: {megabytes:.2} MB, {} ids; MB/s: encode {cold:.0} cold, {encode:.0} warm; decode {decode:.0}; stream {stream:.0}",
            path.display(),
            ids.len(),
        );
    }
    Ok(())
}
