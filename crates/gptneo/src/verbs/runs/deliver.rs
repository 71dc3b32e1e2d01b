//! `gptneo runs export` and `sync`: a run as a file, or told to a sink.

use gptneo_runs::sink::{Comet, CometSettings, Login, MlFlow, MlFlowSettings, Secret, Sink, TensorBoard, deliver};
use gptneo_runs::{Filter, Pending, Run, State, Store, TextKind, export, now};

use super::plot::write;
use crate::args::{Destination, ExportRunsArgs, SinkArgs, SyncRunsArgs};
use crate::environment::Environment;
use crate::failure::{Failure, Kind};
use crate::terminal;
use crate::verbs::World;

pub(super) fn export(args: &ExportRunsArgs, store: &mut Store, world: &World) -> Result<(), Failure> {
    let run = store.find(&args.run)?;
    let mut bytes = Vec::new();
    match args.to {
        Destination::Csv => {
            let metrics = store.metrics(run.id)?;
            export::csv(&mut bytes, &[(run, metrics)])?;
        }
        Destination::Jsonl => {
            let mut texts = store.texts(run.id, TextKind::Sample, usize::MAX)?;
            texts.extend(store.texts(run.id, TextKind::Message, usize::MAX)?);
            texts.sort_by(|a, b| a.time.total_cmp(&b.time));
            export::jsonl(&mut bytes, &run, &store.metrics(run.id)?, &texts)?;
        }
        Destination::Tensorboard | Destination::Mlflow | Destination::Comet => {
            let mut sink = sink(args.to, &args.sink, world.environment)?;
            return tell(store, &run, sink.as_mut());
        }
    }
    match &args.output {
        Some(path) => write(path, &bytes, false),
        None => terminal::bytes(&bytes),
    }
}

pub(super) fn sync(args: &SyncRunsArgs, store: &mut Store, world: &World) -> Result<(), Failure> {
    let now = now();
    let mut runs = Vec::new();
    if args.runs.is_empty() {
        runs = store.runs(&Filter::default())?;
    }
    for wanted in &args.runs {
        runs.push(store.find(wanted)?);
    }
    let mut failed = None;
    for run in runs {
        for (kind, target, pending) in store.sinks(run.id)? {
            if pending == Pending::default() {
                continue;
            }
            if run.state == State::Running && !run.is_lost(now) {
                terminal::warn(&format!("{} is running and delivers by itself", run.name));
                break;
            }
            let mut sink = again(&kind, &target, world.environment)?;
            // One sink that is away keeps no other from what it has missed.
            if let Err(failure) = tell(store, &run, sink.as_mut()) {
                failed.get_or_insert(failure);
            }
        }
    }
    failed.map_or(Ok(()), Err)
}

fn tell(store: &mut Store, run: &Run, sink: &mut dyn Sink) -> Result<(), Failure> {
    let (kind, target) = (sink.kind(), sink.target());
    deliver(store, run.id, sink).map_err(|error| {
        Failure::new(Kind::Io, format!("{kind} {target}: {error}"))
            .hint("what it has not taken stays: gptneo runs sync")
    })?;
    terminal::line(&format!("{} delivered to {kind} {target}", run.name))
}

/// The sink that flags and environment describe.
pub(crate) fn sink(to: Destination, args: &SinkArgs, environment: Environment) -> Result<Box<dyn Sink>, Failure> {
    let given = |flag: &Option<String>, variable: &str| flag.clone().or_else(|| environment.lookup(variable));
    match to {
        Destination::Tensorboard => {
            let folder =
                args.dir.clone().ok_or_else(|| Failure::usage("TensorBoard files need a folder: --dir DIR"))?;
            let absolute = std::path::absolute(&folder).map_err(|error| Failure::io("cannot find", &folder, &error))?;
            Ok(Box::new(TensorBoard::new(absolute)))
        }
        Destination::Mlflow => {
            let address = given(&args.address, "MLFLOW_TRACKING_URI")
                .ok_or_else(|| Failure::usage("which MLflow server? --address URL, or MLFLOW_TRACKING_URI"))?;
            let experiment = given(&args.experiment, "MLFLOW_EXPERIMENT_NAME").unwrap_or_else(|| "gptneo".to_owned());
            Ok(Box::new(mlflow(address, experiment, environment)?))
        }
        Destination::Comet => {
            let address = given(&args.address, "COMET_URL_OVERRIDE").unwrap_or_else(|| Comet::ADDRESS.to_owned());
            let workspace = given(&args.workspace, "COMET_WORKSPACE").unwrap_or_default();
            let project = given(&args.project, "COMET_PROJECT_NAME").unwrap_or_else(|| "gptneo".to_owned());
            Ok(Box::new(comet(address, workspace, project, environment)?))
        }
        Destination::Csv | Destination::Jsonl => Err(Failure::usage("a file is no sink")),
    }
}

/// The sink that a run has had, from the words it left in the store.
fn again(kind: &str, target: &str, environment: Environment) -> Result<Box<dyn Sink>, Failure> {
    let unknown = || Failure::bad_file(format!("the store names a sink that is unknown here: {kind} {target}"));
    match kind {
        "tensorboard" => Ok(Box::new(TensorBoard::new(target))),
        "mlflow" => {
            let (address, experiment) = target.split_once(' ').ok_or_else(unknown)?;
            Ok(Box::new(mlflow(address.to_owned(), experiment.to_owned(), environment)?))
        }
        "comet" => {
            let (address, place) = target.split_once(' ').ok_or_else(unknown)?;
            let (workspace, project) = place.split_once('/').ok_or_else(unknown)?;
            Ok(Box::new(comet(address.to_owned(), workspace.to_owned(), project.to_owned(), environment)?))
        }
        _ => Err(unknown()),
    }
}

fn mlflow(address: String, experiment: String, environment: Environment) -> Result<MlFlow, Failure> {
    let login = match (environment.lookup("MLFLOW_TRACKING_TOKEN"), environment.lookup("MLFLOW_TRACKING_USERNAME")) {
        (Some(token), _) => Login::Token(Secret::new(token)),
        (None, Some(user)) => {
            let password = Secret::new(environment.lookup("MLFLOW_TRACKING_PASSWORD").unwrap_or_default());
            Login::Password { user, password }
        }
        (None, None) => Login::Nobody,
    };
    let proxy = proxy(&address, environment);
    Ok(MlFlow::new(&MlFlowSettings { address, experiment, login, proxy })?)
}

fn comet(address: String, workspace: String, project: String, environment: Environment) -> Result<Comet, Failure> {
    let key = Secret::new(environment.lookup("COMET_API_KEY").unwrap_or_default());
    let proxy = proxy(&address, environment);
    Ok(Comet::new(&CometSettings { address, key, workspace, project, proxy })?)
}

/// The proxy for an address, as curl finds it; none for this very machine.
fn proxy(address: &str, environment: Environment) -> Option<String> {
    let host = address.split("://").nth(1)?.split(['/', ':']).next()?;
    if matches!(host, "localhost" | "127.0.0.1" | "[") {
        return None;
    }
    let names: &[&str] = if address.starts_with("https:") { &["https_proxy", "HTTPS_PROXY"] } else { &["http_proxy"] };
    names.iter().find_map(|name| environment.lookup(name))
}
