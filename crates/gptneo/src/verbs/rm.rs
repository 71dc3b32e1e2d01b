//! `gptneo rm ID`: takes a model out of the cache. Asks first where somebody can answer.

use std::io::{self, BufRead, IsTerminal, Write};

use serde::Serialize;

use crate::args::{HubArgs, RmArgs};
use crate::failure::Failure;
use crate::source;
use crate::terminal;
use crate::verbs::World;

#[derive(Serialize)]
struct Report {
    id: String,
    freed_bytes: u64,
}

pub(crate) fn run(args: &RmArgs, world: &World) -> Result<(), Failure> {
    let id = source::hub_id(&args.id, &HubArgs::default())?;
    let hub = source::hub(&HubArgs::default(), world.environment)?;
    if !args.yes && io::stdin().is_terminal() && terminal::watched() && !agreed(&id.to_string())? {
        return Err(Failure::interrupted());
    }
    let freed_bytes = hub.remove(&id)?;
    if args.json {
        return terminal::json(&Report { id: id.to_string(), freed_bytes });
    }
    terminal::line(&format!("{id}: removed, {} freed", terminal::size(freed_bytes)))
}

fn agreed(id: &str) -> Result<bool, Failure> {
    let mut err = io::stderr().lock();
    let _ = write!(err, "delete {id} from the cache that all Hugging Face tools share? [y/N] ");
    let _ = err.flush();
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
