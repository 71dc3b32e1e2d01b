//! `gptneo bench --train`: tokens a second of whole training steps, and their share of f32 arithmetic.

use gptneo_kernels::measure;
use gptneo_train::operations_per_token;
use serde::Serialize;

use super::median;
use crate::args::BenchArgs;
use crate::failure::{Failure, Kind};
use crate::load::cpu;
use crate::memory as machine;
use crate::open::open;
use crate::terminal;
use crate::verbs::World;

#[derive(Serialize)]
struct Report<'a> {
    model: &'a str,
    parameters: u64,
    device: String,
    threads: usize,
    isa: &'static str,
    batch: usize,
    seq: usize,
    steps: usize,
    f32_gflop_per_s: f64,
    gemm_gflop_per_s: f64,
    gflop_per_token: f64,
    train_tokens_per_s: f64,
    train_best_tokens_per_s: f64,
    /// Of what the registers can do.
    train_share: f64,
    /// Of what one large product reaches.
    train_share_of_gemm: f64,
    gradient_seconds: f64,
    step_seconds: f64,
    planned_bytes: u64,
    peak_rss_bytes: Option<u64>,
}

pub(super) fn run(args: &BenchArgs, world: &World) -> Result<(), Failure> {
    let opened = open(args.model.model.as_deref(), &args.hub, world.environment, &world.interrupt)?;
    opened.language_model()?;
    let config = opened.config().clone();
    let (batch, seq, steps) = (args.batch.unwrap_or(4), args.seq, args.repeat as usize);
    if seq > config.positions {
        return Err(Failure::usage(format!("--seq {seq} is more than the model's {} positions", config.positions)));
    }
    let cpu = cpu(&args.machine, world.environment)?;
    let (threads, isa) = (cpu.threads(), cpu.isa().name());
    let device = gptneo_device::Device::describe(&cpu);
    let f32_gflop_per_s = measure::f32_gflop_per_s(&cpu);
    let gemm_before = measure::gemm_gflop_per_s(&cpu)?;
    world.interrupt.check()?;
    machine::forget_peak();
    let _heeded = world.interrupt.heed();
    let parameters = config.parameters();
    let gflop_per_token = operations_per_token(&config, seq) / 1e9;
    let go_on = || !world.interrupt.pressed();
    let mut measured = gptneo_train::measure(cpu, config, batch, seq, steps, go_on)?;
    world.interrupt.check()?;
    if !measured.losses.iter().all(|loss| loss.is_finite()) {
        return Err(Failure::new(Kind::Internal, "the measured steps gave no finite loss"));
    }
    let gemm_after = measure::gemm_gflop_per_s(&self::cpu(&args.machine, world.environment)?)?;
    let gemm_gflop_per_s = f64::midpoint(gemm_before, gemm_after);
    let best = measured.seconds.iter().copied().fold(f64::INFINITY, f64::min);
    let step_seconds = median(&mut measured.seconds);
    let train_tokens_per_s = (batch * seq) as f64 / step_seconds;
    let report = Report {
        model: &opened.name,
        parameters,
        device,
        threads,
        isa,
        batch,
        seq,
        steps,
        f32_gflop_per_s,
        gemm_gflop_per_s,
        gflop_per_token,
        train_tokens_per_s,
        train_best_tokens_per_s: (batch * seq) as f64 / best,
        train_share: train_tokens_per_s * gflop_per_token / f32_gflop_per_s,
        train_share_of_gemm: train_tokens_per_s * gflop_per_token / gemm_gflop_per_s,
        gradient_seconds: median(&mut measured.gradient_seconds),
        step_seconds,
        planned_bytes: measured.planned_bytes,
        peak_rss_bytes: machine::peak(),
    };
    if args.json { terminal::json(&report) } else { page(&report) }
}

fn page(report: &Report<'_>) -> Result<(), Failure> {
    terminal::line(&format!("{}: {} parameters", report.model, terminal::grouped(report.parameters)))?;
    terminal::line(&format!(
        "{}: registers multiply {:.0} GFLOP/s in f32, a large product {:.0}",
        report.device, report.f32_gflop_per_s, report.gemm_gflop_per_s
    ))?;
    terminal::line(&format!(
        "training, {} x {} tokens: {:.1} tok/s, {:.0} % of f32 arithmetic, {:.0} % of a product's speed ({:.3} GFLOP a token)",
        report.batch,
        report.seq,
        report.train_tokens_per_s,
        report.train_share * 100.0,
        report.train_share_of_gemm * 100.0,
        report.gflop_per_token
    ))?;
    terminal::line(&format!(
        "{:.2} s a step, {:.2} s of it gradients; peak memory {}, planned {}",
        report.step_seconds,
        report.gradient_seconds,
        report.peak_rss_bytes.map_or_else(|| "-".to_owned(), terminal::size),
        terminal::size(report.planned_bytes)
    ))
}
