//! `gptneo eval memorisation`: training text that a model goes on with word for word.

use gptneo_eval::Subject;
use gptneo_eval::memorisation::{
    BUCKETS, MemorisationPlan, MemorisationReport, PrefixReport, Rate, bucket_name, memorisation,
};
use serde_json::json;

use super::models::{exact, tokenizer};
use super::shards::{self, Bars};
use super::{ROOM, details};
use crate::args::MemorisationArgs;
use crate::failure::Failure;
use crate::generator::{Flags, engine};
use crate::lora;
use crate::open::open;
use crate::terminal;
use crate::verbs::World;

pub(super) fn run(args: &MemorisationArgs, world: &World) -> Result<(), Failure> {
    let mut prefixes = args.prefix.clone();
    prefixes.sort_unstable();
    prefixes.dedup();
    let plan = MemorisationPlan { prefixes, continuation: args.continuation, sample: args.sample, seed: args.seed };
    let opened = open(args.model.model.as_deref(), &args.hub, world.environment, &world.interrupt)?;
    opened.language_model()?;
    // What does not go together is told before the weights are loaded.
    let positions = opened.config().positions;
    plan.check(args.model.ctx_size.map_or(positions, |context| context.min(positions)))?;
    let tokenizer = tokenizer(args.tokenizer.as_deref(), &opened)?;
    let shards = shards::open(&args.shards, false, tokenizer.clone(), args.machine.threads, world)?;
    let model = exact(&args.model, &opened);
    let flags = Flags { model: &model, machine: &args.machine, hub: &args.hub, draft: None };
    let mut engine = engine(&opened, Some(tokenizer), flags, world, |context| context.max(ROOM))?;
    let details = details(&opened, engine.spec(), &args.hub, &args.model.lora);
    let mut subject = Subject { engine: &mut engine, adapter: lora::name(&args.model.lora).map(str::to_owned) };
    let _heeded = world.interrupt.heed();
    let mut bars = Bars::new("counting", "writing on", &world.interrupt);
    let report = memorisation(&mut subject, &shards, &plan, &mut bars)?;
    drop(bars);
    if (report.sequences.len()) < plan.sample {
        terminal::warn(&format!("the shards have only {} stretches so long, and all were taken", report.windows));
    }
    if args.json {
        let mut found = report.json();
        found["model"] = json!(opened.name);
        found["config"] = json!(details);
        return terminal::json(&found);
    }
    let dtype = |name: &str| details.get(name).and_then(|value| value.as_str()).unwrap_or("?").to_owned();
    let model = format!("{}: weights {}, cache {}", opened.name, dtype("model_dtype"), dtype("cache_dtype_k"));
    terminal::line(&format!("{}\n{model}", table(&report)))
}

fn table(report: &MemorisationReport) -> String {
    let heading = ["prefix", "duplicates", "sequences", "exact", "rate", "95 %", "matched", "±"].map(str::to_owned);
    let mut rows = vec![heading.to_vec()];
    let row = |prefix: String, bucket: String, rate: &Rate| {
        let (low, high) = rate.interval;
        vec![
            prefix,
            bucket,
            rate.count.to_string(),
            rate.exact.to_string(),
            format!("{:.4}", rate.rate),
            format!("{low:.4} to {high:.4}"),
            format!("{:.4}", rate.matched),
            rate.matched_error.map_or_else(|| "-".to_owned(), |error| format!("{error:.4}")),
        ]
    };
    for PrefixReport { prefix, all, buckets } in &report.prefixes {
        rows.push(row(prefix.to_string(), "any".to_owned(), all));
        let named = BUCKETS.iter().zip(buckets);
        rows.extend(named.filter_map(|(&bucket, rate)| Some(row(String::new(), bucket_name(bucket), rate.as_ref()?))));
    }
    let table = terminal::columns(&rows, &[true, true, true, true, true, true, true, true]);
    format!(
        "{table}\n{} sequences of {} tokens, seed {}, of {} stretches; matched: mean share of the sequence before the first other token\n{}",
        report.sequences.len(),
        report.plan.continuation,
        report.plan.seed,
        terminal::grouped(report.windows),
        report.protocol()
    )
}
