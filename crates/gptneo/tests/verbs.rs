//! The verbs as scripts use them: the fields of their JSON, their exit codes, and their numbers against transformers.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests fail as tests do")]

#[path = "verbs/bias.rs"]
mod bias;
#[path = "verbs/chat.rs"]
mod chat;
#[path = "verbs/classifiers.rs"]
mod classifiers;
#[path = "verbs/contamination.rs"]
mod contamination;
#[path = "verbs/data.rs"]
mod data;
#[path = "verbs/evaluate.rs"]
mod evaluate;
#[path = "verbs/evaluated.rs"]
mod evaluated;
#[path = "verbs/feedback.rs"]
mod feedback;
#[path = "verbs/files.rs"]
mod files;
#[path = "verbs/forms.rs"]
mod forms;
#[path = "verbs/front.rs"]
mod front;
#[path = "verbs/generate.rs"]
mod generate;
#[path = "verbs/golden.rs"]
mod golden;
#[path = "verbs/harm.rs"]
mod harm;
#[path = "verbs/heads.rs"]
mod heads;
#[path = "verbs/hub.rs"]
mod hub;
#[path = "verbs/lora.rs"]
mod lora;
#[path = "verbs/measure.rs"]
mod measure;
#[path = "verbs/memorisation.rs"]
mod memorisation;
#[path = "verbs/pocket.rs"]
mod pocket;
#[path = "verbs/presets.rs"]
mod presets;
mod runner;
#[path = "verbs/runs.rs"]
mod runs;
#[path = "../../engine/tests/engine/schema.rs"]
mod schema;
#[path = "verbs/score.rs"]
mod score;
#[path = "verbs/serving.rs"]
mod serving;
#[path = "verbs/tinytalk.rs"]
mod tinytalk;
#[path = "verbs/tokenize.rs"]
mod tokenize;
