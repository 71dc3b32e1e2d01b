//! A small HTTP/1.1 server, and the ways in which it can misbehave.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A connection, plain or encrypted.
trait Wire: Read + Write {}

impl<T: Read + Write> Wire for T {}

/// A request as it came in; header names in lower case.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    headers: Vec<(String, String)>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// `GET /path`.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// The first byte of `Range: bytes=N-`.
    pub(crate) fn range_start(&self) -> Option<usize> {
        self.header("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// What `Content-Length` says, if not the truth.
    pub(crate) declared: Option<u64>,
    /// Close the connection after this many bytes of the body.
    pub(crate) cut: Option<usize>,
    /// Fall silent after this many bytes of the body, until the client goes away.
    pub(crate) stall: Option<usize>,
    /// Send in chunks, without a length.
    pub(crate) chunked: bool,
}

impl Reply {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Reply {
        Reply { status, body: body.into(), ..Reply::default() }
    }

    pub(crate) fn with(mut self, name: &str, value: impl ToString) -> Reply {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    log: Arc<Mutex<Vec<Request>>>,
    closing: Arc<AtomicBool>,
    is_tls: bool,
}

impl Server {
    pub(crate) fn start(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Server {
        Server::over(None, handler)
    }

    /// With the certificate in `tls/server.pem`.
    pub(crate) fn start_tls(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Server {
        let certificate = CertificateDer::from_pem_slice(include_bytes!("tls/server.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_slice(include_bytes!("tls/server.key.pem")).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
        Server::over(Some(Arc::new(config)), handler)
    }

    fn over(tls: Option<Arc<ServerConfig>>, handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let closing = Arc::new(AtomicBool::new(false));
        let is_tls = tls.is_some();
        let (handler, entries, stop) = (Arc::new(handler), log.clone(), closing.clone());
        thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let (handler, entries, tls) = (handler.clone(), entries.clone(), tls.clone());
                thread::spawn(move || {
                    let Ok(stream) = stream else { return };
                    stream.set_nodelay(true).unwrap();
                    let wire: Box<dyn Wire> = match tls {
                        None => Box::new(stream),
                        Some(config) => Box::new(StreamOwned::new(ServerConnection::new(config).unwrap(), stream)),
                    };
                    // A client that goes away in the middle is part of the tests.
                    drop(converse(BufReader::new(wire), &*handler, &entries));
                });
            }
        });
        Server { address, log, closing, is_tls }
    }

    pub(crate) fn url(&self) -> String {
        format!("{}://{}", if self.is_tls { "https" } else { "http" }, self.address)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.log.lock().unwrap().clone()
    }

    pub(crate) fn forget(&self) {
        self.log.lock().unwrap().clear();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::SeqCst);
        // Wakes the listener, which then sees that it should end.
        drop(TcpStream::connect(self.address));
    }
}

type Reader = BufReader<Box<dyn Wire>>;

fn converse(mut reader: Reader, handler: &dyn Fn(&Request) -> Reply, log: &Mutex<Vec<Request>>) -> std::io::Result<()> {
    loop {
        let mut line = Vec::new();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let line = String::from_utf8_lossy(&line).into_owned();
        let mut words = line.split_whitespace();
        let (Some(method), Some(path), Some("HTTP/1.1")) = (words.next(), words.next(), words.next()) else {
            // What a plain server says to a TLS greeting.
            return reader.get_mut().write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
        };
        let mut request = Request { method: method.to_owned(), path: path.to_owned(), headers: Vec::new() };
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            match header.trim_end().split_once(':') {
                Some((name, value)) => request.headers.push((name.to_ascii_lowercase(), value.trim().to_owned())),
                None => break,
            }
        }
        log.lock().unwrap().push(request.clone());
        let reply = handler(&request);
        if !answer(reader.get_mut(), &request, &reply)? {
            return Ok(());
        }
    }
}

/// Returns whether the connection goes on.
fn answer(writer: &mut Box<dyn Wire>, request: &Request, reply: &Reply) -> std::io::Result<bool> {
    let mut head = format!("HTTP/1.1 {} Status\r\n", reply.status);
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let has_length = reply.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    if reply.chunked {
        head.push_str("Transfer-Encoding: chunked\r\n");
    } else if !has_length {
        head.push_str(&format!("Content-Length: {}\r\n", reply.declared.unwrap_or(reply.body.len() as u64)));
    }
    head.push_str("\r\n");
    writer.write_all(head.as_bytes())?;
    if request.method == "HEAD" {
        writer.flush()?;
        return Ok(true);
    }
    let upto = reply.cut.or(reply.stall).unwrap_or(reply.body.len()).min(reply.body.len());
    if reply.chunked {
        for piece in reply.body[..upto].chunks(7_001) {
            write!(writer, "{:x}\r\n", piece.len())?;
            writer.write_all(piece)?;
            writer.write_all(b"\r\n")?;
        }
        if reply.cut.is_none() {
            writer.write_all(b"0\r\n\r\n")?;
        }
    } else {
        writer.write_all(&reply.body[..upto])?;
    }
    writer.flush()?;
    if reply.stall.is_some() {
        // Reading ends when the client closes.
        while writer.read(&mut [0; 16])? > 0 {}
    }
    Ok(reply.cut.is_none() && reply.stall.is_none() && reply.declared.is_none())
}
