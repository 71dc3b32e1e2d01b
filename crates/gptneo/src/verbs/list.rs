//! `gptneo list`: the models in the cache.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::args::{HubArgs, ListArgs};
use crate::failure::Failure;
use crate::source;
use crate::terminal;
use crate::verbs::World;

#[derive(Serialize)]
struct Report {
    cache: String,
    models: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    id: String,
    revision: Option<String>,
    refs: Vec<String>,
    path: String,
    bytes: u64,
    /// Seconds since 1970.
    modified: Option<u64>,
    complete: bool,
}

pub(crate) fn run(args: &ListArgs, world: &World) -> Result<(), Failure> {
    let hub = source::hub(&HubArgs::default(), world.environment)?;
    let cached = hub.list()?;
    let cache = hub.settings().cache.display().to_string();
    if args.json {
        let since = |time: SystemTime| time.duration_since(UNIX_EPOCH).ok().map(|d| d.as_secs());
        let entry = |c: gptneo_hub::Cached| Entry {
            id: c.id,
            revision: c.revision,
            refs: c.refs,
            path: c.path.display().to_string(),
            bytes: c.bytes,
            modified: c.modified.and_then(since),
            complete: c.complete,
        };
        return terminal::json(&Report { cache, models: cached.into_iter().map(entry).collect() });
    }
    if cached.is_empty() {
        return terminal::line(&format!("no models in {cache}; `gptneo pull EleutherAI/gpt-neo-125m` fetches one"));
    }
    let mut rows = vec![["model", "revision", "size", ""].map(str::to_owned).to_vec()];
    let total: u64 = cached.iter().map(|c| c.bytes).sum();
    for model in cached {
        let short = |commit: &String| commit.chars().take(8).collect::<String>();
        let named = if model.refs.is_empty() { String::new() } else { format!(" ({})", model.refs.join(", ")) };
        let revision = model.revision.as_ref().map_or_else(|| "-".to_owned(), short) + &named;
        let state = if model.complete { "" } else { "incomplete: pull it to go on" };
        rows.push(vec![model.id, revision, terminal::size(model.bytes), state.to_owned()]);
    }
    terminal::line(&terminal::columns(&rows, &[false, false, true, false]))?;
    terminal::line(&format!("{} in {cache}", terminal::size(total)))
}
