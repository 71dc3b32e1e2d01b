//! MLflow through its REST API (`/api/2.0/mlflow`).
//!
//! The experiment is found or made by name, the run by its tag `gptneo.uid`, so that an interrupted beginning makes no
//! second run. Settings become parameters, metrics go in batches of at most 1000, the newest sample and warning are tags.
//! MLflow keeps a value once however often it is told it, so a batch may be repeated. Tested against a double, and with MLflow's
//! own server by `.ci/sinks.py`.

use serde_json::{Value, json};

use super::http::{Http, Secret, at_most, json_number, milliseconds, text_field};
use super::{Sink, SinkError};
use crate::error::RunsError;
use crate::event::State;
use crate::record::{Metric, Run, Text, TextKind};

/// Limits of one `log-batch`, from MLflow's documentation; a request is at most 1 MB.
const METRICS: usize = 1_000;
const PARAMETERS: usize = 100;
/// Characters of a parameter's value, its name, and a tag.
const LONGEST_PARAMETER: usize = 6_000;
const LONGEST_NAME: usize = 250;
const LONGEST_TAG: usize = 5_000;
/// Characters of parameters in one batch, so that the request stays under 1 MB whatever the letters.
const BATCH_CHARACTERS: usize = 100_000;

/// How to reach an MLflow server.
#[derive(Debug, Clone)]
pub struct MlFlowSettings {
    /// `http://localhost:5000`, as in `MLFLOW_TRACKING_URI`.
    pub address: String,
    /// The experiment, made if it is missing.
    pub experiment: String,
    /// Who we are, where the server asks.
    pub login: Login,
    /// The proxy for every request.
    pub proxy: Option<String>,
}

/// Who we are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Login {
    /// Nobody in particular.
    Nobody,
    /// A bearer token.
    Token(Secret),
    /// A user with a password.
    Password {
        /// The user.
        user: String,
        /// The password.
        password: Secret,
    },
}

/// One MLflow experiment.
pub struct MlFlow {
    http: Http,
    experiment: String,
    /// MLflow's id of the run.
    run: Option<String>,
}

impl MlFlow {
    /// # Errors
    /// [`RunsError::BadSink`] for an address that is none, or an experiment without a name.
    pub fn new(settings: &MlFlowSettings) -> Result<MlFlow, RunsError> {
        let authorization = match &settings.login {
            Login::Nobody => None,
            Login::Token(token) => Some(Secret::new(format!("Bearer {}", token.reveal()))),
            Login::Password { user, password } => {
                let pair = format!("{user}:{}", password.reveal());
                Some(Secret::new(format!("Basic {}", base64(pair.as_bytes()))))
            }
        };
        if settings.experiment.trim().is_empty() {
            return Err(RunsError::BadSink { sink: "mlflow", why: "the experiment has no name".to_owned() });
        }
        let http = Http::new("mlflow", &settings.address, authorization, settings.proxy.as_deref())?;
        Ok(MlFlow { http, experiment: settings.experiment.trim().to_owned(), run: None })
    }

    fn post(&self, call: &str, body: &Value) -> Result<Value, SinkError> {
        let path = format!("/api/2.0/mlflow/{call}");
        self.http.post(&path, body)?.ok(&path)
    }

    /// The id of the experiment, made if it is missing.
    fn experiment(&self) -> Result<String, SinkError> {
        const BY_NAME: &str = "/api/2.0/mlflow/experiments/get-by-name";
        let find = || {
            let answer = self.http.get(BY_NAME, &[("experiment_name", &self.experiment)])?;
            let missing = answer.status == 404 && answer.body["error_code"] == "RESOURCE_DOES_NOT_EXIST";
            if missing { Ok(None) } else { answer.ok(BY_NAME).map(Some) }
        };
        let id = |body: &Value| text_field(body, "/experiment/experiment_id", BY_NAME).map(str::to_owned);
        if let Some(found) = find()? {
            if found.pointer("/experiment/lifecycle_stage") == Some(&json!("deleted")) {
                let name = &self.experiment;
                return Err(SinkError::lasting(format!(
                    "the experiment `{name}` was deleted: restore it or name another"
                )));
            }
            return id(&found);
        }
        let path = "/api/2.0/mlflow/experiments/create";
        let answer = self.http.post(path, &json!({"name": self.experiment}))?;
        if answer.status == 400 && answer.body["error_code"] == "RESOURCE_ALREADY_EXISTS" {
            // Somebody else was faster.
            return find()?.as_ref().map_or_else(|| Err(answer.refusal(path)), id);
        }
        Ok(text_field(&answer.ok(path)?, "/experiment_id", path)?.to_owned())
    }

    /// MLflow's id of a run that was begun but not noted here.
    fn begun(&self, experiment: &str, uid: &str) -> Result<Option<String>, SinkError> {
        let filter = format!("tags.`gptneo.uid` = '{}'", uid.replace('\'', ""));
        let body = json!({"experiment_ids": [experiment], "filter": filter, "max_results": 1});
        let found = self.post("runs/search", &body)?;
        Ok(found.pointer("/runs/0/info/run_id").and_then(Value::as_str).map(str::to_owned))
    }

    fn id(&self) -> &str {
        self.run.as_deref().expect("a sink is opened before it is used")
    }

    fn tag(&self, key: &str, value: &str) -> Result<(), SinkError> {
        let body = json!({"run_id": self.id(), "key": key, "value": at_most(value, LONGEST_TAG)});
        self.post("runs/set-tag", &body).map(drop)
    }

