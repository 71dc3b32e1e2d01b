//! TensorBoard: event files that its own program reads.
//!
//! A run is a folder `LOGS/NAME` with one event file per session. Metrics are scalars (32 bits, as TensorBoard keeps
//! them), samples and the recipe are texts. When a run was resumed, a session mark makes TensorBoard forget what was
//! superseded. `.ci/sinks.py` reads it back with TensorBoard itself.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::record_file::write_record;
use super::{Sink, SinkError};
use crate::event::State;
use crate::record::{Metric, Run, Text, TextKind, now};

/// Event files below a folder.
#[derive(Debug)]
pub struct TensorBoard {
    logs: PathBuf,
    session: Option<Session>,
}

#[derive(Debug)]
struct Session {
    file: File,
    path: PathBuf,
    last_step: u64,
}

impl TensorBoard {
    /// Writes below `logs`, the folder that `tensorboard --logdir` is given. It is made when the first run comes.
    pub fn new(logs: impl Into<PathBuf>) -> TensorBoard {
        TensorBoard { logs: logs.into(), session: None }
    }

    fn append(&mut self, events: &[Vec<u8>]) -> Result<(), SinkError> {
        let session = self.session.as_mut().expect("a sink is opened before it is used");
        let mut bytes = Vec::new();
        let framed = events.iter().try_for_each(|event| write_record(&mut bytes, event));
        let written = framed.and_then(|()| session.file.write_all(&bytes)).and_then(|()| session.file.sync_data());
        let told = written.map_err(|error| trouble("cannot write", &session.path, &error));
        if told.is_err() {
            // Half a record may be there, and nothing behind it could be read: the next attempt begins a new file.
            self.session = None;
        }
        told
    }
}

fn trouble(what: &str, path: &Path, error: &io::Error) -> SinkError {
    SinkError::transient(format!("{what} {}: {error}", path.display()))
}

impl Sink for TensorBoard {
    fn kind(&self) -> &'static str {
        "tensorboard"
    }

    fn target(&self) -> String {
        self.logs.display().to_string()
    }

    fn is_open(&self) -> bool {
        self.session.is_some()
    }

    fn open(&mut self, run: &Run, _remote: Option<&str>) -> Result<String, SinkError> {
        let folder = self.logs.join(file_name(&run.name));
        std::fs::create_dir_all(&folder).map_err(|error| trouble("cannot make", &folder, &error))?;
        let (file, path) = new_file(&folder, &run.origin.host)?;
        let last_step = run.last_step.unwrap_or(0);
        self.session = Some(Session { file, path, last_step });
        self.append(&[event(now(), 0, |out| out.bytes(3, b"brain.Event:2"))])?;
        Ok(folder.display().to_string())
    }

    fn describe(&mut self, run: &Run, settings: &[(String, String)]) -> Result<(), SinkError> {
        let rows: String = settings.iter().map(|(key, value)| format!("| {key} | {} |\n", cell(value))).collect();
        let recipe = format!("```\n{}\n```\n\n| setting | value |\n|---|---|\n{rows}", run.recipe.trim_end());
        self.append(&[text_event(run.started, 0, "recipe", &recipe)])
    }

    fn supersede(&mut self, from: u64) -> Result<(), SinkError> {
        const START: u64 = 1;
        let mark = event(now(), from, |out| out.message(7, |session| session.number(1, START)));
        self.append(&[mark])
    }

    fn metrics(&mut self, metrics: &[Metric], taken: &mut usize) -> Result<(), SinkError> {
        let scalar = |metric: &Metric| {
            event(metric.time, metric.step, |out| {
                out.message(5, |summary| {
                    summary.message(1, |value| {
                        value.bytes(1, metric.name.as_bytes());
                        value.float(2, metric.value as f32);
                    });
                });
            })
        };
        self.append(&metrics.iter().map(scalar).collect::<Vec<_>>())?;
        *taken = metrics.len();
        if let Some(session) = &mut self.session {
            session.last_step = metrics.iter().map(|metric| metric.step).fold(session.last_step, u64::max);
        }
        Ok(())
    }

    fn texts(&mut self, texts: &[Text], taken: &mut usize) -> Result<(), SinkError> {
        let last = self.session.as_ref().map_or(0, |session| session.last_step);
        let written = |text: &Text| {
            let step = text.step.unwrap_or(last);
            match text.kind {
                TextKind::Sample => text_event(text.time, step, "sample", &format!("**{}**{}", text.title, text.body)),
                TextKind::Message => text_event(text.time, step, "messages", &format!("{}: {}", text.title, text.body)),
            }
        };
        self.append(&texts.iter().map(written).collect::<Vec<_>>())?;
        *taken = texts.len();
        Ok(())
    }

    fn close(&mut self, run: &Run) -> Result<(), SinkError> {
        if run.state == State::Failed {
            let step = run.last_step.unwrap_or(0);
            self.append(&[text_event(run.ended.unwrap_or_else(now), step, "messages", "error: the run has failed")])?;
        }
        Ok(())
    }
}

