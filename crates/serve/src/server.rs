//! From options to a server that listens, and its end.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::app::{App, Doors, Limits};
use crate::keys::{Allowance, Keys};
use crate::local::Reviews;
use crate::metrics::Metrics;
use crate::models::{Catalogue, Offer};
use crate::presets::Presets;
use crate::problem::Problem;
use crate::rates::Rates;
use crate::room::{Pace, Room};
use crate::{guard, health, listen, local, oip, ollama, openai, openapi, page, tokens};

/// How often the flag that ends the server is looked at.
const GLANCE: Duration = Duration::from_millis(20);
/// What connections that have nothing more to say are given at the end.
const FAREWELL: Duration = Duration::from_secs(5);

/// A certificate and its key, as PEM.
#[derive(Clone)]
pub struct Tls {
    /// The certificate, and those that lead to it.
    pub certificates: Vec<u8>,
    /// Its private key.
    pub key: Vec<u8>,
}

/// How a server is to be.
pub struct Options {
    /// What it offers; the first is loaded at the start, and meant where a request names none.
    pub models: Vec<Offer>,
    /// Bytes that loaded models may take together.
    pub memory: Option<u64>,
    /// Requests that wait or are served at once.
    pub requests: usize,
    /// Who may ask; without any key, everybody.
    pub keys: Keys,
    /// What each client may use up in a minute, where its key says nothing else.
    pub allowance: Allowance,
    /// How much one request may ask for.
    pub limits: Limits,
    /// From where, and by which names, it may be asked.
    pub doors: Doors,
    /// Where gRPC is listened for, if it is.
    pub grpc: Option<SocketAddr>,
    /// Speaks TLS.
    pub tls: Option<Tls>,
    /// How long requests that were begun may take once it is to end.
    pub drain: Duration,
    /// Prompts for common uses.
    pub presets: Presets,
    /// The store of runs, from which runs and evaluations are shown, and where feedback is kept.
    pub runs: Option<PathBuf>,
    /// What there is to judge.
    pub reviews: Option<Arc<dyn Reviews>>,
    /// The program's version.
    pub version: String,
}

/// A server that cannot be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("{address} cannot be listened on: {error}")]
    Bind {
        /// Which.
        address: SocketAddr,
        /// Why not.
        error: std::io::Error,
    },
    /// The list of models.
    #[error("{0}")]
    Models(String),
    /// The first model.
    #[error("{0}")]
    Load(String),
    /// Certificate or key.
    #[error("the certificate and key cannot be used: {0}")]
    Tls(String),
    /// Threads, or the system's way to wait for connections.
    #[error("the system does not let the server start: {0}")]
    System(#[from] std::io::Error),
}

/// A server that listens, and answers once it runs.
pub struct Server {
    app: Arc<App>,
    listener: TcpListener,
    grpc: Option<TcpListener>,
    tls: Option<Arc<ServerConfig>>,
    drain: Duration,
}

