//! Comet through its REST API, version 2 (`/api/rest/v2/write/experiment/...`).
//!
//! Comet takes one value a call. What it has taken is noted after each call, so a cut repeats one value at most. Samples
//! and messages are lines of the experiment's output. `tests/runs/comet.rs` checks every call against a double.

use serde_json::{Value, json};

use super::http::{Http, Secret, json_number, milliseconds, text_field};
use super::{Sink, SinkError};
use crate::error::RunsError;
use crate::event::Level;
use crate::record::{Metric, Run, Text, TextKind};

/// How to reach Comet.
#[derive(Debug, Clone)]
pub struct CometSettings {
    /// `https://www.comet.com`, or another installation.
    pub address: String,
    /// As in `COMET_API_KEY`.
    pub key: Secret,
    /// As in `COMET_WORKSPACE`.
    pub workspace: String,
    /// As in `COMET_PROJECT_NAME`.
    pub project: String,
    /// The proxy for every request.
    pub proxy: Option<String>,
}

/// One Comet project.
pub struct Comet {
    http: Http,
    workspace: String,
    project: String,
    /// Comet's key of the experiment.
    experiment: Option<String>,
}

impl Comet {
    /// The address of the public service.
    pub const ADDRESS: &'static str = "https://www.comet.com";

    /// # Errors
    /// [`RunsError::BadSink`] for an address that is none, or a key, workspace or project that is empty.
    pub fn new(settings: &CometSettings) -> Result<Comet, RunsError> {
        let wanted = [
            ("key (COMET_API_KEY)", settings.key.reveal()),
            ("workspace (COMET_WORKSPACE)", &settings.workspace),
            ("project (COMET_PROJECT_NAME)", &settings.project),
        ];
        if let Some((what, _)) = wanted.iter().find(|(_, value)| value.trim().is_empty()) {
            return Err(RunsError::BadSink { sink: "comet", why: format!("no {what} is given") });
        }
        let http = Http::new("comet", &settings.address, Some(settings.key.clone()), settings.proxy.as_deref())?;
        let (workspace, project) = (settings.workspace.trim().to_owned(), settings.project.trim().to_owned());
        Ok(Comet { http, workspace, project, experiment: None })
    }

    fn post(&self, call: &str, body: &Value) -> Result<Value, SinkError> {
        let path = format!("/api/rest/v2/write/experiment/{call}");
        self.http.post(&path, body)?.ok(&path)
    }

    fn key(&self) -> &str {
        self.experiment.as_deref().expect("a sink is opened before it is used")
    }

    fn other(&self, key: &str, name: &str, value: &str) -> Result<(), SinkError> {
        self.post("log-other", &json!({"experimentKey": key, "key": name, "value": value})).map(drop)
    }
}

impl Sink for Comet {
    fn kind(&self) -> &'static str {
        "comet"
    }

    fn target(&self) -> String {
        format!("{} {}/{}", self.http.address(), self.workspace, self.project)
    }

    fn is_open(&self) -> bool {
        self.experiment.is_some()
    }

    fn open(&mut self, run: &Run, remote: Option<&str>) -> Result<String, SinkError> {
        if let Some(key) = remote {
            self.experiment = Some(key.to_owned());
            return Ok(key.to_owned());
        }
        let body = json!({
            "workspaceName": self.workspace,
            "projectName": self.project,
            "experimentName": run.name,
        });
        let made = self.post("create", &body)?;
        let key = text_field(&made, "/experimentKey", "create")?.to_owned();
        self.experiment = Some(key.clone());
        Ok(key)
    }

    fn describe(&mut self, run: &Run, settings: &[(String, String)]) -> Result<(), SinkError> {
        let key = self.key();
        for (name, value) in settings {
            self.post("parameter", &json!({"experimentKey": key, "parameterName": name, "parameterValue": value}))?;
        }
        let origin = &run.origin;
        let ranks = origin.ranks.to_string();
        let others = [
            ("gptneo.uid", run.uid.as_str()),
            ("gptneo.kind", &run.kind),
            ("gptneo.code", &origin.code),
            ("gptneo.data_hash", origin.data_hash.as_deref().unwrap_or_default()),
            ("gptneo.tokenizer_hash", origin.tokenizer_hash.as_deref().unwrap_or_default()),
            ("gptneo.host", &origin.host),
            ("gptneo.device", &origin.device),
            ("gptneo.ranks", &ranks),
            ("gptneo.recipe", &run.recipe),
        ];
        for (name, value) in others.into_iter().filter(|(_, value)| !value.is_empty()) {
            self.other(key, name, value)?;
        }
        let start = json!({"experimentKey": key, "startTimeMillis": milliseconds(run.started)});
        self.post("set-start-end-time", &start).map(drop)
    }

    fn metrics(&mut self, metrics: &[Metric], taken: &mut usize) -> Result<(), SinkError> {
        for metric in metrics {
            let body = json!({
                "experimentKey": self.key(),
                "metricName": metric.name,
                "metricValue": json_number(metric.value),
                "step": metric.step,
                "timestamp": milliseconds(metric.time),
            });
            self.post("metric", &body)?;
            *taken += 1;
        }
        Ok(())
    }

    fn texts(&mut self, texts: &[Text], taken: &mut usize) -> Result<(), SinkError> {
        for text in texts {
            let at = text.step.map_or_else(String::new, |step| format!("[step {step}] "));
            let (output, bad) = match text.kind {
                TextKind::Sample => (format!("{at}sample: {}{}", text.title, text.body), false),
                TextKind::Message => {
                    (format!("{at}{}: {}", text.title, text.body), Level::of(&text.title) > Level::Info)
                }
            };
            let time = milliseconds(text.time);
            let body = json!({
                "experimentKey": self.key(),
                "runContext": "gptneo",
                "outputLines": [{"localTimestamp": time, "offset": time, "output": output, "stderr": bad}],
            });
            self.post("output", &body)?;
            *taken += 1;
        }
        Ok(())
    }

    fn close(&mut self, run: &Run) -> Result<(), SinkError> {
        self.other(self.key(), "gptneo.state", run.state.name())?;
        let times = json!({
            "experimentKey": self.key(),
            "startTimeMillis": milliseconds(run.started),
            "endTimeMillis": milliseconds(run.ended.unwrap_or(run.seen)),
        });
        self.post("set-start-end-time", &times).map(drop)
    }
}
