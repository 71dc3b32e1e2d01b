//! The models that are offered by name: loaded when they are first asked for, and evicted where memory is short.
//!
//! A name is looked up in a list and compared letter by letter: it never becomes part of a path or an address.

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gptneo_engine::{Forms, Scheduler, Spec};
use gptneo_text::{ChatTemplate, Tokenizer};
use sha2::{Digest, Sha256};
use tokio::sync::Notify;

use crate::digits::hex;
use crate::problem::Problem;
use crate::room::{Room, Seat};

/// How long a request waits for a model in use to make room for the one that it asks for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where a model comes from.
pub trait Source: Send + Sync {
    /// Loads it, with its adapters by name. Called on a thread that may block.
    ///
    /// # Errors
    /// In words that a user can act on.
    fn load(&self) -> Result<Loaded, String>;

    /// Bytes that it takes when it is loaded.
    fn bytes(&self) -> u64;

    /// What is known of it, in Markdown: what it was trained on, what it is for, what it cannot do.
    fn card(&self) -> Option<String>;

    /// Names of the rails that every request to it passes.
    fn rails(&self) -> Vec<String>;
}

/// A model in memory.
pub struct Loaded {
    /// Serves it.
    pub scheduler: Scheduler,
    /// How conversations are written down for it; a base model has none.
    pub template: Option<ChatTemplate>,
}

/// A model that is offered.
#[derive(Clone)]
pub struct Offer {
    /// What clients call it.
    pub name: String,
    /// Where it comes from.
    pub source: Arc<dyn Source>,
    /// Adapters that it is loaded with; each is offered under its own name too.
    pub adapters: Vec<String>,
    /// When it was made, in seconds since 1970.
    pub created: u64,
}

impl fmt::Debug for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Offer").field("name", &self.name).field("adapters", &self.adapters).finish_non_exhaustive()
    }
}

/// A model that is ready.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) seat: Seat,
    pub(crate) spec: Spec,
    pub(crate) tokenizer: Option<Tokenizer>,
    pub(crate) template: Option<ChatTemplate>,
    pub(crate) forms: Forms,
    /// Names what answers depend on beside requests: this program, and the model as it is stored.
    pub(crate) fingerprint: String,
    /// The token that stands before everything.
    pub(crate) beginning: Option<u32>,
    pub(crate) took: Duration,
    /// Whose turn it is to have texts made into vectors.
    pub(crate) embedding: tokio::sync::Mutex<()>,
    users: AtomicUsize,
    last_used: Mutex<Instant>,
}

/// A model in use: as long as this lives it is not evicted.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) model: Arc<Model>,
    /// As it was asked for, and as answers call it.
    pub(crate) name: String,
    pub(crate) adapter: Option<String>,
    freed: Arc<Notify>,
}

impl Clone for Handle {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.model), self.name.clone(), self.adapter.clone(), Arc::clone(&self.freed))
    }
}

impl Handle {
    fn new(model: Arc<Model>, name: String, adapter: Option<String>, freed: Arc<Notify>) -> Self {
        model.users.fetch_add(1, Ordering::AcqRel);
        Self { model, name, adapter, freed }
    }

    /// The model's tokenizer.
    pub(crate) fn tokenizer(&self, what: &str) -> Result<&Tokenizer, Problem> {
        let none = || {
            Problem::invalid(format!(
                "{what} needs a tokenizer, and the model `{}` has none: send token ids",
                self.name
            ))
        };
        self.model.tokenizer.as_ref().ok_or_else(none)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        *self.model.last_used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        if self.model.users.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.freed.notify_waiters();
        }
    }
}

/// A name that is offered: a model of the list, and an adapter of it.
#[derive(Clone, Debug)]
struct Named {
    offer: usize,
    adapter: Option<String>,
}

/// A line of the catalogue, as it is told.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    /// The model that it is an adapter of.
    pub(crate) base: Option<String>,
    pub(crate) created: u64,
    pub(crate) bytes: u64,
    pub(crate) rails: Vec<String>,
    pub(crate) model: Option<Arc<Model>>,
}

