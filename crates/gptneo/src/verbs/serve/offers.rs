//! The models that a server offers, each with what it takes to load it when it is asked for.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use gptneo_device::PAGE;
use gptneo_engine::{Rail, Scheduler, SchedulerOptions};
use gptneo_model::Adapter;
use gptneo_serve::{Loaded, Offer, Source};
use gptneo_text::{ChatTemplate, Tokenizer};

use crate::args::{LoraArgs, MachineArgs, ModelArgs, ServeArgs};
use crate::card::Card;
use crate::failure::Failure;
use crate::input;
use crate::load::{Plan, cpu};
use crate::memory;
use crate::open::{Opened, open};
use crate::pocket;
use crate::rails;
use crate::verbs::World;

/// Of the memory that is free, the part that a model with its cache takes where nothing is said.
const SHARE: f64 = 0.4;

/// How long one step with prompts in it may take, so that whoever comes meanwhile, and whoever waits for a next token, waits no longer.
const STEP: Duration = Duration::from_millis(50);

/// A model that is served.
struct Served {
    opened: Opened,
    args: ModelArgs,
    machine: MachineArgs,
    /// Positions of its cache.
    positions: usize,
    bytes: u64,
    adapters: Vec<(String, PathBuf)>,
    form: Form,
    rails: Vec<Arc<dyn Rail>>,
    options: SchedulerOptions,
    world: World,
}

/// How conversations are written down for a model.
#[derive(Clone)]
enum Form {
    /// As its own tokenizer says; a base model says nothing.
    Own,
    Given(ChatTemplate),
}

/// Opens every model that was named, and checks what can be checked before it is loaded.
///
/// # Errors
/// A model that cannot be had, is a classifier, or would not fit in memory; flags that name no model.
pub(super) fn offers(args: &ServeArgs, world: &World) -> Result<Vec<Offer>, Failure> {
    let named = match args.model.as_slice() {
        [] => vec![(pocket::NAME.to_owned(), pocket::NAME.to_owned())],
        models => models.iter().map(|model| split_name(model)).collect(),
    };
    let mut offers = Vec::new();
    let mut adapters = by_model(&args.lora, &named)?;
    let mut words = blocked_words(args, &named)?;
    for (at, (name, model)) in named.iter().enumerate() {
        let opened = open(Some(model), &args.hub, world.environment, &world.interrupt)?;
        opened.language_model()?;
        let tokenizer = opened.tokenizer()?;
        let form = form(args, tokenizer.as_ref(), model)?;
        let model_args = ModelArgs {
            model: Some(model.clone()),
            quant: args.quant,
            ctx_size: args.ctx_size.map(|size| size.min(opened.config().positions)),
            cache_type_k: args.cache_type_k,
            cache_type_v: args.cache_type_v,
            lora: LoraArgs::default(),
        };
        let positions = positions(args, &opened, &model_args)?;
        let plan = Plan::new(&opened, &model_args, |_| positions)?;
        plan.check(&opened)?;
        let adapters = std::mem::take(&mut adapters[at]);
        let created = opened.files().first().and_then(|file| file.metadata().ok()?.modified().ok());
        let served = Served {
            bytes: plan.bytes(),
            opened,
            args: model_args,
            machine: args.machine.clone(),
            positions,
            adapters: adapters.clone(),
            form,
            rails: std::mem::take(&mut words[at]),
            options: SchedulerOptions {
                max_sequences: args.parallel,
                max_queue: args.parallel + args.max_queue,
                step_time: Some(STEP),
                ..SchedulerOptions::default()
            },
            world: world.clone(),
        };
        offers.push(Offer {
            name: if at == 0 { args.alias.clone().unwrap_or_else(|| name.clone()) } else { name.clone() },
            source: Arc::new(served),
            adapters: adapters.into_iter().map(|(name, _)| name).collect(),
            created: created.and_then(|time| time.duration_since(UNIX_EPOCH).ok()).map_or(0, |since| since.as_secs()),
        });
    }
    Ok(offers)
}

/// `NAME=MODEL`, or a model that goes by its own name.
fn split_name(text: &str) -> (String, String) {
    let plain = |name: &str| !name.is_empty() && !name.contains(['/', '\\', ':', '.']);
    match text.split_once('=') {
        Some((name, model)) if plain(name) && !Path::new(text).exists() => (name.to_owned(), model.to_owned()),
        _ => (text.to_owned(), text.to_owned()),
    }
}

/// Adapters by the model that they belong to: the first, where none is named.
fn by_model(flags: &[String], models: &[(String, String)]) -> Result<Vec<Vec<(String, PathBuf)>>, Failure> {
    let mut adapters = vec![Vec::new(); models.len()];
    for flag in flags {
        let Some((name, folder)) = flag.split_once('=') else {
            return Err(Failure::usage(format!("--lora {flag} names no name for the adapter"))
                .hint(format!("--lora NAME={flag}")));
        };
        let (model, name) = match name.split_once(':') {
            Some((model, name)) => (place(models, model, "--lora")?, name),
            None => (0, name),
        };
        if name.is_empty() {
            return Err(Failure::usage(format!("--lora {flag} names no name for the adapter")));
        }
        adapters[model].push((name.to_owned(), PathBuf::from(folder)));
    }
    Ok(adapters)
}