/// A name that is one folder, whatever it contains.
fn file_name(name: &str) -> String {
    let plain = |c: char| if c.is_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' };
    let name: String = name.chars().map(plain).collect();
    if name.trim_matches('.').is_empty() { format!("run-{}", name.len()) } else { name }
}

/// A value as a cell of a table in Markdown.
fn cell(value: &str) -> String {
    value.replace('|', "\\|").replace(['\n', '\r'], " ")
}

/// A file that nobody else writes to. TensorBoard wants `tfevents` in its name and reads files in their order.
fn new_file(folder: &Path, host: &str) -> Result<(File, PathBuf), SinkError> {
    let second = now() as u64;
    let (host, process) = (file_name(if host.is_empty() { "here" } else { host }), std::process::id());
    let mut number = 0;
    loop {
        let path = folder.join(format!("events.out.tfevents.{second:010}.{host}.{process}.{number}"));
        match OpenOptions::new().append(true).create_new(true).open(&path) {
            Ok(file) => return Ok((file, path)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(trouble("cannot make", &path, &error)),
        }
    }
}

/// An `Event` of TensorFlow: wall time, step, and one of its kinds.
fn event(time: f64, step: u64, what: impl FnOnce(&mut Message)) -> Vec<u8> {
    let mut out = Message::default();
    out.double(1, time);
    if step > 0 {
        out.number(2, step);
    }
    what(&mut out);
    out.0
}

/// A text for TensorBoard's text tab: a tensor with one string, marked for that plug-in.
fn text_event(time: f64, step: u64, tag: &str, text: &str) -> Vec<u8> {
    const STRING: u64 = 7;
    const TENSOR: u64 = 2;
    event(time, step, |out| {
        out.message(5, |summary| {
            summary.message(1, |value| {
                value.bytes(1, tag.as_bytes());
                value.message(9, |metadata| {
                    metadata.message(1, |plugin| plugin.bytes(1, b"text"));
                    metadata.number(4, TENSOR);
                });
                value.message(8, |tensor| {
                    tensor.number(1, STRING);
                    tensor.message(2, |shape| shape.message(2, |dimension| dimension.number(1, 1)));
                    tensor.bytes(8, text.as_bytes());
                });
            });
        });
    })
}

/// A message of protocol buffers while it is written.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn key(&mut self, field: u64, wire: u64) {
        self.varint(field << 3 | wire);
    }

    fn number(&mut self, field: u64, value: u64) {
        self.key(field, 0);
        self.varint(value);
    }

    fn double(&mut self, field: u64, value: f64) {
        self.key(field, 1);
        self.0.extend(value.to_le_bytes());
    }

    fn float(&mut self, field: u64, value: f32) {
        self.key(field, 5);
        self.0.extend(value.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, value: &[u8]) {
        self.key(field, 2);
        self.varint(value.len() as u64);
        self.0.extend(value);
    }

    fn message(&mut self, field: u64, write: impl FnOnce(&mut Message)) {
        let mut inner = Message::default();
        write(&mut inner);
        self.bytes(field, &inner.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_are_seven_bits_at_a_time() {
        let mut message = Message::default();
        message.number(1, 300);
        assert_eq!(message.0, [0x08, 0xac, 0x02]);
    }

    #[test]
    fn a_name_is_one_folder() {
        assert_eq!(file_name("a/../b c"), "a_.._b_c");
        assert_eq!(file_name(".."), "run-2");
        assert_eq!(file_name("pocket-2.1"), "pocket-2.1");
    }
}