/// All models.
#[derive(Debug)]
pub(crate) struct Catalogue {
    offers: Vec<Offer>,
    names: Vec<(String, Named)>,
    /// Held while the model of an offer is brought in or taken out.
    changing: Vec<tokio::sync::Mutex<()>>,
    ready: Vec<Mutex<Option<Arc<Model>>>>,
    /// One model is loaded at a time.
    loading: tokio::sync::Mutex<()>,
    freed: Arc<Notify>,
    room: Arc<Room>,
    budget: Option<u64>,
    seats: AtomicU64,
}

impl Catalogue {
    /// Offers these models, which together take at most `budget` bytes.
    ///
    /// # Errors
    /// In words: no models, or a name twice.
    pub(crate) fn new(offers: Vec<Offer>, room: Arc<Room>, budget: Option<u64>) -> Result<Self, String> {
        let mut names: Vec<(String, Named)> = Vec::new();
        for (offer, one) in offers.iter().enumerate() {
            let itself = (one.name.clone(), Named { offer, adapter: None });
            let adapters = one.adapters.iter().map(|name| (name.clone(), Named { offer, adapter: Some(name.clone()) }));
            for (name, named) in std::iter::once(itself).chain(adapters) {
                if names.iter().any(|(other, _)| *other == name) {
                    return Err(format!("two models are called `{name}`: give each a name of its own, as NAME=MODEL"));
                }
                names.push((name, named));
            }
        }
        if names.is_empty() {
            return Err("there is no model to serve".to_owned());
        }
        let changing = offers.iter().map(|_| tokio::sync::Mutex::default()).collect();
        let ready = offers.iter().map(|_| Mutex::default()).collect();
        let (loading, freed, seats) = (tokio::sync::Mutex::default(), Arc::default(), AtomicU64::new(0));
        Ok(Self { offers, names, changing, ready, loading, freed, room, budget, seats })
    }

    /// The names there are.
    pub(crate) fn names(&self) -> Vec<String> {
        self.names.iter().map(|(name, _)| name.clone()).collect()
    }