fn place(models: &[(String, String)], name: &str, flag: &str) -> Result<usize, Failure> {
    models.iter().position(|(known, _)| known == name).ok_or_else(|| {
        let known: Vec<&str> = models.iter().map(|(name, _)| name.as_str()).collect();
        Failure::usage(format!("{flag} names the model {name}, but those served are: {}", known.join(", ")))
    })
}

/// Rails of each model.
fn blocked_words(args: &ServeArgs, models: &[(String, String)]) -> Result<Vec<Vec<Arc<dyn Rail>>>, Failure> {
    let mut rails: Vec<Vec<Arc<dyn Rail>>> = models.iter().map(|_| Vec::new()).collect();
    for flag in &args.blocked_words {
        let (of, path) = match flag.split_once('=') {
            Some((name, path)) if !Path::new(flag).exists() => (Some(place(models, name, "--blocked-words")?), path),
            _ => (None, flag.as_str()),
        };
        let rail = rails::blocked_words(Path::new(path))?;
        for (at, rails) in rails.iter_mut().enumerate() {
            if of.is_none_or(|of| of == at) {
                rails.push(Arc::clone(&rail));
            }
        }
    }
    Ok(rails)
}

fn form(args: &ServeArgs, tokenizer: Option<&Tokenizer>, model: &str) -> Result<Form, Failure> {
    let with_tokens = |template: ChatTemplate| match tokenizer {
        Some(tokenizer) => template.with_tokens_of(tokenizer),
        None => template,
    };
    if let Some(path) = &args.chat_template_file {
        let template = ChatTemplate::jinja(&input::file(path)?);
        let template = template.map_err(|error| Failure::from(error).within(&path.display().to_string()))?;
        return Ok(Form::Given(with_tokens(template)));
    }
    match args.chat_template.as_deref() {
        None => Ok(Form::Own),
        Some("model") => match tokenizer.map(ChatTemplate::of_tokenizer).transpose()?.flatten() {
            Some(template) => Ok(Form::Given(template)),
            None => Err(Failure::usage(format!("{model} came without a chat template"))),
        },
        Some(name) => Ok(Form::Given(with_tokens(ChatTemplate::named(name)?))),
    }
}

/// How many positions the model's cache has: as many as all sequences may need, where memory allows.
fn positions(args: &ServeArgs, opened: &Opened, model: &ModelArgs) -> Result<usize, Failure> {
    let context = model.ctx_size.unwrap_or(opened.config().positions);
    let least = context + 3 * PAGE;
    if let Some(tokens) = args.cache_tokens {
        return match tokens >= context {
            true => Ok(tokens.max(least)),
            false => Err(Failure::usage(format!(
                "--cache-tokens {tokens} is less than one request of {} may need, which is {context}",
                opened.name
            ))
            .hint(format!("--cache-tokens {context}, or shorter requests with -c"))),
        };
    }
    let free = args.memory.or_else(memory::available).map(|free| free as f64 * SHARE);
    let mut positions = args.parallel.saturating_mul(context).max(least);
    while positions > least {
        let plan = Plan::new(opened, model, |_| positions)?;
        // A plan counts a local layer's window once, and here each sequence has its own: at most twice as much.
        if free.is_none_or(|free| (plan.bytes() + plan.memory.cache) as f64 <= free) {
            break;
        }
        positions = (positions / 2).max(least);
    }
    Ok(positions)
}

impl Source for Served {
    fn load(&self) -> Result<Loaded, String> {
        self.scheduler().map_err(|failure| failure.message().to_owned())
    }

    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn card(&self) -> Option<String> {
        Card::of(&self.opened)?.text().ok().flatten()
    }

    fn rails(&self) -> Vec<String> {
        self.rails.iter().map(|rail| rail.name().to_owned()).collect()
    }
}

impl Served {
    fn scheduler(&self) -> Result<Loaded, Failure> {
        let cpu = cpu(&self.machine, self.world.environment)?;
        let adapters: Vec<(&str, Adapter)> = self
            .adapters
            .iter()
            .map(|(name, folder)| Ok((name.as_str(), Adapter::open(&cpu, folder, self.opened.config())?)))
            .collect::<Result<_, Failure>>()?;
        let plan = Plan::new(&self.opened, &self.args, |_| self.positions)?;
        let plan = adapters.iter().fold(plan, |plan, (_, adapter)| plan.beside(Some(adapter)));
        let loaded = plan.load(&self.opened, cpu, &self.world.interrupt)?;
        let tokenizer = self.opened.tokenizer()?;
        let template = match &self.form {
            Form::Given(template) => Some(template.clone()),
            Form::Own => tokenizer.as_ref().map(ChatTemplate::of_tokenizer).transpose()?.flatten(),
        };
        let mut scheduler = Scheduler::new(loaded.model, tokenizer, self.rails.clone(), self.options);
        for (name, adapter) in &adapters {
            scheduler.add_adapter(name, adapter)?;
        }
        Ok(Loaded { scheduler, template })
    }
}
