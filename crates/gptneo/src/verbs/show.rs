//! `gptneo show MODEL`: family, shape, parameters, and the memory it needs at each type. Reads headers alone.

use gptneo_device::{DType, Reach};
use gptneo_engine::ModelName;
use gptneo_model::family::Role;
use gptneo_model::{CacheOptions, Classifier, Config, Storage, default_cache};
use serde::Serialize;

use crate::args::{HubArgs, ShowArgs};
use crate::card::Card;
use crate::failure::{Failure, Kind};
use crate::load::{given, layer_type, planned};
use crate::memory as machine;
use crate::open::{Opened, open_here};
use crate::source::{self, Place};
use crate::terminal;
use crate::verbs::World;

const TYPES: [DType; 6] = [DType::F32, DType::F16, DType::Q8_0, DType::Q6_K, DType::Q4_K, DType::Q4_0];

/// Labels named for people; `--json` has all of them.
const LABELS_SHOWN: usize = 8;

#[derive(Serialize)]
struct Report<'a> {
    model: &'a str,
    path: Option<String>,
    /// Where the model's card is.
    card: Option<String>,
    family: &'static str,
    parameters: u64,
    layers: usize,
    width: usize,
    heads: usize,
    head_size: usize,
    inner: usize,
    vocab: usize,
    positions: usize,
    /// Keys that a local layer sees; null where no layer is local.
    window: Option<usize>,
    local_layers: usize,
    tied: bool,
    /// Of a classifier, one of a regression; null for language models.
    labels: Option<&'a [String]>,
    stored_type: Option<&'static str>,
    stored_bytes: Option<u64>,
    tokenizer: Option<usize>,
    context: usize,
    available_bytes: Option<u64>,
    memory: Vec<Row>,
}

/// What the model takes at one type, with a full context.
#[derive(Serialize)]
struct Row {
    #[serde(rename = "type")]
    dtype: &'static str,
    output_type: &'static str,
    weights_bytes: u64,
    cache_bytes: u64,
    work_bytes: u64,
    total_bytes: u64,
    fits: Option<bool>,
}

pub(crate) fn run(args: &ShowArgs, world: &World) -> Result<(), Failure> {
    let name = args.id.as_deref().or(args.model.as_deref());
    if let Place::Named(ModelName::Hub(id)) = source::place(name, None)? {
        // Nothing is downloaded for a look.
        if source::hub(&HubArgs::default(), world.environment)?.locate(&id).is_none() {
            let failure = Failure::new(Kind::Io, format!("{id} is not in the cache, or not complete"));
            return Err(failure.hint(format!("gptneo pull {id}")));
        }
    }
    let opened = open_here(name, world.environment)?;
    let card = Card::of(&opened);
    if args.card {
        return print_card(&opened.name, card.as_ref());
    }
    let config = opened.config();
    let context = args.ctx_size.unwrap_or(config.positions);
    if context > config.positions {
        let most = config.positions;
        return Err(Failure::usage(format!(
            "-c {context} is more than the model has: its context ends at {most} tokens"
        )));
    }
    let tokenizer = opened.tokenizer()?.map(|t| t.vocab_size());
    let rows = TYPES.iter().map(|&dtype| row(&opened, dtype, context)).collect::<Result<Vec<_>, _>>()?;
    let report = report(&opened, context, tokenizer, rows, card.as_ref());
    if args.json { terminal::json(&report) } else { page(&report, config) }
}

fn row(opened: &Opened, dtype: DType, context: usize) -> Result<Row, Failure> {
    let storage = Storage::new(dtype)?;
    let kind = default_cache(dtype);
    let memory = planned(opened, Some(storage), CacheOptions { positions: context, key: kind, value: kind });
    Ok(Row {
        dtype: dtype.name(),
        output_type: given(storage, opened.config().output(), opened.config()).name(),
        weights_bytes: memory.weights,
        cache_bytes: memory.cache,
        work_bytes: memory.work,
        total_bytes: memory.total(),
        fits: machine::available().map(|available| memory.total() <= available),
    })
}

/// Prints the card.
fn print_card(model: &str, card: Option<&Card>) -> Result<(), Failure> {
    match card.map(|card| Ok::<_, Failure>((card.text()?, card))).transpose()? {
        Some((Some(text), _)) => terminal::text(&format!("{}\n", text.trim_end())),
        Some((None, card)) => {
            Err(Failure::new(Kind::Io, format!("the card of {model} did not come with it; it is at {}", card.place())))
        }
        None => Err(Failure::new(Kind::Io, format!("{model} has no card: there is no README.md beside it"))),
    }
}

