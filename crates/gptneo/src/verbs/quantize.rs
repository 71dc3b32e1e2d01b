//! `gptneo quantize`: writes a GGUF file of another type, and tells what the type costs on real text.

use gptneo_checkpoint::gguf::Metadata;
use gptneo_device::{DType, PAGE};
use gptneo_model::family::Role;
use gptneo_model::{Adapter, Fidelity, Storage, fidelity, write_gguf};
use serde::Serialize;

use crate::args::{LoraArgs, MachineArgs, ModelArgs, QuantizeArgs};
use crate::failure::{Failure, Kind};
use crate::input;
use crate::load::{Plan, cpu, given, tell_fallbacks};
use crate::lora::{self, adapter};
use crate::open::{Opened, Watched, open, open_here};
use crate::output::{check_file, tokenizer_keys};
use crate::progress::{Progress, Unit};
use crate::terminal;
use crate::verbs::World;

#[derive(Serialize)]
struct Report<'a> {
    model: &'a str,
    output: String,
    #[serde(rename = "type")]
    dtype: &'static str,
    output_type: &'static str,
    file_bytes: u64,
    fallbacks: Vec<String>,
    #[serde(flatten)]
    cost: Option<Cost>,
}

/// What the type costs, over the tokens of a text; divergences and likelihoods in nats.
#[derive(Serialize)]
struct Cost {
    tokens: usize,
    nll_f32: f64,
    nll: f64,
    delta_nll: f64,
    kl: f64,
    worst_kl: f64,
    top1_agreement: f64,
}

pub(crate) fn run(args: &QuantizeArgs, world: &World) -> Result<(), Failure> {
    let opened = open(args.model.as_deref(), &args.hub, world.environment, &world.interrupt)?;
    check_file(&args.output, args.force, &opened)?;
    let tokenizer = opened.tokenizer()?;
    let text = args.text.as_deref().map(input::file).transpose()?;
    let tokens = match (&text, &tokenizer) {
        (None, _) => None,
        (Some(_), None) => {
            return Err(Failure::usage(format!("{} has no tokenizer, so no text can be measured on", opened.name)));
        }
        (Some(text), Some(tokenizer)) => Some(tokenizer.encode(text)?),
    };
    if tokens.as_ref().is_some_and(|tokens| tokens.len() < 2) {
        return Err(Failure::usage("the text has fewer than two tokens: there is nothing to measure on"));
    }
    let storage = Storage::new(args.dtype)?;
    let keys = match &tokenizer {
        Some(tokenizer) => tokenizer_keys(tokenizer, opened.config().vocab)?,
        None => Metadata::new(),
    };
    let device = cpu(&args.machine, world.environment)?;
    let adapter = adapter(&args.lora, &device, opened.config())?;
    let mut bar = Progress::new("quantising", opened.config().parameters(), Unit::Parameters);
    let heeded = world.interrupt.heed();
    let written = lora::merged(&opened, adapter.as_ref(), &device, |source| {
        let source = Watched { source, interrupt: &world.interrupt };
        Ok(write_gguf(&device, &source, Some(storage), &keys, &args.output, &mut |p| bar.at(p.done)))
    })?;
    drop((bar, device));
    world.interrupt.check()?;
    drop(heeded);
    let written = written?;
    tell_fallbacks(&written.fallbacks);
    let cost = match &tokens {
        Some(tokens) => Some(cost(&opened, adapter.as_ref(), args, tokens, world)?),
        None => None,
    };
    let report = Report {
        model: &opened.name,
        output: args.output.display().to_string(),
        dtype: args.dtype.name(),
        output_type: given(storage, Role::Embedding, opened.config()).name(),
        file_bytes: written.bytes,
        fallbacks: written.fallbacks.iter().map(ToString::to_string).collect(),
        cost,
    };
    if args.json { terminal::json(&report) } else { page(&report, &opened, tokenizer.is_some()) }
}

