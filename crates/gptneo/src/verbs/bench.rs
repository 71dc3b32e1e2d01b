//! `gptneo bench`: how fast a model reads and writes here, and what share that is of what the machine can do.
//!
//! The machine's limits are measured first, and the speed of memory again after every round, since on a shared machine it
//! changes within seconds. `decode_share` is bytes of weights and cache that a token must read, times tokens a
//! second, over the speed of memory; `prefill_share` is operations a token needs, times tokens a second, over the speed
//! of f32 arithmetic (so an integer kernel can pass 1). Figures are medians over rounds; those named `best` are for comparison with
//! programs that print their best.

mod serve;
mod train;

use std::time::Instant;

use gptneo_device::PAGE;
use gptneo_kernels::{Cpu, measure};
use gptneo_model::{AdapterId, LanguageModel, ModelError, Run, SequenceId, Want};
use serde::Serialize;

use crate::args::{BenchArgs, BenchVerb};
use crate::failure::Failure;
use crate::load::{Plan, cpu};
use crate::lora::adapter;
use crate::memory as machine;
use crate::open::open;
use crate::terminal;
use crate::verbs::World;

#[derive(Serialize)]
struct Report<'a> {
    model: &'a str,
    family: &'static str,
    parameters: u64,
    weights_type: &'static str,
    output_type: &'static str,
    cache_type_k: &'static str,
    cache_type_v: &'static str,
    device: String,
    threads: usize,
    isa: &'static str,
    prompt: usize,
    #[serde(rename = "gen")]
    generated: usize,
    repeat: u32,
    load_ms: f64,
    weight_bytes: u64,
    read_gb_per_s: f64,
    f32_gflop_per_s: f64,
    prefill_tokens_per_s: f64,
    prefill_best_tokens_per_s: f64,
    prefill_share: f64,
    decode_tokens_per_s: f64,
    decode_share: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch_tokens_per_s: Option<f64>,
    peak_rss_bytes: Option<u64>,
}

pub(crate) fn run(args: &BenchArgs, world: &World) -> Result<(), Failure> {
    if let Some(BenchVerb::Serve(args)) = &args.verb {
        return serve::run(args, world);
    }
    if args.train {
        return train::run(args, world);
    }
    let opened = open(args.model.model.as_deref(), &args.hub, world.environment, &world.interrupt)?;
    opened.language_model()?;
    let length = args.prompt.saturating_add(args.generate);
    let room = |_: usize| {
        let alone = length.next_multiple_of(PAGE) + PAGE;
        let each = args.generate.next_multiple_of(PAGE) + PAGE;
        alone.max(args.batch.unwrap_or(0).saturating_mul(each))
    };
    let plan = Plan::new(&opened, &args.model, room)?;
    if length > plan.context {
        return Err(Failure::usage(format!(
            "a prompt of {} and {} tokens more are beyond the context of {}",
            args.prompt, args.generate, plan.context
        ))
        .hint("a smaller --prompt or --gen"));
    }
    plan.check(&opened)?;
    let cpu = cpu(&args.machine, world.environment)?;
    let (threads, isa) = (cpu.threads(), cpu.isa().name());
    let f32_gflop_per_s = measure::f32_gflop_per_s(&cpu);
    let mut memory = MemorySpeed::new(self::cpu(&args.machine, world.environment)?)?;
    world.interrupt.check()?;

    let _heeded = world.interrupt.heed();
    let adapter = adapter(&args.model.lora, &cpu, opened.config())?;
    let mut loaded = plan.beside(adapter.as_ref()).load(&opened, cpu, &world.interrupt)?;
    let adapted = adapter.as_ref().map(|adapter| loaded.model.add_adapter(adapter)).transpose()?;
    let mut subject = Subject { model: loaded.model.as_mut(), adapter: adapted };
    let ids: Vec<u32> = (0..length).map(|i| ((i * 7919 + 13) % opened.config().vocab) as u32).collect();
    let (prompt, generated) = ids.split_at(args.prompt);
    // Untimed: pages are touched, buffers grow, threads wake.
    round(&mut subject, &prompt[..prompt.len().min(PAGE)], &generated[..1], world)?;
    let (mut prefill, mut decode, mut batch) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..args.repeat {
        let (reading, writing) = round(&mut subject, prompt, generated, world)?;
        prefill.push(prompt.len() as f64 / reading);
        decode.extend(writing.iter().map(|seconds| 1.0 / seconds));
        if let Some(sequences) = args.batch {
            batch.push(together(&mut subject, sequences, args.generate, world)?);
        }
        memory.measure()?;
    }
    let read_gb_per_s = median(&mut memory.reads);
    let best = prefill.iter().copied().fold(0.0, f64::max);
    let (prefill, decode) = (median(&mut prefill), median(&mut decode));
    let model = subject.model;
    // Of an adapter each token reads, and multiplies with, every number.
    let numbers = adapter.map_or(0, |adapter| adapter.parameters());
    let operations = |held: usize| model.token_operations(held, held + 1 == prompt.len()) + 2 * numbers;
    let operations: u64 = (0..prompt.len()).map(operations).sum();
    let bytes: u64 = (0..generated.len()).map(|i| model.token_bytes(prompt.len() + i) + 4 * numbers).sum();
    let spec = model.spec();
    let report = Report {
        model: &opened.name,
        family: spec.family.name(),
        parameters: spec.parameters,
        weights_type: spec.weights.name(),
        output_type: spec.output.name(),
        cache_type_k: terminal::cache_name(spec.key),
        cache_type_v: terminal::cache_name(spec.value),
        device: loaded.device,
        threads,
        isa,
        prompt: args.prompt,
        generated: args.generate,
        repeat: args.repeat,
        load_ms: loaded.took.as_secs_f64() * 1e3,
        weight_bytes: model.weight_bytes(),
        read_gb_per_s,
        f32_gflop_per_s,
        prefill_tokens_per_s: prefill,
        prefill_best_tokens_per_s: best,
        prefill_share: operations as f64 / prompt.len() as f64 * prefill / 1e9 / f32_gflop_per_s,
        decode_tokens_per_s: decode,
        decode_share: bytes as f64 / generated.len() as f64 * decode / 1e9 / read_gb_per_s,
        batch: args.batch,
        batch_tokens_per_s: args.batch.map(|_| median(&mut batch)),
        peak_rss_bytes: memory.peak,
    };
    if args.json { terminal::json(&report) } else { page(&report) }
}