impl Server {
    /// Listens at `address`; port 0 is one that is free.
    ///
    /// # Errors
    /// An address in use or not allowed, an unusable certificate, no models or two of one name.
    pub fn bind(options: Options, address: SocketAddr) -> Result<Self, ServeError> {
        let Options {
            models,
            memory,
            requests,
            keys,
            allowance,
            limits,
            mut doors,
            grpc,
            tls,
            drain,
            presets,
            runs,
            reviews,
            version,
        } = options;
        let tls = tls.map(acceptor).transpose()?;
        let bind = |address| TcpListener::bind(address).map_err(|error| ServeError::Bind { address, error });
        let listener = bind(address)?;
        let grpc = grpc.map(bind).transpose()?;
        doors.bound = Some(address.ip());
        doors.tls = tls.is_some();
        doors.hosts.iter_mut().for_each(|host| host.make_ascii_lowercase());
        let room = Arc::new(Room::open(requests)?);
        let catalogue = Catalogue::new(models, Arc::clone(&room), memory).map_err(ServeError::Models)?;
        let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let app = App {
            catalogue: Arc::new(catalogue),
            room,
            keys,
            everyone: allowance,
            rates: Rates::default(),
            metrics: Metrics::new(started),
            pace: Pace::default(),
            limits,
            doors,
            presets,
            runs,
            reviews,
            version,
            stopping: AtomicBool::new(false),
        };
        Ok(Self { app: Arc::new(app), listener, grpc, tls, drain })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// If the system does not know.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Where it listens for gRPC, if it does.
    ///
    /// # Errors
    /// If the system does not know.
    pub fn grpc_address(&self) -> std::io::Result<Option<SocketAddr>> {
        self.grpc.as_ref().map(TcpListener::local_addr).transpose()
    }

    /// Serves until `stop` is set; then begins nothing new, ends what was begun, and returns. `ready` is called once the first model is
    /// loaded, with the time that took.
    ///
    /// # Errors
    /// The first model cannot be loaded, or the system gives no threads.
    pub fn run(self, stop: &AtomicBool, ready: impl FnOnce(Duration)) -> Result<(), ServeError> {
        let Self { app, listener, grpc, tls, drain } = self;
        listener.set_nonblocking(true)?;
        grpc.as_ref().map_or(Ok(()), |grpc| grpc.set_nonblocking(true))?;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name("serve").enable_all().build()?;
        let outcome = runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            let end = Arc::new(Notify::new());
            let ended = Arc::clone(&end);
            let router = router(&app);
            if let Some(grpc) = grpc {
                let grpc = tokio::net::TcpListener::from_std(grpc)?;
                let tls = tls.as_ref().map(|config| {
                    let mut config = ServerConfig::clone(config);
                    config.alpn_protocols = vec![b"h2".to_vec()];
                    TlsAcceptor::from(Arc::new(config))
                });
                let ended = Arc::clone(&end);
                tokio::spawn(listen::serve_grpc(Arc::clone(&app), grpc, tls, async move { ended.notified().await }));
            }
            let tls = tls.map(TlsAcceptor::from);
            let serving = tokio::spawn(listen::serve(
                Arc::clone(&app),
                listener,
                tls,
                router,
                async move { ended.notified().await },
                FAREWELL,
            ));
            let first = tokio::select! {
                first = app.catalogue.ready(None) => Some(first),
                () = flagged(stop) => None,
            };
            let failed = match first {
                Some(Ok(handle)) => {
                    ready(handle.model.took);
                    drop(handle);
                    flagged(stop).await;
                    None
                }
                Some(Err(problem)) => Some(ServeError::Load(problem.message)),
                None => None,
            };
            app.stopping.store(true, Ordering::Release);
            let until = Instant::now() + drain;
            while app.room.taken() > 0 && Instant::now() < until && failed.is_none() {
                tokio::time::sleep(GLANCE).await;
            }
            end.notify_waiters();
            end.notify_one();
            // What it ends with is what its connections ended with: nothing.
            let _ = serving.await;
            failed.map_or(Ok(()), Err)
        });
        // A load that goes on is not waited for.
        runtime.shutdown_timeout(Duration::from_secs(1));
        app.room.close();
        outcome
    }
}

async fn flagged(flag: &AtomicBool) {
    while !flag.load(Ordering::SeqCst) {
        tokio::time::sleep(GLANCE).await;
    }
}

/// All that answers.
fn router(app: &Arc<App>) -> Router {
    Router::new()
        .merge(openai::routes())
        .merge(oip::routes())
        .merge(ollama::routes())
        .merge(tokens::routes())
        .merge(local::routes())
        .merge(health::routes())
        .merge(openapi::routes())
        .merge(page::routes())
        .route_layer(from_fn(guard::note_route))
        .fallback(|| async {
            Problem::not_found("there is nothing at this path: see /openapi.json for those there are")
        })
        .method_not_allowed_fallback(|| async { Problem::method() })
        .layer(from_fn_with_state(Arc::clone(app), guard::guard))
        .with_state(Arc::clone(app))
}

fn acceptor(tls: Tls) -> Result<Arc<ServerConfig>, ServeError> {
    let bad = |error: &dyn std::fmt::Display| ServeError::Tls(error.to_string());
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&tls.certificates).collect();
    let certificates = certificates.map_err(|error| bad(&error))?;
    if certificates.is_empty() {
        return Err(bad(&"there is no certificate in the file"));
    }
    let key = PrivateKeyDer::from_pem_slice(&tls.key).map_err(|error| bad(&error))?;
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| bad(&error))?
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(|error| bad(&error))?;
    Ok(Arc::new(config))
}
