//! Which exit code an error of a library has, and what can be done about it.

use gptneo_checkpoint::{CheckpointError, Fault};
use gptneo_corpus::CorpusError;
use gptneo_device::DeviceError;
use gptneo_engine::SourceError;
use gptneo_engine::{EngineError, RequestError, SamplingError, ScoreError};
use gptneo_eval::data::DataError;
use gptneo_eval::review::ReviewError;
use gptneo_eval::{EvalError, Judge};
use gptneo_hub::HubError;
use gptneo_model::training::TrainError as NetworkError;
use gptneo_model::{AdapterError, LoadError, ModelError};
use gptneo_runs::RunsError;
use gptneo_text::TextError;
use gptneo_train::TrainError;

use crate::failure::{Failure, Kind};

impl From<HubError> for Failure {
    fn from(error: HubError) -> Self {
        let kind = match &error {
            HubError::BadSetting { .. } | HubError::BadId { .. } | HubError::ManyFiles { .. } => Kind::Usage,
            HubError::NoWeights { .. } => Kind::BadFile,
            HubError::Cancelled => Kind::Interrupted,
            _ => Kind::Io,
        };
        Failure::because(kind, &error)
    }
}

impl From<CheckpointError> for Failure {
    fn from(error: CheckpointError) -> Self {
        let kind = match &error {
            CheckpointError::Io { .. } | CheckpointError::Bad { fault: Fault::Read(_), .. } => Kind::Io,
            _ => Kind::BadFile,
        };
        Failure::because(kind, &error)
    }
}

impl From<RunsError> for Failure {
    fn from(error: RunsError) -> Self {
        let kind = match &error {
            RunsError::Damaged { .. } | RunsError::Foreign { .. } | RunsError::Newer { .. } => Kind::BadFile,
            RunsError::UnknownRun { .. }
            | RunsError::ManyRuns { .. }
            | RunsError::UnknownMetric { .. }
            | RunsError::BadValue { .. }
            | RunsError::BadSink { .. }
            | RunsError::Drawing(_) => Kind::Usage,
            _ => Kind::Io,
        };
        Failure::because(kind, &error)
    }
}

impl From<DeviceError> for Failure {
    fn from(error: DeviceError) -> Self {
        let kind = match &error {
            DeviceError::OutOfMemory { .. } => Kind::Memory,
            _ => Kind::BadFile,
        };
        Failure::because(kind, &error)
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Checkpoint(error) => error.into(),
            LoadError::Device(error) => error.into(),
            LoadError::Read { ref file, .. } => {
                let hint = "a model is a directory with config.json, weights and a tokenizer, or a .gguf file";
                let config = file.ends_with("config.json");
                let failure = Failure::because(Kind::Io, &error);
                if config { failure.hint(hint) } else { failure }
            }
            LoadError::OutOfMemory { .. } => Failure::because(Kind::Memory, &error),
            LoadError::UnsupportedTarget(_) => Failure::because(Kind::Usage, &error),
            LoadError::ClassifierInGguf => {
                Failure::because(Kind::Usage, &error).hint("gptneo convert, with -o the name of a directory")
            }
            _ => Failure::because(Kind::BadFile, &error),
        }
    }
}

impl From<AdapterError> for Failure {
    fn from(error: AdapterError) -> Self {
        match error {
            AdapterError::Checkpoint(error) => error.into(),
            AdapterError::Device(error) => error.into(),
            error => adapter(&error),
        }
    }
}

fn adapter(error: &AdapterError) -> Failure {
    let kind = match error {
        AdapterError::Read { .. } | AdapterError::Write { .. } => Kind::Io,
        AdapterError::NotAnAdapter { .. } => {
            let hint = "--lora with a directory that has adapter_config.json and adapter_model.safetensors";
            return Failure::because(Kind::Io, error).hint(hint);
        }
        AdapterError::Classifies => {
            let hint = "gptneo score with the same -m and --lora, or gptneo convert to keep it merged";
            return Failure::because(Kind::Usage, error).hint(hint);
        }
        AdapterError::OutOfMemory { .. } | AdapterError::Device(DeviceError::OutOfMemory { .. }) => Kind::Memory,
        _ => Kind::BadFile,
    };
    Failure::because(kind, error)
}

impl From<TextError> for Failure {
    fn from(error: TextError) -> Self {
        let kind = match &error {
            TextError::Read { .. } | TextError::Write { .. } | TextError::NoShards { .. } => Kind::Io,
            // Not the file is wrong, but what was asked of it.
            TextError::UnknownId { .. }
            | TextError::Unencodable { .. }
            | TextError::WordTooLong { .. }
            | TextError::UnknownTemplate { .. }
            | TextError::VocabSize { .. }
            | TextError::Mixture { .. }
            | TextError::Role { .. } => Kind::Usage,
            _ => Kind::BadFile,
        };
        Failure::because(kind, &error)
    }
}

