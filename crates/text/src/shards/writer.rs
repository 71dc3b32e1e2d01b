//! Writes one shard, document after document, holding 24 bytes for each and one piece of 64 KiB.

use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

use super::atomic::{TempFile, sha256_of};
use super::header::{HEADER, Header, PIECE, checksum};
use super::manifest::ShardEntry;
use crate::error::{Result, TextError};

/// Where a document came from and how long its text was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Place of its source in the manifest, from 0.
    pub source: u32,
    /// Its record in the source, from 1: a line, a row.
    pub record: u64,
    /// Bytes of its text.
    pub text_bytes: u32,
}

/// One shard being written. Dropped before [`ShardWriter::finish`], it leaves nothing behind.
#[derive(Debug)]
pub struct ShardWriter {
    temp: TempFile,
    header: Header,
    piece: Vec<u8>,
    sums: Vec<u64>,
    ends: Vec<(u64, Stamp)>,
}

impl ShardWriter {
    /// Begins a shard of ids below `vocab_size`, made with the tokenizer of this fingerprint.
    ///
    /// # Errors
    /// [`TextError::Write`].
    pub fn create(path: &Path, vocab_size: u32, tokenizer: [u8; 32]) -> Result<Self> {
        let mut temp = TempFile::create(path)?;
        let header = Header { vocab_size, tokens: 0, documents: 0, text_bytes: 0, tokenizer };
        // Its place is kept; what it says is known at the end.
        let kept = temp.file().write_all(&[0; HEADER]);
        kept.map_err(|source| TextError::Write { path: path.to_owned(), source })?;
        Ok(Self { temp, header, piece: Vec::with_capacity(PIECE), sums: Vec::new(), ends: Vec::new() })
    }

    /// Tokens written.
    pub fn tokens(&self) -> u64 {
        self.header.tokens
    }

    /// Documents written.
    pub fn documents(&self) -> u64 {
        self.header.documents
    }

    /// Adds a document: its ids, the end-of-text token included.
    ///
    /// # Errors
    /// [`TextError::Write`].
    ///
    /// # Panics
    /// If an id is not below the vocabulary's size.
    pub fn push(&mut self, ids: &[u32], stamp: Stamp) -> Result<()> {
        for &id in ids {
            assert!(id < self.header.vocab_size, "id {id} in a vocabulary of {}", self.header.vocab_size);
            match self.header.id_bytes() {
                2 => self.append(&(id as u16).to_le_bytes()),
                _ => self.append(&id.to_le_bytes()),
            }?;
        }
        self.header.tokens += ids.len() as u64;
        self.header.documents += 1;
        self.header.text_bytes += u64::from(stamp.text_bytes);
        self.ends.push((self.header.tokens, stamp));
        Ok(())
    }

    /// Completes the shard and gives it its name.
    ///
    /// # Errors
    /// [`TextError::Write`].
    pub fn finish(mut self) -> Result<ShardEntry> {
        let used = self.header.tokens as usize * self.header.id_bytes();
        self.append(&[0; 8][..used.next_multiple_of(8) - used])?;
        for (end, stamp) in std::mem::take(&mut self.ends) {
            self.append(&end.to_le_bytes())?;
            self.append(&stamp.record.to_le_bytes())?;
            self.append(&stamp.text_bytes.to_le_bytes())?;
            self.append(&stamp.source.to_le_bytes())?;
        }
        if !self.piece.is_empty() {
            self.flush_piece()?;
        }
        let sums: Vec<u8> = self.sums.iter().flat_map(|sum| sum.to_le_bytes()).collect();
        let header = self.header.to_bytes();
        let file = self.temp.file();
        let (sha256, bytes) = (|| {
            file.write_all(&sums)?;
            file.seek(SeekFrom::Start(0))?;
            file.write_all(&header)?;
            file.seek(SeekFrom::Start(0))?;
            sha256_of(file)
        })()
        .map_err(|error| self.failed(error))?;
        let name = self.temp.path().file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let Header { tokens, documents, text_bytes, .. } = self.header;
        self.temp.place()?;
        Ok(ShardEntry { file: name, sha256, bytes, tokens, documents, text_bytes })
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        // Ids and entries divide a piece evenly or not; either way it is cut at its exact length.
        let room = PIECE - self.piece.len();
        let (now, later) = bytes.split_at(bytes.len().min(room));
        self.piece.extend_from_slice(now);
        if self.piece.len() == PIECE {
            self.flush_piece()?;
        }
        self.piece.extend_from_slice(later);
        Ok(())
    }

    fn flush_piece(&mut self) -> Result<()> {
        self.sums.push(checksum(&self.piece));
        let written = self.temp.file().write_all(&self.piece);
        written.map_err(|error| self.failed(error))?;
        self.piece.clear();
        Ok(())
    }

    fn failed(&self, source: io::Error) -> TextError {
        TextError::Write { path: self.temp.path().to_owned(), source }
    }
}
