//! `gptneo finetune`: flags become a recipe, and the recipe a run.

use gptneo_corpus::{Holds, holds};
use gptneo_train::Recipe;
use toml::{Table, Value};

use crate::args::FinetuneArgs;
use crate::failure::Failure;
use crate::open;
use crate::terminal;
use crate::verbs::World;
use crate::verbs::{data, train};

/// Tokens of a sequence where neither flag nor model says less.
const LONGEST: usize = 1024;
/// Share of lines that is held out where no flag says so.
const HELD_OUT: f64 = 0.05;
/// Share of the steps in which the learning rate rises.
const WARMUP: f64 = 0.05;
/// Peak learning rates: of all weights, and of adapters.
const RATES: [f64; 2] = [5e-5, 2e-4];

pub(crate) fn run(args: &FinetuneArgs, world: &World) -> Result<(), Failure> {
    let sources = data::find(&args.data, None, &args.run.hub, world)?;
    let mut kinds = sources.iter().map(holds);
    let Some(first) = kinds.next().transpose()? else {
        return Err(Failure::usage("there is no data to learn from"));
    };
    for (kind, source) in kinds.zip(&sources[1..]) {
        if kind? != first {
            return Err(Failure::usage(format!(
                "{} and {} cannot be learned together: their lines are of different kinds",
                sources[0].name, source.name
            ))
            .hint("one run for each, the second with -m the result of the first"));
        }
    }
    let opened = open::open(Some(&args.model), &args.run.hub, world.environment, &world.interrupt)?;
    let labels = match (first, args.labels.is_empty()) {
        // A classifier that is trained on has its labels.
        (Holds::Labels, true) if opened.config().classifier.is_none() => gptneo_corpus::labels(&sources)?,
        (Holds::Labels, _) => args.labels.clone(),
        (_, true) => Vec::new(),
        (_, false) => return Err(Failure::usage("--labels is for lines that have a label, and these have none")),
    };
    let recipe = recipe(args, first, labels, opened.config().positions).to_string();
    drop(opened);
    if args.print_recipe {
        return terminal::line(recipe.trim_end());
    }
    let recipe = Recipe::parse(&recipe, &args.run.changes()).map_err(|error| Failure::usage(error.to_string()))?;
    train::make(recipe, "finetune", &args.run, "the same command with --resume auto", world)
}

/// The recipe that the flags describe, for a model of so many positions.
fn recipe(args: &FinetuneArgs, holds: Holds, labels: Vec<String>, positions: usize) -> Table {
    let text = |text: &str| Value::String(text.to_owned());
    let number = |number: u64| Value::Integer(i64::try_from(number).unwrap_or(i64::MAX));
    let data_files = Value::Array(args.data.iter().map(|name| text(name)).collect());
    let by_line = holds != Holds::Text;
    let held_out = args.held_out.unwrap_or(if by_line { HELD_OUT } else { 0.0 });

    let mut data = Table::new();
    data.insert(if by_line { "examples" } else { "sources" }.into(), data_files);
    if let Some(template) = &args.chat_template {
        data.insert("template".into(), text(template));
    }
    data.insert("held_out_fraction".into(), Value::Float(held_out));
    data.insert("sequence".into(), number(args.seq.unwrap_or(positions.min(LONGEST) as u64)));

    let adapter = args.lora.map(|rank| {
        let mut adapter = Table::new();
        adapter.insert("rank".into(), number(rank));
        adapter.extend(args.lora_alpha.map(|alpha| ("alpha".into(), Value::Float(alpha))));
        adapter.extend(args.lora_dropout.map(|dropout| ("dropout".into(), Value::Float(dropout))));
        if !args.lora_targets.is_empty() {
            let names = args.lora_targets.iter().map(|name| text(name)).collect();
            adapter.insert("targets".into(), Value::Array(names));
        }
        adapter
    });

    let output = args.output.as_ref().map_or_else(|| "runs/finetune".into(), |path| path.display().to_string());
    let rate = args.lr.unwrap_or(RATES[usize::from(args.lora.is_some())]);
    let table = |entries: Vec<(&str, Value)>| {
        Value::Table(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    };
    let mut recipe = Table::new();
    recipe.insert("name".into(), text("finetune"));
    recipe.insert("seed".into(), number(args.seed));
    recipe.insert("output".into(), text(&output));
    let mut model = vec![("from", text(&args.model))];
    if !labels.is_empty() {
        model.push(("labels", Value::Array(labels.into_iter().map(Value::String).collect())));
    }
    recipe.insert("model".into(), table(model));
    recipe.extend(adapter.map(|adapter| ("adapter".to_owned(), Value::Table(adapter))));
    recipe.insert("data".into(), Value::Table(data));
    let micro = args.micro.unwrap_or(args.batch);
    recipe.insert("batch".into(), table(vec![("sequences", number(args.batch)), ("micro", number(micro))]));
    let schedule = vec![
        ("kind", text("cosine")),
        ("epochs", Value::Float(args.epochs)),
        ("warmup_ratio", Value::Float(WARMUP)),
        ("floor", Value::Float(0.0)),
    ];
    recipe.insert("schedule".into(), table(schedule));
    recipe.insert("optimizer".into(), table(vec![("lr", Value::Float(rate)), ("weight_decay", Value::Float(0.0))]));
    recipe.insert("checkpoint".into(), table(vec![("every", number(500))]));
    if held_out > 0.0 {
        recipe.insert("evaluation".into(), table(vec![("every", number(100)), ("at_start", Value::Boolean(true))]));
    }
    recipe
}
