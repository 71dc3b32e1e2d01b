//! A run of another process, as the events that it reported: what a live line or a dashboard is fed with.

use crate::error::RunsError;
use crate::event::{Evaluation, Event, Level, Message, Sample, StepMetrics};
use crate::record::{Metric, RunId, Text, TextKind, Time};
use crate::store::Store;

/// Rows read at once; more than any event has.
const BATCH: usize = 8_192;

/// How far a run was followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Followed {
    metrics: i64,
    texts: i64,
}

impl Store {
    /// What was recorded since `followed`, in order, with its times; empty if there is nothing new at the moment. Call it
    /// again until it is empty.
    ///
    /// # Errors
    /// As every read.
    pub fn follow(&self, run: RunId, followed: &mut Followed) -> Result<Vec<(Time, Event)>, RunsError> {
        let mut rows = self.metrics_after(run, followed.metrics, BATCH)?;
        if rows.len() == BATCH {
            // The last event may not be complete.
            let last = group(&rows[BATCH - 1].1);
            let whole = rows.iter().rposition(|(_, metric)| group(metric) != last).map_or(BATCH, |index| index + 1);
            rows.truncate(whole);
        }
        let mut events = Vec::new();
        for chunk in rows.chunk_by(|a, b| group(&a.1) == group(&b.1)) {
            events.push((chunk[0].1.time, event(chunk)));
        }
        followed.metrics = rows.last().map_or(followed.metrics, |(position, _)| *position);
        for (position, text) in self.texts_after(run, followed.texts, BATCH)? {
            followed.texts = position;
            events.push((text.time, words(text)));
        }
        events.sort_by(|a, b| a.0.total_cmp(&b.0));
        Ok(events)
    }
}

/// Rows of one event have the same step and the same name before the slash.
fn group(metric: &Metric) -> (u64, Option<&str>) {
    (metric.step, metric.name.rsplit_once('/').map(|(on, _)| on))
}

fn event(rows: &[(i64, Metric)]) -> Event {
    let (step, on) = group(&rows[0].1);
    if let Some(on) = on {
        let values = rows.iter().map(|(_, m)| (m.name[on.len() + 1..].to_owned(), m.value)).collect();
        return Event::Evaluation(Evaluation { step, on: on.to_owned(), values });
    }
    let mut metrics = StepMetrics { step, loss: f64::NAN, gradient_norm: f64::NAN, ..StepMetrics::default() };
    for (_, Metric { name, value, .. }) in rows {
        match name.as_str() {
            "loss" => metrics.loss = *value,
            "gradient_norm" => metrics.gradient_norm = *value,
            "learning_rate" => metrics.learning_rate = *value,
            "tokens" => metrics.tokens = *value as u64,
            "tokens_per_second" => metrics.tokens_per_second = *value,
            "share_of_peak" => metrics.share_of_peak = Some(*value),
            _ => metrics.more.push((name.clone(), *value)),
        }
    }
    Event::Step(metrics)
}

fn words(Text { kind, step, title, body, .. }: Text) -> Event {
    match kind {
        TextKind::Sample => Event::Sample(Sample { step: step.unwrap_or(0), prompt: title, text: body }),
        TextKind::Message => Event::Message(Message { level: Level::of(&title), step, text: body }),
    }
}
