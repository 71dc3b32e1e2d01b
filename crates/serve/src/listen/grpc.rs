//! Connections of gRPC: HTTP/2 alone, on a port of its own.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::stream::unfold;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{Sender, channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tonic::transport::server::Connected;

use super::{HANDSHAKE, PAUSE, Peer, Watched};
use crate::app::App;
use crate::oip::{GrpcInferenceServiceServer, Service};

/// Connections that are ready and were not taken yet.
const READY: usize = 64;
/// Requests of one connection at once.
const STREAMS: u32 = 100;

/// Serves gRPC on `listener` until `stop` is done.
pub(crate) async fn serve_grpc(
    app: Arc<App>,
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    stop: impl Future<Output = ()>,
) {
    let service =
        GrpcInferenceServiceServer::new(Service::new(Arc::clone(&app))).max_decoding_message_size(app.limits.body);
    let (ready, taken) = channel(READY);
    let accepting = tokio::spawn(accept(app, listener, tls, ready));
    let incoming =
        unfold(
            taken,
            |mut taken| async move { taken.recv().await.map(|channel| (Ok::<_, io::Error>(channel), taken)) },
        );
    // What it ends with is what its connections ended with: nothing.
    let _ = tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .http2_keepalive_timeout(Some(Duration::from_secs(10)))
        .http2_max_header_list_size(Some(16 << 10))
        .http2_max_pending_accept_reset_streams(Some(20))
        .max_concurrent_streams(Some(STREAMS))
        .add_service(service)
        .serve_with_incoming_shutdown(incoming, stop)
        .await;
    accepting.abort();
}

async fn accept(app: Arc<App>, listener: TcpListener, tls: Option<TlsAcceptor>, ready: Sender<Channel>) {
    let connections = Arc::new(Semaphore::new(app.limits.connections));
    loop {
        let Ok(permit) = Arc::clone(&connections).acquire_owned().await else { return };
        let Ok((stream, address)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let (ready, tls, stall, peer) = (ready.clone(), tls.clone(), app.limits.stall_time, Peer(address.ip()));
        tokio::spawn(async move {
            if let Ok(Some(stream)) = tokio::time::timeout(HANDSHAKE, begin(stream, tls, stall)).await {
                // Where nobody takes it any more, the server is ending.
                let _ = ready.send(Channel { stream, peer, _permit: permit }).await;
            }
        });
    }
}

/// A connection that has begun to speak.
async fn begin(stream: TcpStream, tls: Option<TlsAcceptor>, stall: Duration) -> Option<Box<dyn Duplex>> {
    stream.set_nodelay(true).ok()?;
    stream.readable().await.ok()?;
    let stream = Watched::new(stream, stall);
    Some(match tls {
        None => Box::new(stream),
        Some(tls) => Box::new(tls.accept(stream).await.ok()?),
    })
}

trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Duplex for S {}
/// A connection of gRPC.
struct Channel {
    stream: Box<dyn Duplex>,
    peer: Peer,
    _permit: OwnedSemaphorePermit,
}

impl Connected for Channel {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer
    }
}

impl AsyncRead for Channel {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Channel {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
