//! Reads one shard: any tokens, any document, each piece checked the first time it is touched.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::header::{ENTRY, HEADER, Header, PIECE, checksum, u32_at, u64_at};
use super::writer::Stamp;
use crate::error::{Result, TextError};

/// One document of a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its tokens, counted from the start of the shard.
    pub tokens: Range<u64>,
    /// Where it came from.
    pub stamp: Stamp,
}

/// An open shard. Reading takes `&self`, from any number of threads.
#[derive(Debug)]
pub struct Shard {
    path: PathBuf,
    header: Header,
    file: Mutex<File>,
    sums: Vec<u64>,
    /// One bit for each piece: whether it was found sound.
    sound: Vec<AtomicU64>,
}

impl Shard {
    /// Opens a shard: reads its header and its checksums, and compares its length with what they ask for.
    ///
    /// # Errors
    /// [`TextError::Read`]; [`TextError::Shard`] for what is no shard, or a damaged one.
    pub fn open(path: &Path) -> Result<Self> {
        let failed = |source| TextError::Read { path: path.to_owned(), source };
        let bad = |detail: String| TextError::Shard { path: path.to_owned(), detail };
        let mut file = File::open(path).map_err(failed)?;
        let file_len = file.metadata().map_err(failed)?.len();
        if file_len < HEADER as u64 {
            return Err(bad(format!("it has {file_len} bytes, and a header alone has {HEADER}")));
        }
        let mut bytes = [0; HEADER];
        file.read_exact(&mut bytes).map_err(failed)?;
        let header = Header::parse(&bytes, file_len).map_err(bad)?;
        // The file is as long as the header asks for, so what is read here is a small part of what is there.
        let body = header.body_len().expect("the length was reckoned when the header was read");
        let pieces = body.div_ceil(PIECE as u64) as usize;
        let mut table = vec![0; pieces * 8];
        file.seek(SeekFrom::Start(HEADER as u64 + body)).map_err(failed)?;
        file.read_exact(&mut table).map_err(failed)?;
        let sums = table.chunks_exact(8).map(|sum| u64_at(sum, 0)).collect();
        let sound = (0..pieces.div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        Ok(Self { path: path.to_owned(), header, file: Mutex::new(file), sums, sound })
    }

    /// Its tokens.
    pub fn tokens(&self) -> u64 {
        self.header.tokens
    }

    /// Its documents.
    pub fn documents(&self) -> u64 {
        self.header.documents
    }

    /// Bytes of its documents' text.
    pub fn text_bytes(&self) -> u64 {
        self.header.text_bytes
    }

    /// Every id is below this.
    pub fn vocab_size(&self) -> u32 {
        self.header.vocab_size
    }

    /// Fingerprint of the tokenizer.
    pub fn tokenizer(&self) -> [u8; 32] {
        self.header.tokenizer
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The ids from token `at` on, as many as `ids` has room for.
    ///
    /// # Errors
    /// [`TextError::Read`], and [`TextError::Shard`] for damage.
    ///
    /// # Panics
    /// If they reach beyond the last token.
    pub fn read(&self, at: u64, ids: &mut [u32]) -> Result<()> {
        let end = at.checked_add(ids.len() as u64);
        assert!(end.is_some_and(|end| end <= self.header.tokens), "tokens {at}.. of {}", self.header.tokens);
        let width = self.header.id_bytes();
        let mut bytes = vec![0; ids.len() * width];
        self.body(at * width as u64, &mut bytes)?;
        for (id, bytes) in ids.iter_mut().zip(bytes.chunks_exact(width)) {
            *id = match *bytes {
                [a, b] => u32::from(u16::from_le_bytes([a, b])),
                _ => u32_at(bytes, 0),
            };
            if *id >= self.header.vocab_size {
                return Err(self.bad(format!("the id {id} is not in its vocabulary of {}", self.header.vocab_size)));
            }
        }
        Ok(())
    }

    /// The document with this number, from 0.
    ///
    /// # Errors
    /// [`TextError::Read`], and [`TextError::Shard`] for damage.
    ///
    /// # Panics
    /// If there are not so many.
    pub fn document(&self, number: u64) -> Result<Document> {
        assert!(number < self.header.documents, "document {number} of {}", self.header.documents);
        let (start, (end, stamp)) = match number {
            0 => (0, self.entry(0)?),
            _ => (self.entry(number - 1)?.0, self.entry(number)?),
        };
        if start > end || end > self.header.tokens {
            return Err(self.bad(format!("document {number} ends before it begins, or beyond the last token")));
        }
        Ok(Document { tokens: start..end, stamp })
    }

    /// The number of the document that has this token.
    ///
    /// # Errors
    /// [`TextError::Read`], and [`TextError::Shard`] for damage.
    ///
    /// # Panics
    /// If there are not so many tokens.
    pub fn document_at(&self, token: u64) -> Result<u64> {
        assert!(token < self.header.tokens, "token {token} of {}", self.header.tokens);
        let (mut low, mut high) = (0, self.header.documents);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.entry(middle)?.0 <= token { low = middle + 1 } else { high = middle }
        }
        if low == self.header.documents {
            return Err(self.bad(format!("no document has token {token}")));
        }
        Ok(low)
    }

    /// Reads all of it and checks every piece, every id and the index.
    ///
    /// # Errors
    /// [`TextError::Read`], and [`TextError::Shard`] for damage.
    pub fn verify(&self) -> Result<()> {
        let mut ids = vec![0; PIECE];
        let mut at = 0;
        while at < self.header.tokens {
            let count = (self.header.tokens - at).min(PIECE as u64);
            self.read(at, &mut ids[..count as usize])?;
            at += count;
        }
        let mut text_bytes = 0;
        let mut end = 0;
        for number in 0..self.header.documents {
            let document = self.document(number)?;
            end = document.tokens.end;
            text_bytes += u64::from(document.stamp.text_bytes);
        }
        if end != self.header.tokens || text_bytes != self.header.text_bytes {
            return Err(self.bad("its index does not add up to what its header counts".to_owned()));
        }
        Ok(())
    }

    /// A document's end and stamp.
    fn entry(&self, number: u64) -> Result<(u64, Stamp)> {
        let ids = self.header.ids_len().expect("the length was reckoned when the header was read");
        let mut bytes = [0; ENTRY];
        self.body(ids + number * ENTRY as u64, &mut bytes)?;
        let stamp = Stamp { record: u64_at(&bytes, 8), text_bytes: u32_at(&bytes, 16), source: u32_at(&bytes, 20) };
        Ok((u64_at(&bytes, 0), stamp))
    }

    /// Bytes of ids and index from `at` on.
    fn body(&self, at: u64, bytes: &mut [u8]) -> Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let mut done = 0;
        while done < bytes.len() {
            let place = at + done as u64;
            let (piece, within) = ((place / PIECE as u64) as usize, (place % PIECE as u64) as usize);
            let count = (PIECE - within).min(bytes.len() - done);
            let wanted = &mut bytes[done..done + count];
            let bit = 1 << (piece % 64);
            if self.sound[piece / 64].load(Ordering::Relaxed) & bit != 0 {
                self.raw(&mut file, place, wanted)?;
            } else {
                let whole = self.piece(&mut file, piece)?;
                wanted.copy_from_slice(&whole[within..within + count]);
                self.sound[piece / 64].fetch_or(bit, Ordering::Relaxed);
            }
            done += count;
        }
        Ok(())
    }

    /// A whole piece, if it is what its checksum says.
    fn piece(&self, file: &mut File, piece: usize) -> Result<Vec<u8>> {
        let at = piece as u64 * PIECE as u64;
        let body = self.header.body_len().expect("the length was reckoned when the header was read");
        let mut bytes = vec![0; (body - at).min(PIECE as u64) as usize];
        self.raw(file, at, &mut bytes)?;
        if checksum(&bytes) != self.sums[piece] {
            let from = HEADER as u64 + at;
            let to = from + bytes.len() as u64;
            return Err(self.bad(format!("bytes {from} to {to} are damaged: their checksum does not fit")));
        }
        Ok(bytes)
    }

    fn raw(&self, file: &mut File, at: u64, bytes: &mut [u8]) -> Result<()> {
        let read = (|| -> io::Result<()> {
            file.seek(SeekFrom::Start(HEADER as u64 + at))?;
            file.read_exact(bytes)
        })();
        read.map_err(|source| TextError::Read { path: self.path.clone(), source })
    }

    fn bad(&self, detail: String) -> TextError {
        TextError::Shard { path: self.path.clone(), detail }
    }
}
