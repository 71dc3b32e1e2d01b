//! Requests of the engine on their way, held by whoever waits for their answers.
//!
//! When that ends early (a client that leaves takes its response along, and this with it), they are called off: the model sees it in its
//! next step.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use gptneo_engine::{Event, Prompt, Request};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::app::App;
use crate::client::Client;
use crate::models::Handle;
use crate::problem::Problem;
use crate::room::{Job, Place};

/// Requests on their way.
pub(crate) struct Running {
    app: Arc<App>,
    client: Client,
    events: UnboundedReceiver<(usize, Event)>,
    called_off: Arc<AtomicBool>,
    /// How many have not ended.
    going: usize,
    /// Tokens charged at the start, and used since.
    charged: u64,
    used: u64,
    /// Whose prompt was counted.
    counted: Vec<bool>,
    _handle: Handle,
    _place: Place,
}

/// Sends requests for one model to the room, all or none of them.
///
/// # Errors
/// A request that the model cannot serve, no place left, no tokens left to the client, or a server that is closing.
pub(crate) async fn start(
    app: &Arc<App>,
    client: &Client,
    handle: Handle,
    mut requests: Vec<Request>,
) -> Result<Running, Problem> {
    let positions = handle.model.spec.positions;
    let mut costs = Vec::with_capacity(requests.len());
    for request in &requests {
        request.check(handle.model.spec.vocab)?;
        let prompt = match &request.prompt {
            Prompt::Tokens(tokens) => tokens.len(),
            Prompt::Text(text) => text.len(),
        };
        let room = positions.saturating_sub(prompt);
        let answers = request.beams.map_or(request.n, |beams| beams.width);
        costs.push((prompt + answers * request.max_tokens.unwrap_or(room).min(room)) as u64);
    }
    if app.draining() {
        return Err(Problem::unavailable("the server is stopping: ask another, or later", 5));
    }
    let Some(place) = app.room.place(requests.len()) else {
        app.metrics.refused("full");
        let wait = app.pace.wait(app.room.taken() + requests.len()).as_secs();
        let message =
            format!("{} requests wait or are served already, which is all there is room for", app.room.taken());
        return Err(Problem::overloaded(message, wait));
    };
    compile(&handle, &mut requests).await?;
    let charged = costs.iter().sum();
    client.charge(app, charged)?;
    let (told, events) = unbounded_channel();
    let called_off = Arc::new(AtomicBool::new(false));
    let counted = vec![false; requests.len()];
    // Made before anything is sent, so that whatever goes wrong below calls off what was.
    let running = Running {
        app: Arc::clone(app),
        client: client.clone(),
        events,
        called_off: Arc::clone(&called_off),
        going: requests.len(),
        charged,
        used: 0,
        counted,
        _handle: handle.clone(),
        _place: place,
    };
    for (index, (mut request, cost)) in requests.into_iter().zip(costs).enumerate() {
        request.cancel = Some(Arc::clone(&called_off));
        request.adapter.clone_from(&handle.adapter);
        request.rails.extend(client.rails().iter().cloned());
        let job = Job {
            seat: handle.model.seat,
            client: client.id(),
            request,
            cost,
            index,
            told: told.clone(),
            called_off: Arc::clone(&called_off),
        };
        app.room.generate(job).map_err(|_| Problem::unavailable("the server is closing", 1))?;
    }
    Ok(running)
}

/// Compiles the form that requests have in common, where neither the model nor other clients wait for it.
async fn compile(handle: &Handle, requests: &mut [Request]) -> Result<(), Problem> {
    let Some(form) = requests.first().and_then(|request| request.form.clone()) else { return Ok(()) };
    let forms = handle.model.forms.clone();
    let compiled = tokio::task::spawn_blocking(move || forms.compile(&form)).await;
    let compiled = compiled.map_err(|_| Problem::internal("compiling the form ended in a panic"))??;
    for request in requests {
        request.compiled = Some(compiled.clone());
    }
    Ok(())
}

impl Running {
    /// The next event, with the number of its request; `None` once all have ended.
    ///
    /// # Errors
    /// What went wrong with a request; the others are called off when this is dropped.
    pub(crate) async fn next(&mut self) -> Result<Option<(usize, Event)>, Problem> {
        if self.going == 0 {
            return Ok(None);
        }
        let Some((index, event)) = self.events.recv().await else {
            return Err(Problem::unavailable("the model was taken out of the server", 1));
        };
        match &event {
            Event::Finished(generation) => {
                let tokens = generation.completion_tokens();
                self.app.metrics.ended(generation.finish_reason(), &generation.timings, tokens);
                self.used += tokens as u64;
                if !std::mem::replace(&mut self.counted[index], true) {
                    self.app.metrics.prompt(generation.prompt_tokens, &generation.timings);
                    self.used += generation.prompt_tokens as u64;
                }
            }
            Event::Done => {
                self.going -= 1;
                self.app.pace.ended(Instant::now());
            }
            Event::Failed(error) => {
                self.going -= 1;
                return Err(error.clone().into());
            }
            _ => {}
        }
        Ok(Some((index, event)))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.going > 0 {
            self.called_off.store(true, Ordering::Release);
            self.app.room.sweep();
            self.app.metrics.disconnected();
        }
        // What was begun and left is charged in full: nobody knows what it used.
        if self.going == 0 {
            self.client.give_back(&self.app, self.charged.saturating_sub(self.used));
        }
    }
}
