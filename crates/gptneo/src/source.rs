//! What `-m` names: a directory, a file, a model at the hub, or random weights of a published shape.

use std::path::{Path, PathBuf};

use gptneo_hub::{Hub, HubSettings, ModelId, Token};
use gptneo_model::{Config, shapes};

use crate::args::HubArgs;
use crate::args::values::shorten;
use crate::environment::Environment;
use crate::failure::{Failure, Kind};

/// Where a model is.
#[derive(Debug)]
pub(crate) enum Place {
    /// On disk.
    Path(PathBuf),
    /// At the hub, or in its cache.
    Hub(ModelId),
    /// Nowhere: random weights of this shape.
    Random {
        /// The shape's name.
        shape: String,
        /// The architecture.
        config: Box<Config>,
    },
}

const FORMS: &str = "-m EleutherAI/gpt-neo-125m   (a model of the hub: downloaded once, then kept)
-m ./directory               (Hugging Face layout: config.json, weights, tokenizer)
-m model.gguf                (one file)
-m random:gpt-neo-125m       (random weights of a published shape, for benchmarks)";

/// Reads `-m`. Something that exists on disk is that; `random:` is a shape; the rest is an id of the hub.
///
/// # Errors
/// Exit code 2 if nothing is named or the name cannot be one, 3 if a path does not exist.
pub(crate) fn place(model: Option<&str>, revision: Option<&str>) -> Result<Place, Failure> {
    let Some(name) = model else {
        return Err(Failure::usage("no model is named, and none is built in").hint(FORMS));
    };
    if let Some(shape) = name.strip_prefix("random:") {
        let config = shapes::config(shape).ok_or_else(|| {
            let known: Vec<&str> = shapes::names().collect();
            Failure::usage(format!("there is no shape named `{}`", shorten(shape)))
                .hint(format!("random:SHAPE, with SHAPE one of {}", wrapped(&known)))
        })?;
        return Ok(Place::Random { shape: shape.to_ascii_lowercase(), config: Box::new(config) });
    }
    if name.is_empty() {
        return Err(Failure::usage("the model's name is empty").hint(FORMS));
    }
    let path = Path::new(name);
    if path.exists() {
        return Ok(Place::Path(path.to_owned()));
    }
    let gguf = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("gguf")) && !name.contains(':');
    if name == "pocket" || name == "random" {
        return Err(Failure::usage(format!("there is no model named `{name}`")).hint(FORMS));
    }
    if name.starts_with(['.', '/', '~']) || name.contains('\\') || name.matches('/').count() > 1 || gguf {
        return Err(Failure::new(Kind::Io, format!("there is no file or directory `{}`", shorten(name))));
    }
    match at_revision(name, revision).parse() {
        Ok(id) => Ok(Place::Hub(id)),
        Err(error) => Err(Failure::from(error).hint(FORMS)),
    }
}

/// An id of the hub and nothing else.
///
/// # Errors
/// Exit code 2 if it cannot be one.
pub(crate) fn hub_id(name: &str, args: &HubArgs) -> Result<ModelId, Failure> {
    Ok(at_revision(name, args.revision.as_deref()).parse()?)
}

/// `owner/name:file` at a revision, unless the name has one.
fn at_revision(name: &str, revision: Option<&str>) -> String {
    match revision {
        Some(revision) if !name.contains('@') => match name.split_once(':') {
            Some((id, file)) => format!("{id}@{revision}:{file}"),
            None => format!("{name}@{revision}"),
        },
        _ => name.to_owned(),
    }
}

/// The hub as the environment and the flags describe it.
pub(crate) fn hub(args: &HubArgs, environment: Environment) -> Result<Hub, Failure> {
    let mut settings = HubSettings::from_lookup(|name| environment.lookup(name))?;
    settings.offline |= args.offline;
    if let Some(token) = &args.hf_token {
        // The token itself is not repeated.
        settings.token = Token::new(token).map_err(|why| Failure::usage(format!("--hf-token: {why}")))?;
    }
    Ok(Hub::new(settings)?)
}

/// A list in lines that fit a terminal.
fn wrapped(names: &[&str]) -> String {
    let mut out = String::new();
    let mut line = 0;
    for (index, name) in names.iter().enumerate() {
        if line > 45 {
            out.push('\n');
            line = 0;
        }
        let comma = if index + 1 < names.len() { ", " } else { "" };
        out += name;
        out += comma;
        line += name.len() + comma.len();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, wanted: Result<&str, Kind>) {
        let found = match place(Some(name), Some("v1")) {
            Ok(Place::Path(_)) => Ok("path".to_owned()),
            Ok(Place::Hub(id)) => Ok(id.to_string()),
            Ok(Place::Random { shape, .. }) => Ok(format!("random {shape}")),
            Err(failure) => Err(failure.kind()),
        };
        assert_eq!(found, wanted.map(str::to_owned), "{name}");
    }

    #[test]
    fn tells_the_kinds_apart() {
        check(env!("CARGO_MANIFEST_DIR"), Ok("path"));
        check("random:GPT-Neo-125m", Ok("random gpt-neo-125m"));
        check("random:llama-7b", Err(Kind::Usage));
        check("EleutherAI/gpt-neo-125m", Ok("EleutherAI/gpt-neo-125m@v1"));
        check("a/b:Q4_K_M", Ok("a/b@v1:Q4_K_M"));
        check("a/b@main", Ok("a/b@main"));
        check("./nowhere", Err(Kind::Io));
        check("nowhere/deep/down", Err(Kind::Io));
        check("nowhere.gguf", Err(Kind::Io));
        check("", Err(Kind::Usage));
        check("pocket", Err(Kind::Usage));
        check("no model", Err(Kind::Usage));
    }
}
