//! Names of models, and engines made from them.

use gptneo_engine::{Engine, ModelName, Opening, Request, SchedulerOptions, SourceError, open};
use gptneo_hub::{Hub, HubSettings};
use gptneo_model::LoadOptions;

use crate::golden::{cpu, folder};
use crate::toy::{run, tokenizer};

fn check(name: &str, wanted: &str) {
    let found = match ModelName::parse(name) {
        Ok(ModelName::Path(_)) => "path".to_owned(),
        Ok(ModelName::Hub(id)) => format!("hub {}", id.repo()),
        Ok(ModelName::Random(config)) => format!("random {}", config.positions),
        Err(error) => error.to_string(),
    };
    assert!(found.starts_with(wanted), "{name}: {found}");
}

#[test]
fn tells_names_apart() {
    check(env!("CARGO_MANIFEST_DIR"), "path");
    check("EleutherAI/gpt-neo-125m@main", "hub EleutherAI/gpt-neo-125m");
    check("random:gpt-neo-125m", "random 2048");
    check("random:llama", "there is no shape named `llama`: use one of ");
    check("pocket", "the model `pocket` is built into the program");
    check("./nowhere", "there is no file or directory ./nowhere");
    check("nowhere.gguf", "there is no file or directory nowhere.gguf");
    check("a/b/c", "there is no file or directory a/b/c");
    check("not an id", "`not an id` is not a model id");
    check("", "`` is not a model id");
}

fn opened(name: &str) -> Result<Engine, SourceError> {
    let cache = tempfile::tempdir().unwrap();
    let mut settings = HubSettings::new(cache.path());
    settings.offline = true;
    let hub = Hub::new(settings)?;
    let opening = Opening {
        hub: &hub,
        load: LoadOptions::default(),
        rails: Vec::new(),
        scheduler: SchedulerOptions::default(),
        pulling: &(),
        loading: &mut |_| (),
    };
    Ok(open(cpu(1), &ModelName::parse(name)?, opening)?.engine)
}

#[test]
fn opens_a_directory_without_a_tokenizer() {
    let mut engine = opened(folder("gpt_neo").to_str().unwrap()).unwrap();
    assert!(engine.tokenizer().is_none());
    let request = Request { max_tokens: Some(3), ignore_eos: true, ..Request::new(vec![1, 2, 3]) };
    assert_eq!(run(&mut engine, request)[0].tokens.len(), 3);
}

#[test]
fn opens_a_directory_with_its_tokenizer() {
    let copy = tempfile::tempdir().unwrap();
    for file in ["config.json", "model.safetensors"] {
        std::fs::copy(folder("gpt_neo").join(file), copy.path().join(file)).unwrap();
    }
    std::fs::write(copy.path().join("tokenizer.json"), tokenizer().json()).unwrap();
    let mut engine = opened(copy.path().to_str().unwrap()).unwrap();
    let request = Request { max_tokens: Some(3), ignore_eos: true, ..Request::new("the day") };
    assert_eq!(run(&mut engine, request)[0].prompt_tokens, 7);
    std::fs::write(copy.path().join("tokenizer.json"), "{").unwrap();
    assert!(matches!(opened(copy.path().to_str().unwrap()), Err(SourceError::Tokenizer { .. })));
}

#[test]
fn offline_an_unknown_id_is_an_error() {
    assert!(matches!(opened("nobody/nothing"), Err(SourceError::Hub(_))));
}
