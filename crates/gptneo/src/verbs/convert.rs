//! `gptneo convert`: from safetensors, PyTorch or GGUF to GGUF or to a directory in Hugging Face layout.

use std::fs;
use std::path::Path;

use gptneo_checkpoint::gguf::Metadata;
use gptneo_device::DType;
use gptneo_model::{Storage, Written, write_gguf, write_hf};
use serde::Serialize;

use crate::args::ConvertArgs;
use crate::failure::Failure;
use crate::load::{cpu, layer_type, tell_fallbacks};
use crate::lora::{self, adapter};
use crate::open::{Opened, Watched, open};
use crate::output::{check_directory, check_file, tokenizer_keys};
use crate::progress::{Progress, Unit};
use crate::terminal;
use crate::verbs::World;

#[derive(Serialize)]
struct Report<'a> {
    model: &'a str,
    output: String,
    format: &'static str,
    #[serde(rename = "type")]
    dtype: &'static str,
    file_bytes: u64,
    tokenizer: bool,
}

pub(crate) fn run(args: &ConvertArgs, world: &World) -> Result<(), Failure> {
    if let Some(dtype) = args.dtype.filter(|dtype| !dtype.is_float()) {
        return Err(Failure::usage(format!("convert keeps every weight exact, and {dtype} does not"))
            .hint(format!("gptneo quantize --type {dtype}")));
    }
    let opened = open(args.model.as_deref(), &args.hub, world.environment, &world.interrupt)?;
    let gguf = args.output.extension().is_some_and(|e| e.eq_ignore_ascii_case("gguf"));
    if args.output.extension().is_some_and(|e| e.eq_ignore_ascii_case("safetensors")) {
        return Err(Failure::usage(
            "a model in Hugging Face layout is a directory: its configuration and tokenizer too",
        )
        .hint("-o with the name of a directory"));
    }
    if gguf {
        check_file(&args.output, args.force, &opened)?;
    } else {
        check_directory(&args.output, args.force, &opened)?;
    }
    let tokenizer = opened.tokenizer()?;
    let stored = layer_type(opened.source());
    let dtype = args.dtype.unwrap_or(if gguf || stored.is_float() { stored } else { DType::F32 });
    if dtype != stored && args.dtype.is_none() {
        terminal::warn(&format!("{stored} has no place in safetensors: writing the same values as {dtype}"));
    }
    let device = cpu(&args.machine, world.environment)?;
    let adapter = adapter(&args.lora, &device, opened.config())?;
    let mut bar = Progress::new("converting", opened.config().parameters(), Unit::Parameters);
    let heeded = world.interrupt.heed();
    let keys = match &tokenizer {
        Some(tokenizer) if gguf => tokenizer_keys(tokenizer, opened.config().vocab)?,
        _ => Metadata::new(),
    };
    let storage = args.dtype.map(Storage::new).transpose()?;
    let written = lora::merged(&opened, adapter.as_ref(), &device, |source| {
        let source = Watched { source, interrupt: &world.interrupt };
        let mut progress = |p: gptneo_model::Progress| bar.at(p.done);
        Ok(match gguf {
            true => write_gguf(&device, &source, storage, &keys, &args.output, &mut progress),
            false => write_hf(&device, &source, dtype, &args.output, &mut progress),
        })
    })?;
    drop(bar);
    world.interrupt.check()?;
    drop(heeded);
    let Written { bytes, fallbacks } = written?;
    tell_fallbacks(&fallbacks);
    if let (Some(tokenizer), false) = (&tokenizer, gguf) {
        write(&args.output.join("tokenizer.json"), &tokenizer.json())?;
        write(&args.output.join("tokenizer_config.json"), &tokenizer.config_json())?;
    }
    let report = Report {
        model: &opened.name,
        output: args.output.display().to_string(),
        format: if gguf { "gguf" } else { "safetensors" },
        dtype: dtype.name(),
        file_bytes: bytes,
        tokenizer: tokenizer.is_some(),
    };
    if args.json { terminal::json(&report) } else { page(&report, &opened) }
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(|error| Failure::io("cannot write", path, &error))
}

fn page(report: &Report<'_>, opened: &Opened) -> Result<(), Failure> {
    let tokenizer = if report.tokenizer { "with its tokenizer" } else { "without a tokenizer, as it came" };
    terminal::line(&format!(
        "{}: {} as {} in {}, {}, {tokenizer}",
        report.output,
        opened.config().family,
        report.dtype,
        report.format,
        terminal::size(report.file_bytes)
    ))
}
