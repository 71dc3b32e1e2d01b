//! What a download looks like: one bar for all its files, and lines for what goes wrong on the way.

use std::sync::{Mutex, PoisonError};

use gptneo_hub::{Event, Progress as Listener};

use crate::progress::{Progress, Unit};
use crate::terminal;

/// Draws a download.
pub(crate) struct Bars {
    bar: Mutex<Option<Progress>>,
}

impl Bars {
    /// Nothing is drawn until there is something to fetch.
    pub(crate) fn new() -> Self {
        Self { bar: Mutex::new(None) }
    }

    fn say(&self, text: &str) {
        match &*self.bar.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(bar) => bar.above(|| terminal::warn(text)),
            None => terminal::warn(text),
        }
    }
}

impl Listener for Bars {
    fn report(&self, event: &Event<'_>) {
        match *event {
            Event::Planned { files, bytes, present } if bytes > 0 => {
                let more = if present > 0 {
                    format!(" ({} are here from before)", terminal::size(present))
                } else {
                    String::new()
                };
                terminal::say(&format!("downloading {files} files, {}{more}", terminal::size(bytes)));
                let mut bar = Progress::new("downloading", bytes, Unit::Bytes);
                bar.begin_at(present);
                *self.bar.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar);
            }
            Event::Bytes { all_done, all_total, .. } => {
                if let Some(bar) = &mut *self.bar.lock().unwrap_or_else(PoisonError::into_inner) {
                    bar.of(all_total);
                    bar.at(all_done);
                }
            }
            Event::Retrying { what, reason, delay } => {
                self.say(&format!("{what}: {reason}; trying again in {:.0} s", delay.as_secs_f64().max(1.0)));
            }
            Event::Restarted { file, reason } => self.say(&format!("{file}: beginning again: {reason}")),
            Event::Waiting { file } => self.say(&format!("{file}: another process is fetching it; waiting")),
            Event::Unverified { file } => {
                self.say(&format!("{file}: the server named no hash, so only its length was checked"));
            }
            Event::FromCache { id, reason } => {
                self.say(&format!("{id}: using what is in the cache: {reason}"));
            }
            _ => {}
        }
    }
}
