//! `gptneo runs watch`: a run of this or another process, from the store.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use gptneo_runs::{Event, Followed, Observer, Started, State, Store, now};

use crate::args::WatchRunArgs;
use crate::failure::{Failure, Kind};
use crate::terminal;
use crate::verbs::World;
use crate::watch::{LiveLine, Tui};

/// How often the store is asked.
const GLANCE: Duration = Duration::from_millis(250);

pub(super) fn run(args: &WatchRunArgs, store: &Store, world: &World) -> Result<(), Failure> {
    let run = store.find(&args.run)?;
    let started = Event::Started(Started { name: run.name.clone(), after_step: 0, steps: run.steps, tokens: None });
    let mut followed = Followed::default();
    if args.tui {
        if !terminal::watched() {
            return Err(Failure::usage("a dashboard needs a terminal: leave --tui out"));
        }
        let stopped = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopped);
        let mut tui = Tui::start(move || stop.store(true, Ordering::Release))
            .map_err(|error| Failure::new(Kind::Io, format!("cannot use the terminal: {error}")))?;
        tui.observe_at(&started, run.started);
        let mut over = false;
        while tui.is_open() && !stopped.load(Ordering::Acquire) {
            let events = store.follow(run.id, &mut followed)?;
            events.iter().for_each(|(time, event)| tui.observe_at(event, *time));
            let state = store.run(run.id)?.state;
            if events.is_empty() {
                if state != State::Running && !over {
                    over = true;
                    tui.observe(&Event::Ended(state));
                }
                thread::sleep(GLANCE);
            }
        }
        return Ok(());
    }
    let mut line = LiveLine::new();
    line.observe(&started);
    let _heeded = world.interrupt.heed();
    loop {
        let events = store.follow(run.id, &mut followed)?;
        for (time, event) in &events {
            line.observe_at(event, *time);
        }
        let run = store.run(run.id)?;
        if events.is_empty() && run.state != State::Running {
            line.observe(&Event::Ended(run.state));
            return Ok(());
        }
        if events.is_empty() && run.is_lost(now()) {
            return Err(Failure::new(
                Kind::Io,
                format!("{} gives no sign of life: its process seems to be gone", run.name),
            ));
        }
        if world.interrupt.pressed() {
            return Ok(());
        }
        if events.is_empty() {
            thread::sleep(GLANCE);
        }
    }
}