/// Compares what was written with the exact model (and its adapter), over the first tokens of the text.
fn cost(
    opened: &Opened,
    adapter: Option<&Adapter>,
    args: &QuantizeArgs,
    tokens: &[u32],
    world: &World,
) -> Result<Cost, Failure> {
    let path = args.output.to_str().ok_or_else(|| Failure::usage("the output's name is not UTF-8"))?;
    let written = open_here(Some(path), world.environment)?;
    let tokens = &tokens[..tokens.len().min(args.text_tokens.max(2))];
    let context = opened.config().positions.min(tokens.len());
    let exact = held(Some(DType::F32), context);
    let plain = held(None, context);
    let room = |context: usize| context + PAGE;
    let (exact, plain) = (Plan::new(opened, &exact, room)?, Plan::new(&written, &plain, room)?);
    if let Some(available) = crate::memory::available().filter(|&bytes| bytes < exact.bytes() + plain.bytes()) {
        return Err(Failure::new(
            Kind::Memory,
            format!(
                "{} is written, but to compare it with the exact model takes {}, and {} are available",
                args.output.display(),
                terminal::size(exact.bytes() + plain.bytes()),
                terminal::size(available)
            ),
        )
        .hint("leave --text out, or measure on a machine with more memory"));
    }
    let machine: &MachineArgs = &args.machine;
    let mut exact = lora::merged(opened, adapter, &cpu(machine, world.environment)?, |source| {
        exact.load_from(source, opened, cpu(machine, world.environment)?, &world.interrupt)
    })?;
    let mut plain = plain.load(&written, cpu(machine, world.environment)?, &world.interrupt)?;
    // A window of one token predicts nothing.
    let windows: Vec<&[u32]> = tokens.chunks(context).filter(|window| window.len() > 1).collect();
    let total = windows.iter().map(|window| window.len() - 1).sum::<usize>();
    let mut bar = Progress::new("comparing", total as u64, Unit::Tokens);
    let _heeded = world.interrupt.heed();
    let mut sum: Option<(usize, Fidelity)> = None;
    for window in windows {
        world.interrupt.check()?;
        let before = sum.map_or(0, |(positions, _)| positions);
        let one = fidelity(exact.model.as_mut(), plain.model.as_mut(), &[window], &mut |done| {
            bar.at((before + done) as u64)
        })?;
        sum = Some((before + one.positions, merged(sum, one)));
    }
    let (positions, found) = sum.ok_or_else(|| Failure::usage("there is nothing to measure on"))?;
    Ok(Cost {
        tokens: positions,
        nll_f32: found.exact_nll,
        nll: found.nll,
        delta_nll: found.delta_nll(),
        kl: found.kl_divergence,
        worst_kl: found.worst_kl_divergence,
        top1_agreement: found.top_1_agreement,
    })
}

/// The means over two sets of positions together.
fn merged(sum: Option<(usize, Fidelity)>, one: Fidelity) -> Fidelity {
    let Some((positions, sum)) = sum else { return one };
    let (a, b) = (positions as f64, one.positions as f64);
    let mean = |x: f64, y: f64| (x * a + y * b) / (a + b);
    Fidelity {
        positions: positions + one.positions,
        exact_nll: mean(sum.exact_nll, one.exact_nll),
        nll: mean(sum.nll, one.nll),
        kl_divergence: mean(sum.kl_divergence, one.kl_divergence),
        worst_kl_divergence: sum.worst_kl_divergence.max(one.worst_kl_divergence),
        top_1_agreement: mean(sum.top_1_agreement, one.top_1_agreement),
    }
}

fn held(quant: Option<DType>, context: usize) -> ModelArgs {
    ModelArgs {
        model: None,
        quant,
        ctx_size: Some(context),
        cache_type_k: None,
        cache_type_v: None,
        lora: LoraArgs::default(),
    }
}

fn page(report: &Report<'_>, opened: &Opened, tokenizer: bool) -> Result<(), Failure> {
    let output = if report.output_type == report.dtype {
        String::new()
    } else {
        format!(" (output matrix {})", report.output_type)
    };
    let before = opened.stored_bytes().map_or_else(String::new, |bytes| format!(", from {}", terminal::size(bytes)));
    terminal::line(&format!(
        "{}: {}{output}, {}{before}",
        report.output,
        report.dtype,
        terminal::size(report.file_bytes)
    ))?;
    let Some(cost) = &report.cost else {
        if tokenizer {
            terminal::say("what the type costs is measured on text that you name: --text FILE");
        }
        return Ok(());
    };
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    let rows = [
        row("NLL per token, f32", format!("{:.5}", cost.nll_f32)),
        row(&format!("NLL per token, {}", report.dtype), format!("{:.5}  ({:+.5})", cost.nll, cost.delta_nll)),
        row("KL divergence to f32", format!("{:.6}  (worst {:.4})", cost.kl, cost.worst_kl)),
        row("same likeliest token", format!("{:.2} %", cost.top1_agreement * 100.0)),
    ];
    terminal::line(&terminal::columns(&rows, &[false, false]))?;
    terminal::line(&format!("over {} tokens", terminal::grouped(cost.tokens as u64)))
}
