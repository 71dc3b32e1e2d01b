//! How fast token shards are written, opened and read in the order of training.
//!
//! `cargo bench -p gptneo-text --bench shards -- FOLDER [MILLIONS]` writes shards of that many million tokens (20) into a
//! folder that must not exist, measures, and removes it.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark reports")]

use std::path::Path;
use std::time::Instant;

use gptneo_text::shards::{Dataset, Manifest, Mixture, Order, Settings, ShardWriter, Split, Stamp, TokenizerEntry};

const VOCAB: u32 = 50_257;
const DOCUMENT: usize = 500;
const SHARD: u64 = 10_000_000;
const SEQ_LEN: usize = 1024;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let Some(folder) = args.next() else {
        eprintln!("usage: shards FOLDER [MILLIONS]");
        return Ok(());
    };
    let tokens = args.next().map_or(Ok(20), |text| text.parse::<u64>())? * 1_000_000;
    let folder = Path::new(&folder);
    std::fs::create_dir(folder)?;
    let outcome = measure(folder, tokens);
    std::fs::remove_dir_all(folder)?;
    outcome
}

fn measure(folder: &Path, tokens: u64) -> Result<(), Box<dyn std::error::Error>> {
    let tokenizer = TokenizerEntry { sha256: "00".repeat(32), vocab_size: VOCAB, end_of_text: VOCAB - 1 };
    let settings = Settings { format: None, field: "text".into(), shard_tokens: SHARD, held_out_ppm: 0 };
    let mut manifest = Manifest::new(tokenizer, settings);
    let ids: Vec<u32> = (0..DOCUMENT as u32).map(|at| at * 97 % VOCAB).collect();
    let started = Instant::now();
    for number in 0..tokens.div_ceil(SHARD) {
        let mut writer = ShardWriter::create(&folder.join(Split::Train.shard(number)), VOCAB, [0; 32])?;
        for record in 1..=SHARD / DOCUMENT as u64 {
            writer.push(&ids, Stamp { source: 0, record, text_bytes: 2000 })?;
        }
        manifest.train.push(writer.finish()?);
    }
    manifest.write(folder)?;
    let millions = manifest.train.tokens as f64 / 1e6;
    println!("write: {:.0} million tokens/s, hashed and flushed", millions / started.elapsed().as_secs_f64());

    let started = Instant::now();
    let order = Order::new(Mixture::single(Dataset::open(folder, Split::Train)?)?, SEQ_LEN, 1)?;
    order.sequence(1 << 40)?;
    println!("open, and the sequence at step 2^40: {:.2?}", started.elapsed());
    for pass in ["first, each piece checked", "second"] {
        let started = Instant::now();
        let count = order.epoch(0).min(20_000);
        for index in 0..count {
            order.sequence(index)?;
        }
        let seconds = started.elapsed().as_secs_f64();
        println!("{pass} reading: {:.1} million tokens/s", count as f64 * SEQ_LEN as f64 / 1e6 / seconds);
    }
    Ok(())
}