fn report<'a>(
    opened: &'a Opened,
    context: usize,
    tokenizer: Option<usize>,
    memory: Vec<Row>,
    card: Option<&Card>,
) -> Report<'a> {
    let config = opened.config();
    let windows = config.reach.iter().filter_map(|reach| match reach {
        Reach::Local { window } => Some(*window),
        Reach::Global => None,
    });
    Report {
        model: &opened.name,
        path: opened.path().map(|path| path.display().to_string()),
        card: card.map(Card::place),
        family: config.family.name(),
        parameters: config.parameters(),
        layers: config.layers(),
        width: config.width,
        heads: config.heads,
        head_size: config.head_size(),
        inner: config.inner,
        vocab: config.vocab,
        positions: config.positions,
        window: windows.clone().max(),
        local_layers: windows.count(),
        tied: config.output() == Role::Embedding,
        labels: config.classifier.as_ref().map(Classifier::labels),
        stored_type: (!opened.is_random()).then(|| layer_type(opened.source()).name()),
        stored_bytes: opened.stored_bytes(),
        tokenizer,
        context,
        available_bytes: machine::available(),
        memory,
    }
}

/// What a classifier tells, in a line.
fn labels(classifier: &Classifier) -> String {
    let names = classifier.labels();
    if classifier.is_value() {
        return format!("a value, {} (regression)", names[0]);
    }
    let more = names.len().saturating_sub(LABELS_SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("one of {} labels: {}{more}", names.len(), names[..names.len().min(LABELS_SHOWN)].join(", "))
}

fn page(report: &Report<'_>, config: &Config) -> Result<(), Failure> {
    let mut facts: Vec<(&str, String)> = vec![
        ("family", report.family.to_owned()),
        ("parameters", terminal::grouped(report.parameters)),
        (
            "shape",
            format!(
                "{} layers, {} wide, {} heads of {}, inner width {}",
                report.layers, report.width, report.heads, report.head_size, report.inner
            ),
        ),
        (
            "vocabulary",
            format!("{}{}", terminal::grouped(report.vocab as u64), if report.tied { ", tied" } else { "" }),
        ),
        ("context", format!("{} tokens", terminal::grouped(report.positions as u64))),
    ];
    if let Some(classifier) = &config.classifier {
        facts.insert(1, ("classifier", labels(classifier)));
    }
    if let Some(window) = report.window {
        let global = config.layers() - report.local_layers;
        facts.push(("attention", format!("{global} layers global, {} local ({window} tokens)", report.local_layers)));
    }
    if let (Some(dtype), Some(bytes)) = (report.stored_type, report.stored_bytes) {
        facts.push(("stored", format!("{dtype}, {}", terminal::size(bytes))));
    }
    facts.push(match report.tokenizer {
        Some(size) => ("tokenizer", format!("{} ids", terminal::grouped(size as u64))),
        None => ("tokenizer", "none: token ids only".to_owned()),
    });
    if let Some(path) = &report.path {
        facts.push(("path", path.clone()));
    }
    if let Some(card) = &report.card {
        facts.push(("card", card.clone()));
    }
    let facts: Vec<Vec<String>> = facts.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect();
    terminal::line(&terminal::columns(&facts, &[false, false]))?;
    let available = report.available_bytes.map_or_else(String::new, |b| format!(" ({} available)", terminal::size(b)));
    terminal::line(&format!(
        "\nmemory with {} tokens of context{available}",
        terminal::grouped(report.context as u64)
    ))?;
    let mut rows = vec![["type", "output", "weights", "cache", "work", "total", ""].map(str::to_owned).to_vec()];
    for row in &report.memory {
        rows.push(vec![
            row.dtype.to_owned(),
            row.output_type.to_owned(),
            terminal::size(row.weights_bytes),
            terminal::size(row.cache_bytes),
            terminal::size(row.work_bytes),
            terminal::size(row.total_bytes),
            if row.fits == Some(false) { "does not fit".to_owned() } else { String::new() },
        ]);
    }
    terminal::line(&terminal::columns(&rows, &[false, false, true, true, true, true, false]))
}
