//! `gptneo pull ID`: brings a model into the cache that the Python tools share.

use gptneo_hub::PullOptions;
use serde::Serialize;

use crate::args::PullArgs;
use crate::failure::Failure;
use crate::pulling::Bars;
use crate::source;
use crate::terminal;
use crate::verbs::World;

#[derive(Serialize)]
struct Report {
    id: String,
    path: String,
    commit: String,
    fetched_files: usize,
    fetched_bytes: u64,
}

pub(crate) fn run(args: &PullArgs, world: &World) -> Result<(), Failure> {
    let id = source::hub_id(args.id.as_deref().or(args.model.as_deref()).unwrap_or_default(), &args.hub)?;
    let hub = source::hub(&args.hub, world.environment)?;
    let _heeded = world.interrupt.heed();
    let options = PullOptions { cancel: Some(world.interrupt.flag()), ..PullOptions::default() };
    let pulled = hub.pull(&id, &options, &Bars::new())?;
    if args.json {
        return terminal::json(&Report {
            id: id.to_string(),
            path: pulled.path.display().to_string(),
            commit: pulled.commit,
            fetched_files: pulled.fetched_files,
            fetched_bytes: pulled.fetched_bytes,
        });
    }
    let what = match pulled.fetched_files {
        0 => "is up to date".to_owned(),
        files => format!("fetched {files} files, {}", terminal::size(pulled.fetched_bytes)),
    };
    terminal::line(&format!("{id}: {what}\n{}", pulled.path.display()))
}