    fn parameters(&self, id: &str, settings: &[(String, String)]) -> Result<(), SinkError> {
        let mut batch = Vec::new();
        let mut characters = 0;
        let send = |batch: &mut Vec<Value>| {
            let body = json!({"run_id": id, "params": std::mem::take(batch)});
            self.post("runs/log-batch", &body).map(drop)
        };
        for (key, value) in settings {
            let (key, value) = (at_most(key, LONGEST_NAME), at_most(value, LONGEST_PARAMETER));
            let length = key.len() + value.len();
            if !batch.is_empty() && (batch.len() == PARAMETERS || characters + length > BATCH_CHARACTERS) {
                send(&mut batch)?;
                characters = 0;
            }
            characters += length;
            batch.push(json!({"key": key, "value": value}));
        }
        if batch.is_empty() { Ok(()) } else { send(&mut batch) }
    }
}

impl Sink for MlFlow {
    fn kind(&self) -> &'static str {
        "mlflow"
    }

    fn target(&self) -> String {
        format!("{} {}", self.http.address(), self.experiment)
    }

    fn is_open(&self) -> bool {
        self.run.is_some()
    }

    fn open(&mut self, run: &Run, remote: Option<&str>) -> Result<String, SinkError> {
        if let Some(id) = remote {
            self.post("runs/update", &json!({"run_id": id, "status": "RUNNING"}))?;
            self.run = Some(id.to_owned());
            return Ok(id.to_owned());
        }
        let experiment = self.experiment()?;
        let id = match self.begun(&experiment, &run.uid)? {
            Some(id) => id,
            None => {
                let origin = &run.origin;
                let mut tags = vec![
                    ("gptneo.uid", run.uid.clone()),
                    ("gptneo.kind", run.kind.clone()),
                    ("gptneo.code", origin.code.clone()),
                    ("gptneo.host", origin.host.clone()),
                    ("gptneo.device", origin.device.clone()),
                    ("gptneo.ranks", origin.ranks.to_string()),
                    ("gptneo.recipe", at_most(&run.recipe, LONGEST_TAG)),
                    ("mlflow.source.name", "gptneo".to_owned()),
                ];
                tags.extend(origin.data_hash.clone().map(|hash| ("gptneo.data_hash", hash)));
                tags.extend(origin.tokenizer_hash.clone().map(|hash| ("gptneo.tokenizer_hash", hash)));
                let tags: Vec<Value> = tags
                    .into_iter()
                    .filter(|(_, value)| !value.is_empty())
                    .map(|(key, value)| json!({"key": key, "value": value}))
                    .collect();
                let body = json!({
                    "experiment_id": experiment,
                    "run_name": run.name,
                    "start_time": milliseconds(run.started),
                    "tags": tags,
                });
                let made = self.post("runs/create", &body)?;
                text_field(&made, "/run/info/run_id", "runs/create")?.to_owned()
            }
        };
        self.run = Some(id.clone());
        Ok(id)
    }

    fn describe(&mut self, _run: &Run, settings: &[(String, String)]) -> Result<(), SinkError> {
        self.parameters(self.id(), settings)
    }

    fn metrics(&mut self, metrics: &[Metric], taken: &mut usize) -> Result<(), SinkError> {
        for batch in metrics.chunks(METRICS) {
            let value = |metric: &Metric| {
                json!({
                    "key": at_most(&metric.name, LONGEST_NAME),
                    "value": json_number(metric.value),
                    "timestamp": milliseconds(metric.time),
                    "step": metric.step,
                })
            };
            let values: Vec<Value> = batch.iter().map(value).collect();
            self.post("runs/log-batch", &json!({"run_id": self.id(), "metrics": values}))?;
            *taken += batch.len();
        }
        Ok(())
    }

    fn texts(&mut self, texts: &[Text], taken: &mut usize) -> Result<(), SinkError> {
        let newest = |kind: TextKind| texts.iter().rev().find(|text| text.kind == kind);
        let at = |text: &Text| text.step.map_or_else(String::new, |step| format!("step {step}: "));
        if let Some(sample) = newest(TextKind::Sample) {
            self.tag("gptneo.sample", &format!("{}{}{}", at(sample), sample.title, sample.body))?;
        }
        if let Some(message) = newest(TextKind::Message) {
            self.tag("gptneo.message", &format!("{}{}: {}", at(message), message.title, message.body))?;
        }
        *taken = texts.len();
        Ok(())
    }

    fn close(&mut self, run: &Run) -> Result<(), SinkError> {
        let status = match run.state {
            State::Running => return Ok(()),
            State::Finished => "FINISHED",
            State::Stopped => "KILLED",
            State::Failed => "FAILED",
        };
        let end = milliseconds(run.ended.unwrap_or(run.seen));
        self.post("runs/update", &json!({"run_id": self.id(), "status": status, "end_time": end})).map(drop)
    }
}

/// Base64 with padding (RFC 4648, section 4), for the one header that wants it.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for group in bytes.chunks(3) {
        let bits = group.iter().chain([0, 0].iter()).take(3).fold(0u32, |bits, byte| bits << 8 | u32::from(*byte));
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place) & 63) as usize];
            out.push(if place <= group.len() { char::from(letter) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn agrees_with_the_examples_of_the_rfc() {
        for (plain, coded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }
}
