//! A client that says exactly what it is told to, and reads what comes back.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// Longest that anything is waited for: a test that hangs is a test that fails.
const PATIENCE: Duration = Duration::from_secs(120);

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.text()))
    }

    /// What its error says.
    pub(crate) fn message(&self) -> String {
        let json = self.json();
        json["error"]["message"].as_str().or(json["error"].as_str()).unwrap_or_default().to_owned()
    }
}

/// A request that ends its connection. A header given here replaces the usual one of its name.
pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
    let mut text = format!("{method} {path} HTTP/1.1\r\n");
    let usual = [
        ("Host", "localhost".to_owned()),
        ("Connection", "close".to_owned()),
        ("Content-Type", "application/json".to_owned()),
        ("Content-Length", body.len().to_string()),
    ];
    let given = |name: &str| headers.iter().any(|(other, _)| other.eq_ignore_ascii_case(name));
    for (name, value) in usual.iter().filter(|(name, _)| !given(name)) {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text + "\r\n" + body
}

/// Sends bytes, says that no more come, and reads one answer; an error if there is none.
pub(crate) fn exchange(address: SocketAddr, bytes: &[u8]) -> io::Result<Response> {
    let mut stream = connect(address)?;
    // The server may have answered and closed before all was sent.
    let _ = stream.write_all(bytes);
    read(&mut BufReader::new(stream))
}

/// As [`exchange`], but the server learns that nothing more will come.
pub(crate) fn exchange_and_close(address: SocketAddr, bytes: &[u8]) -> io::Result<Response> {
    let mut stream = connect(address)?;
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    read(&mut BufReader::new(stream))
}

pub(crate) fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The status and headers of an answer.
pub(crate) fn read_head(reader: &mut impl BufRead) -> io::Result<Response> {
    let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let status = line.split_whitespace().nth(1).and_then(|status| status.parse().ok()).ok_or_else(|| bad(&line))?;
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim_end();
        if line.is_empty() {
            return Ok(Response { status, headers, body: Vec::new() });
        }
        let (name, value) = line.split_once(':').ok_or_else(|| bad(line))?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
}

fn read(reader: &mut impl BufRead) -> io::Result<Response> {
    let mut response = read_head(reader)?;
    if response.header("transfer-encoding") == Some("chunked") {
        while let Some(chunk) = read_chunk(reader)? {
            response.body.extend(chunk);
        }
    } else if let Some(length) = response.header("content-length").and_then(|length| length.parse().ok()) {
        response.body = vec![0; length];
        reader.read_exact(&mut response.body)?;
    }
    Ok(response)
}

/// One chunk of a body; `None` at its end.
pub(crate) fn read_chunk(reader: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let size = usize::from_str_radix(line.trim(), 16)
        .map_err(|_| io::Error::new(io::ErrorKind::UnexpectedEof, format!("a chunk's size is `{}`", line.trim())))?;
    let mut chunk = vec![0; size + 2];
    reader.read_exact(&mut chunk)?;
    chunk.truncate(size);
    Ok((size > 0).then_some(chunk))
}

/// A streamed answer.
pub(crate) struct Stream {
    reader: BufReader<TcpStream>,
    rest: Vec<u8>,
}

impl Stream {
    /// Asks for one; the answer must be a stream.
    pub(crate) fn open(address: SocketAddr, path: &str, body: &str) -> io::Result<Self> {
        let mut stream = connect(address)?;
        stream.write_all(request("POST", path, &[], body).as_bytes())?;
        let mut reader = BufReader::new(stream);
        let head = read_head(&mut reader)?;
        match head.status {
            200 => Ok(Self { reader, rest: Vec::new() }),
            status => Err(io::Error::other(format!("answered {status}"))),
        }
    }

    /// The data of the next event; `None` where the body ends.
    pub(crate) fn next(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some(at) = self.rest.windows(2).position(|pair| pair == b"\n\n") {
                let event: Vec<u8> = self.rest.drain(..at + 2).collect();
                let event = String::from_utf8_lossy(&event).trim().to_owned();
                return Ok(Some(event.strip_prefix("data: ").unwrap_or(&event).to_owned()));
            }
            match read_chunk(&mut self.reader)? {
                Some(chunk) => self.rest.extend(chunk),
                None => return Ok(None),
            }
        }
    }

    /// All parts, to `[DONE]`.
    pub(crate) fn parts(mut self) -> io::Result<Vec<Value>> {
        let mut parts = Vec::new();
        while let Some(event) = self.next()? {
            if event == "[DONE]" {
                return Ok(parts);
            }
            parts.push(serde_json::from_str(&event)?);
        }
        Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the stream ended before [DONE]"))
    }

    /// All text, to an end as it should be: why it ended, its usage, `[DONE]`.
    pub(crate) fn text(mut self) -> io::Result<String> {
        let (mut text, mut reason, mut usage, mut done) = (String::new(), false, false, false);
        while let Some(event) = self.next()? {
            if event == "[DONE]" {
                done = true;
                continue;
            }
            let part: Value = serde_json::from_str(&event)?;
            if part.get("error").is_some() {
                return Err(io::Error::other(event));
            }
            text.push_str(part["choices"][0]["text"].as_str().unwrap_or_default());
            reason |= part["choices"][0]["finish_reason"].is_string();
            usage |= part["usage"].is_object();
        }
        match reason && usage && done {
            true => Ok(text),
            false => Err(io::Error::other(format!("ended with reason {reason}, usage {usage}, [DONE] {done}: {text}"))),
        }
    }
}