    /// Every name with what is known of its model.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        let entry = |(name, named): &(String, Named)| {
            let offer = &self.offers[named.offer];
            Entry {
                name: name.clone(),
                base: named.adapter.as_ref().map(|_| offer.name.clone()),
                created: offer.created,
                bytes: offer.source.bytes(),
                rails: offer.source.rails(),
                model: self.loaded(named.offer),
            }
        };
        self.names.iter().map(entry).collect()
    }

    /// One of them.
    pub(crate) fn entry(&self, name: &str) -> Result<Entry, Problem> {
        let found = self.entries().into_iter().find(|entry| entry.name == name);
        found.ok_or_else(|| Problem::no_model(name, &self.names()))
    }

    /// What is known of a model beyond its numbers.
    pub(crate) fn card(&self, name: &str) -> Result<Option<String>, Problem> {
        Ok(self.offers[self.named(Some(name))?.1.offer].source.card())
    }

    /// Bytes that loaded models may take together, if that is bounded, and what those loaded take.
    pub(crate) fn memory(&self) -> (Option<u64>, u64) {
        let loaded = (0..self.offers.len()).filter(|&at| self.loaded(at).is_some());
        (self.budget, loaded.map(|at| self.offers[at].source.bytes()).sum())
    }

    /// Whether the first model, which is loaded at the start, is ready.
    pub(crate) fn begun(&self) -> bool {
        self.loaded(0).is_some()
    }

    fn loaded(&self, offer: usize) -> Option<Arc<Model>> {
        self.place(offer).clone()
    }

    fn place(&self, offer: usize) -> MutexGuard<'_, Option<Arc<Model>>> {
        self.ready[offer].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn named(&self, name: Option<&str>) -> Result<&(String, Named), Problem> {
        let wanted = name.unwrap_or(&self.names[0].0);
        self.names.iter().find(|(name, _)| name == wanted).ok_or_else(|| Problem::no_model(wanted, &self.names()))
    }

    /// The model of this name, or the first where none is named; loaded if it must be.
    pub(crate) async fn ready(self: &Arc<Self>, name: Option<&str>) -> Result<Handle, Problem> {
        let (name, named) = self.named(name)?.clone();
        let handle = |model| Handle::new(model, name.clone(), named.adapter.clone(), Arc::clone(&self.freed));
        if let Some(model) = self.loaded(named.offer) {
            let handle = handle(model);
            // It may have been evicted between the two lines above.
            if self.loaded(named.offer).is_some() {
                return Ok(handle);
            }
        }
        // Who asked may leave; the model is loaded all the same.
        let this = Arc::clone(self);
        let load = tokio::spawn(async move {
            let _alone = this.changing[named.offer].lock().await;
            let model = match this.loaded(named.offer) {
                Some(model) => model,
                None => this.load(named.offer).await?,
            };
            Ok::<_, Problem>(Handle::new(model, String::new(), None, Arc::clone(&this.freed)))
        });
        let held = load.await.map_err(|_| Problem::internal("loading the model ended in a panic"))??;
        Ok(handle(Arc::clone(&held.model)))
    }

    /// Loads a model, once there is room for it.
    async fn load(&self, offer: usize) -> Result<Arc<Model>, Problem> {
        let _one = self.loading.lock().await;
        let until = Instant::now() + PATIENCE;
        let source = Arc::clone(&self.offers[offer].source);
        while !self.make_room(offer).await? {
            let left = until.saturating_duration_since(Instant::now());
            if tokio::time::timeout(left, self.freed.notified()).await.is_err() {
                let message = format!(
                    "the model `{}` needs {} MB, and those in use leave less: try again when they are not busy",
                    self.offers[offer].name,
                    source.bytes() / 1_000_000
                );
                return Err(Problem::unavailable(message, PATIENCE.as_secs()));
            }
        }
        let begun = Instant::now();
        let loaded = tokio::task::spawn_blocking(move || source.load()).await;
        let loaded = loaded.map_err(|_| Problem::internal("loading the model ended in a panic"))?;
        let Loaded { scheduler, template } = loaded.map_err(|error| {
            Problem::unavailable(format!("the model `{}` cannot be loaded: {error}", self.offers[offer].name), 60)
        })?;
        let seat = Seat(self.seats.fetch_add(1, Ordering::Relaxed));
        let model = Arc::new(Model {
            seat,
            spec: scheduler.spec().clone(),
            tokenizer: scheduler.tokenizer().cloned(),
            template,
            forms: scheduler.forms().clone(),
            fingerprint: fingerprint(&self.offers[offer].name, scheduler.spec()),
            beginning: scheduler.beginning(),
            took: begun.elapsed(),
            embedding: tokio::sync::Mutex::default(),
            users: AtomicUsize::new(0),
            last_used: Mutex::new(Instant::now()),
        });
        self.room.install(seat, scheduler).map_err(|_| Problem::unavailable("the server is closing", 1))?;
        *self.place(offer) = Some(Arc::clone(&model));
        Ok(model)
    }

    /// Evicts models that nobody uses, longest unused first, until `offer` fits; returns whether it does.
    async fn make_room(&self, offer: usize) -> Result<bool, Problem> {
        let Some(budget) = self.budget else { return Ok(true) };
        let wanted = self.offers[offer].source.bytes();
        loop {
            let loaded: Vec<usize> = (0..self.offers.len()).filter(|&at| self.loaded(at).is_some()).collect();
            let taken: u64 = loaded.iter().map(|&at| self.offers[at].source.bytes()).sum();
            // The only model is loaded whatever the budget says: whether it fits was asked when it was named.
            if loaded.is_empty() || taken + wanted <= budget {
                return Ok(true);
            }
            let idle = loaded.into_iter().filter_map(|at| {
                let model = self.loaded(at)?;
                let used = *model.last_used.lock().unwrap_or_else(PoisonError::into_inner);
                (model.users.load(Ordering::Acquire) == 0).then_some((used, at))
            });
            let Some((_, oldest)) = idle.min() else { return Ok(false) };
            let Ok(_alone) = self.changing[oldest].try_lock() else { return Ok(false) };
            let Some(model) = self.place(oldest).take() else { continue };
            if model.users.load(Ordering::Acquire) > 0 {
                // Somebody took it just now: it stays.
                *self.place(oldest) = Some(model);
                return Ok(false);
            }
            self.room.remove(model.seat).await.map_err(|_| Problem::unavailable("the server is closing", 1))?;
        }
    }
}

fn fingerprint(name: &str, spec: &Spec) -> String {
    let digest = Sha256::digest(format!("{} {name} {spec:?}", env!("CARGO_PKG_VERSION")));
    format!("fp_{}", hex(&digest[..5]))
}
