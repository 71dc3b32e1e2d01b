//! `gptneo runs`: what was trained or measured, and how it went.

mod compare;
mod deliver;
mod feedback;
mod list;
mod plot;
mod show;
mod watch;

pub(crate) use deliver::sink;

use std::path::PathBuf;
use std::time::Duration;

use gptneo_runs::{Run, Store};

use crate::args::{RunsArgs, RunsVerb};
use crate::failure::{Failure, Kind};
use crate::terminal;
use crate::verbs::World;
use crate::watch::duration;

pub(crate) fn run(args: &RunsArgs, world: &World) -> Result<(), Failure> {
    let path = place(args.store.as_ref(), world)?;
    let Some(mut store) = Store::open_existing(&path)? else {
        match &args.verb {
            RunsVerb::List(list) => return list::nothing(list, &path),
            RunsVerb::Feedback(args) => return feedback::nothing(args, &path),
            _ => {}
        }
        return Err(Failure::new(Kind::Io, format!("there is no store of runs {}", path.display()))
            .hint("gptneo train and gptneo eval make it; --store or GPTNEO_HOME name another place"));
    };
    match &args.verb {
        RunsVerb::List(args) => list::run(args, &store),
        RunsVerb::Show(args) => show::run(args, &store),
        RunsVerb::Compare(args) => compare::run(args, &store),
        RunsVerb::Plot(args) => plot::run(args, &store),
        RunsVerb::Watch(args) => watch::run(args, &store, world),
        RunsVerb::Export(args) => deliver::export(args, &mut store, world),
        RunsVerb::Sync(args) => deliver::sync(args, &mut store, world),
        RunsVerb::Feedback(args) => feedback::run(args, &mut store),
        RunsVerb::Note(args) => {
            let run = store.find(&args.run)?;
            Ok(store.note(run.id, &args.text)?)
        }
        RunsVerb::Rm(args) => {
            let run = store.find(&args.run)?;
            if run.name != args.run {
                let name = &run.name;
                return Err(Failure::usage(format!(
                    "`{}` is not the whole name of a run; is `{name}` meant?",
                    args.run
                )));
            }
            store.remove(run.id)?;
            terminal::line(&format!("deleted {}", run.name))
        }
    }
}

/// Where the store is.
pub(crate) fn place(given: Option<&PathBuf>, world: &World) -> Result<PathBuf, Failure> {
    let place = given.cloned().or_else(|| world.environment.runs_store());
    place.ok_or_else(|| Failure::usage("there is no HOME to keep runs in: name a place with --store or GPTNEO_HOME"))
}

/// How long a run has worked.
fn worked(run: &Run, now: f64) -> String {
    let end = match run.ended {
        Some(ended) => ended,
        None if run.is_lost(now) => run.seen,
        None => now,
    };
    duration(Duration::try_from_secs_f64(end - run.started).unwrap_or_default())
}

/// How long ago something was.
fn ago(time: f64, now: f64) -> String {
    format!("{} ago", duration(Duration::try_from_secs_f64(now - time).unwrap_or_default()))
}

/// A value with as many digits as people read.
fn value(value: f64) -> String {
    let size = value.abs();
    if value == value.trunc() && size < 1e15 {
        format!("{value:.0}")
    } else if (1e-3..1e6).contains(&size) {
        format!("{value:.4}")
    } else {
        format!("{value:.3e}")
    }
}
