//! What `-m` names ([`ModelName`] is the engine's), and the hub as flags and environment describe it.

use gptneo_engine::ModelName;
use gptneo_hub::{Hub, HubSettings, ModelId, Token};

use crate::args::HubArgs;
use crate::environment::Environment;
use crate::failure::{Failure, Kind};
use crate::pocket;

const FORMS: &str = "-m pocket                    (the model that is built in: short stories)
-m EleutherAI/gpt-neo-125m   (a model of the hub: downloaded once, then kept)
-m ./directory               (Hugging Face layout: config.json, weights, tokenizer)
-m model.gguf                (one file)
-m random:gpt-neo-125m       (random weights of a published shape, for benchmarks)";

/// Where a model is.
#[derive(Debug)]
pub(crate) enum Place {
    /// In this program.
    Pocket,
    /// Elsewhere.
    Named(ModelName),
}

/// Reads `-m`: the model that is built in, where nothing is named. `revision` is for models of the hub.
///
/// # Errors
/// Exit code 2 if the name cannot be one, 3 if a path does not exist.
pub(crate) fn place(model: Option<&str>, revision: Option<&str>) -> Result<Place, Failure> {
    let name = model.unwrap_or(pocket::NAME);
    if name == pocket::NAME {
        return Ok(Place::Pocket);
    }
    match ModelName::parse(name) {
        Ok(ModelName::Hub(_)) => Ok(Place::Named(ModelName::Hub(at_revision(name, revision).parse()?))),
        Ok(place) => Ok(Place::Named(place)),
        Err(error) => {
            let failure = Failure::from(error);
            Err(if failure.kind() == Kind::Usage { failure.hint(FORMS) } else { failure })
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, wanted: Result<&str, Kind>) {
        let found = match place(Some(name), Some("v1")) {
            Ok(Place::Pocket) => Ok("built in".to_owned()),
            Ok(Place::Named(ModelName::Path(_))) => Ok("path".to_owned()),
            Ok(Place::Named(ModelName::Hub(id))) => Ok(id.to_string()),
            Ok(Place::Named(ModelName::Random(_))) => Ok("random".to_owned()),
            Err(failure) => Err(failure.kind()),
        };
        assert_eq!(found, wanted.map(str::to_owned), "{name}");
    }

    #[test]
    fn tells_the_kinds_apart() {
        check(env!("CARGO_MANIFEST_DIR"), Ok("path"));
        check("random:GPT-Neo-125m", Ok("random"));
        check("random:llama-7b", Err(Kind::Usage));
        check("EleutherAI/gpt-neo-125m", Ok("EleutherAI/gpt-neo-125m@v1"));
        check("a/b:Q4_K_M", Ok("a/b@v1:Q4_K_M"));
        check("a/b@main", Ok("a/b@main"));
        check("./nowhere", Err(Kind::Io));
        check("nowhere/deep/down", Err(Kind::Io));
        check("nowhere.gguf", Err(Kind::Io));
        check("", Err(Kind::Usage));
        check("pocket", Ok("built in"));
        assert!(matches!(place(None, None), Ok(Place::Pocket)));
        // A folder of that name lies beside the sources, where tests run.
        check("./pocket", Ok("path"));
        check("no model", Err(Kind::Usage));
    }
}
