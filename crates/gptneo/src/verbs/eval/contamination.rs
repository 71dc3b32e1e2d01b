//! `gptneo eval contamination`: documents of tasks in token shards, without a model.

use std::sync::Arc;

use gptneo_eval::contamination::{Decontamination, Settings, examine};
use gptneo_eval::{Chosen, Options};

use super::shards::{self, Bars};
use super::{catalog, library, no_tasks};
use crate::args::ContaminationArgs;
use crate::failure::Failure;
use crate::pulling;
use crate::verbs::{World, data};
use crate::{open, source, terminal};

pub(super) fn run(args: &ContaminationArgs, world: &World) -> Result<(), Failure> {
    if args.tasks.is_empty() {
        return Err(no_tasks());
    }
    let mut chosen = catalog(&args.include_path)?.choose(&args.tasks)?;
    for chosen in &mut chosen {
        if let Chosen::Task(task) = chosen {
            task.measure_split(args.split.as_deref(), None);
        }
    }
    let tokenizer = match &args.tokenizer {
        Some(path) => data::read_tokenizer(path)?,
        None => open::tokenizer(args.model.as_deref(), &args.hub, world.environment, &world.interrupt)?,
    };
    let shards = shards::open(&args.shards, args.held_out, tokenizer, args.threads, world)?;
    let plan = Decontamination { shards: Arc::new(shards), settings: Settings::default() };
    let hub = source::hub(&args.hub, world.environment)?;
    let bars = pulling::Bars::new();
    let library = library(&args.data, &hub, &bars, world);
    let options = Options { limit: args.limit, ..Options::default() };
    let _heeded = world.interrupt.heed();
    let mut bar = Bars::new("looking through", "", &world.interrupt);
    let found = examine(chosen, &library, &options, &plan, &mut bar)?;
    drop(bar);
    if args.json {
        return terminal::json(&found.json());
    }
    let heading = ["task", "documents", "contaminated", "share", "too short", "only common"].map(str::to_owned);
    let mut rows = vec![heading.to_vec()];
    rows.extend(found.tasks.iter().map(|task| {
        let counts = &task.found;
        vec![
            task.name.clone(),
            counts.documents.len().to_string(),
            counts.contaminated().to_string(),
            format!("{:.1} %", 100.0 * counts.share()),
            counts.too_short().to_string(),
            counts.only_common().to_string(),
        ]
    }));
    let mut text = terminal::columns(&rows, &[false, true, true, true, true, true]);
    for task in &found.tasks {
        text += &format!("\n{}: {}; looked for: {}", task.name, task.source.split, task.found.query);
    }
    let scanned = &found.scanned;
    text += &format!(
        "\n{} of text, {}\n{}",
        terminal::size(scanned.text_bytes),
        shards::speed(scanned.speed()),
        scanned.settings.protocol()
    );
    terminal::line(&text)
}