impl From<TrainError> for Failure {
    fn from(error: TrainError) -> Self {
        let kind = match error {
            TrainError::Checkpoint(error) => return error.into(),
            TrainError::Device(error) => return error.into(),
            TrainError::Load(error) => return error.into(),
            TrainError::Text(error) => return error.into(),
            TrainError::Engine(error) => return error.into(),
            TrainError::Network(NetworkError::Device(error)) => return error.into(),
            TrainError::Network(NetworkError::Load(error)) => return error.into(),
            TrainError::Io { .. } | TrainError::Collective(_) => Kind::Io,
            TrainError::Damaged { .. } | TrainError::OtherTokenizer { .. } | TrainError::NothingHeldOut { .. } => {
                Kind::BadFile
            }
            TrainError::Recipe(_) | TrainError::Config(_) => Kind::BadFile,
            TrainError::Diverged { .. } | TrainError::Tasks(_) => Kind::Internal,
            _ => Kind::Usage,
        };
        Failure::because(kind, &error)
    }
}

impl From<CorpusError> for Failure {
    fn from(error: CorpusError) -> Self {
        let kind = match error {
            CorpusError::Text(error) => return error.into(),
            CorpusError::Hub(error) => return error.into(),
            CorpusError::Cancelled => return Self::interrupted(),
            CorpusError::Setting { .. } => Kind::Usage,
            CorpusError::Source { .. } | CorpusError::NoDocuments { .. } => Kind::BadFile,
            _ => Kind::Io,
        };
        Failure::because(kind, &error)
    }
}

impl From<EvalError> for Failure {
    fn from(error: EvalError) -> Self {
        let kind = match error {
            EvalError::Engine(error) => return error.into(),
            EvalError::Text(error) => return error.into(),
            EvalError::Interrupted | EvalError::Stopped => Kind::Interrupted,
            EvalError::NoJudge { judge, .. } => {
                let failure = Failure::because(Kind::Usage, &error);
                return match judge {
                    Judge::Toxicity => failure
                        .hint("--toxicity-scorer words:FILE, a list of words")
                        .hint("--toxicity-scorer classifier:DIR#LABEL, a model that classifies"),
                    Judge::Sentiment => failure.hint("--sentiment-scorer vader:FILE, a lexicon in VADER's format"),
                    _ => failure,
                };
            }
            EvalError::Lexicon { .. } | EvalError::Shards { .. } => Kind::BadFile,
            EvalError::Definition { .. } | EvalError::Document { .. } | EvalError::Cache { .. } => Kind::BadFile,
            EvalError::DefinedTwice { .. } | EvalError::Circular { .. } | EvalError::Results { .. } => Kind::BadFile,
            EvalError::Predictions { .. } => Kind::BadFile,
            EvalError::Data { ref error, .. } => match error {
                DataError::Definition { .. } => Kind::Usage,
                DataError::Missing { .. } | DataError::Read { .. } | DataError::Hub { .. } => Kind::Io,
                _ => Kind::BadFile,
            },
            EvalError::Io { .. } => Kind::Io,
            _ => Kind::Usage,
        };
        Failure::because(kind, &error)
    }
}

impl From<ReviewError> for Failure {
    fn from(error: ReviewError) -> Self {
        let kind = match error {
            ReviewError::Read { .. } => Kind::Io,
            ReviewError::Line { .. } | ReviewError::Sheet { .. } => Kind::BadFile,
            _ => Kind::Usage,
        };
        Failure::because(kind, &error)
    }
}

impl From<ModelError> for Failure {
    fn from(error: ModelError) -> Self {
        model(&error)
    }
}

fn model(error: &ModelError) -> Failure {
    if let ModelError::Adapter(error) = error {
        return adapter(error);
    }
    let kind = match error {
        ModelError::PastLastPosition { .. } | ModelError::UnknownToken { .. } | ModelError::Classifier => Kind::Usage,
        ModelError::CacheFull { .. } | ModelError::Device(DeviceError::OutOfMemory { .. }) => Kind::Memory,
        _ => Kind::Internal,
    };
    Failure::because(kind, error)
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        match &error {
            EngineError::Model(error) => model(error),
            EngineError::Request(RequestError::TooLargeForCache { .. }) => Failure::because(Kind::Memory, &error),
            EngineError::Sampling(SamplingError::NotFinite { .. }) => Failure::because(Kind::BadFile, &error),
            _ => Failure::because(Kind::Usage, &error),
        }
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::Hub(error) => error.into(),
            SourceError::Load(error) => error.into(),
            SourceError::Tokenizer { path, error } => Failure::from(error).within(&path.display().to_string()),
            SourceError::NoSuchPath(_) => Failure::because(Kind::Io, &error),
            _ => Failure::because(Kind::Usage, &error),
        }
    }
}

impl From<ScoreError> for Failure {
    fn from(error: ScoreError) -> Self {
        EngineError::from(error).into()
    }
}
