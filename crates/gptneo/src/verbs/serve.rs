//! `gptneo serve`: from flags to a server, and its end.

mod access;
mod offers;
mod reviews;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gptneo_serve::{Doors, Limits, Options, Reviews, ServeError, Server, Tls};

use crate::args::ServeArgs;
use crate::failure::{Failure, Kind};
use crate::files;
use crate::memory;
use crate::presets;
use crate::terminal;
use crate::verbs::World;

pub(crate) fn run(args: &ServeArgs, world: &World) -> Result<(), Failure> {
    let keys = access::keys(args)?;
    if !args.host.is_loopback() && keys.is_empty() && !args.insecure {
        return Err(Failure::usage(format!(
            "at {} others than this machine can reach the server, and no key is set: it does not start so",
            args.host
        ))
        .hint("--api-key-file FILE, with one key a line\nor --insecure, if everybody there may use it"));
    }
    let presets = presets::read(args.presets.as_deref())?;
    let reviews = args.reviews.as_deref().map(reviews::Sheets::open).transpose()?;
    let offers = offers::offers(args, world)?;
    let budget = args.memory.or_else(|| memory::available().map(|free| free / 10 * 9));
    let options = Options {
        models: offers,
        memory: budget,
        requests: args.parallel + args.max_queue,
        allowance: access::allowance(args),
        keys,
        limits: limits(args),
        doors: Doors { hosts: args.allowed_hosts.clone(), origins: args.cors_origins.clone(), ..Doors::default() },
        grpc: args.grpc_port.map(|port| SocketAddr::new(args.host, port)),
        tls: tls(args)?,
        drain: Duration::from_secs(args.graceful_termination_timeout),
        presets,
        runs: args.runs_store.clone().or_else(|| world.environment.runs_store()),
        reviews: reviews.map(|sheets| Arc::new(sheets) as Arc<dyn Reviews>),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let scheme = if options.tls.is_some() { "https" } else { "http" };
    let server = Server::bind(options, SocketAddr::new(args.host, args.port)).map_err(failure)?;
    let address = server.address().map_err(|error| Failure::because(Kind::Io, &error))?;
    // Scripts wait for this line; it says the port where 0 was asked for.
    terminal::say(&format!("listening on {scheme}://{address}"));
    if let Some(address) = server.grpc_address().map_err(|error| Failure::because(Kind::Io, &error))? {
        terminal::say(&format!("listening for gRPC on {address}"));
    }
    let stop = world.interrupt.flag();
    let _heeded = world.interrupt.heed();
    let ready = |took: Duration| terminal::say(&format!("ready after {:.1} s; Ctrl-C ends it", took.as_secs_f64()));
    server.run(&stop, ready).map_err(failure)?;
    terminal::say("ended");
    Ok(())
}

fn failure(error: ServeError) -> Failure {
    match &error {
        ServeError::Bind { error: cause, .. } if cause.kind() == std::io::ErrorKind::AddrInUse => {
            Failure::because(Kind::Io, &error).hint("--port N with another port, or 0 for one that is free")
        }
        ServeError::Bind { .. } | ServeError::System(_) => Failure::because(Kind::Io, &error),
        ServeError::Tls(_) | ServeError::Load(_) => Failure::because(Kind::BadFile, &error),
        _ => Failure::because(Kind::Usage, &error),
    }
}

fn limits(args: &ServeArgs) -> Limits {
    let chosen = Limits::default();
    Limits {
        connections: files::room(chosen.connections),
        body: usize::try_from(args.payload_limit).unwrap_or(usize::MAX),
        samples: args.max_n,
        best_of: args.max_best_of.max(args.max_n),
        stops: args.max_stop_sequences,
        ..chosen
    }
}

fn tls(args: &ServeArgs) -> Result<Option<Tls>, Failure> {
    let (Some(certificates), Some(key)) = (&args.ssl_cert_file, &args.ssl_key_file) else { return Ok(None) };
    let read = |path: &Path| std::fs::read(path).map_err(|error| Failure::io("cannot read", path, &error));
    Ok(Some(Tls { certificates: read(certificates)?, key: read(key)? }))
}