/// How fast memory is read, asked for again and again.
struct MemorySpeed {
    cpu: Cpu,
    /// GB/s.
    reads: Vec<f64>,
    /// The most memory held since the first measurement, but for what the measurements took.
    peak: Option<u64>,
}

impl MemorySpeed {
    fn new(cpu: Cpu) -> Result<Self, Failure> {
        let first = measure::read_gb_per_s(&cpu)?;
        machine::forget_peak();
        Ok(Self { cpu, reads: vec![first], peak: None })
    }

    fn measure(&mut self) -> Result<(), Failure> {
        self.peak = self.peak.max(machine::peak());
        self.reads.push(measure::read_gb_per_s(&self.cpu)?);
        machine::forget_peak();
        Ok(())
    }
}

/// What is measured.
struct Subject<'a> {
    model: &'a mut dyn LanguageModel,
    adapter: Option<AdapterId>,
}

impl Subject<'_> {
    fn open(&mut self) -> Result<SequenceId, ModelError> {
        match self.adapter {
            Some(adapter) => self.model.open_adapted(adapter),
            None => Ok(self.model.open()),
        }
    }
}

/// Seconds that one sequence takes to read the prompt, and to take each of the generated tokens.
fn round(
    subject: &mut Subject<'_>,
    prompt: &[u32],
    generated: &[u32],
    world: &World,
) -> Result<(f64, Vec<f64>), Failure> {
    let sequence = subject.open()?;
    let model = &mut *subject.model;
    let mut logits = Vec::new();
    let begun = Instant::now();
    model.forward(&[Run::tokens(sequence, prompt, Want::Last)], &mut logits)?;
    let reading = begun.elapsed().as_secs_f64();
    world.interrupt.check()?;
    let mut writing = Vec::with_capacity(generated.len());
    for token in generated.chunks(1) {
        let begun = Instant::now();
        logits.clear();
        model.forward(&[Run::tokens(sequence, token, Want::Last)], &mut logits)?;
        writing.push(begun.elapsed().as_secs_f64());
        world.interrupt.check()?;
    }
    model.close(sequence);
    Ok((reading, writing))
}

/// Tokens a second of so many sequences at once, all beginning with nothing.
fn together(subject: &mut Subject<'_>, sequences: usize, tokens: usize, world: &World) -> Result<f64, Failure> {
    let open: Vec<SequenceId> = (0..sequences).map(|_| subject.open()).collect::<Result<_, _>>()?;
    let model = &mut *subject.model;
    let vocab = model.spec().vocab;
    let mut logits = Vec::new();
    let begun = Instant::now();
    for step in 0..tokens {
        let ids: Vec<[u32; 1]> = (0..sequences).map(|i| [((i * 7919 + step) % vocab) as u32]).collect();
        let runs: Vec<Run<'_>> = open.iter().zip(&ids).map(|(&s, id)| Run::tokens(s, id, Want::Last)).collect();
        logits.clear();
        model.forward(&runs, &mut logits)?;
        world.interrupt.check()?;
    }
    let took = begun.elapsed().as_secs_f64();
    open.into_iter().for_each(|sequence| model.close(sequence));
    Ok((sequences * tokens) as f64 / took)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}

fn page(report: &Report<'_>) -> Result<(), Failure> {
    terminal::line(&format!(
        "{}: {} parameters, weights {} (output {}), keys {}, values {}",
        report.model,
        terminal::grouped(report.parameters),
        report.weights_type,
        report.output_type,
        report.cache_type_k,
        report.cache_type_v
    ))?;
    terminal::line(&format!(
        "{}: reads {:.1} GB/s, multiplies {:.0} GFLOP/s in f32",
        report.device, report.read_gb_per_s, report.f32_gflop_per_s
    ))?;
    let row = |what: String, speed: f64, share: String| vec![what, format!("{speed:.1}"), "tok/s".to_owned(), share];
    let mut rows = vec![
        row(
            format!("prompt of {}", report.prompt),
            report.prefill_tokens_per_s,
            format!("{:.0} % of f32 arithmetic", report.prefill_share * 100.0),
        ),
        row(
            format!("{} tokens after it", report.generated),
            report.decode_tokens_per_s,
            format!("{:.0} % of memory speed", report.decode_share * 100.0),
        ),
    ];
    if let (Some(batch), Some(speed)) = (report.batch, report.batch_tokens_per_s) {
        rows.push(row(format!("{batch} sequences at once"), speed, "all together".to_owned()));
    }
    terminal::line(&terminal::columns(&rows, &[false, true, false, false]))?;
    let peak = report.peak_rss_bytes.map_or_else(|| "-".to_owned(), terminal::size);
    terminal::line(&format!(
        "weights {}, peak memory {peak}, loaded in {:.2} s",
        terminal::size(report.weight_bytes),
        report.load_ms / 1e3
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), 2.5);
    }
}
