//! The 96 bytes that a shard begins with, and the arithmetic of what follows them.

use sha2::{Digest, Sha256};

pub(super) const MAGIC: &[u8; 8] = b"GPTNEOTK";
pub(super) const VERSION: u32 = 1;
const BYTE_ORDER: u32 = 0x0102_0304;

/// Bytes of the header.
pub(super) const HEADER: usize = 96;

/// Bytes of ids and index that one checksum covers.
pub(super) const PIECE: usize = 64 << 10;

/// Bytes of a document's entry in the index.
pub(super) const ENTRY: usize = 24;

/// What the header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) vocab_size: u32,
    pub(super) tokens: u64,
    pub(super) documents: u64,
    pub(super) text_bytes: u64,
    pub(super) tokenizer: [u8; 32],
}

impl Header {
    /// Bytes of one id.
    pub(super) fn id_bytes(&self) -> usize {
        id_bytes(self.vocab_size)
    }

    /// Bytes of the ids with their padding.
    pub(super) fn ids_len(&self) -> Option<u64> {
        self.tokens.checked_mul(self.id_bytes() as u64)?.checked_next_multiple_of(8)
    }

    /// Bytes of ids and index.
    pub(super) fn body_len(&self) -> Option<u64> {
        self.documents.checked_mul(ENTRY as u64)?.checked_add(self.ids_len()?)
    }

    /// Bytes of the whole file.
    pub(super) fn file_len(&self) -> Option<u64> {
        let body = self.body_len()?;
        body.div_ceil(PIECE as u64).checked_mul(8)?.checked_add(body)?.checked_add(HEADER as u64)
    }

    pub(super) fn to_bytes(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&BYTE_ORDER.to_le_bytes());
        bytes[16..20].copy_from_slice(&(self.id_bytes() as u32).to_le_bytes());
        bytes[20..24].copy_from_slice(&self.vocab_size.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.tokens.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.documents.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.text_bytes.to_le_bytes());
        bytes[48..80].copy_from_slice(&self.tokenizer);
        bytes[80..84].copy_from_slice(&(PIECE as u32).to_le_bytes());
        let sum = checksum(&bytes[..88]);
        bytes[88..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Reads the header of a file of `file_len` bytes; what is wrong comes back in words.
    pub(super) fn parse(bytes: &[u8; HEADER], file_len: u64) -> Result<Self, String> {
        if &bytes[..8] != MAGIC {
            return Err("it does not begin with GPTNEOTK, so it is no token shard".to_owned());
        }
        let version = u32_at(bytes, 8);
        if version != VERSION {
            return Err(format!("it has version {version} of the format, and this program reads version {VERSION}"));
        }
        if u32_at(bytes, 12) != BYTE_ORDER {
            return Err("its byte order is not little-endian".to_owned());
        }
        if checksum(&bytes[..88]) != u64_at(bytes, 88) {
            return Err("its header is damaged: the checksum does not fit".to_owned());
        }
        let header = Self {
            vocab_size: u32_at(bytes, 20),
            tokens: u64_at(bytes, 24),
            documents: u64_at(bytes, 32),
            text_bytes: u64_at(bytes, 40),
            tokenizer: bytes[48..80].try_into().expect("32 bytes"),
        };
        let (id_bytes, piece) = (u32_at(bytes, 16), u32_at(bytes, 80));
        if id_bytes as usize != header.id_bytes() || piece as usize != PIECE {
            let vocab = header.vocab_size;
            return Err(format!("ids of {id_bytes} bytes in pieces of {piece} do not fit a vocabulary of {vocab}"));
        }
        match header.file_len() {
            Some(wanted) if wanted == file_len => Ok(header),
            Some(wanted) => Err(format!("it is {file_len} bytes long, but its header asks for {wanted}")),
            None => Err("its header asks for more bytes than a file can have".to_owned()),
        }
    }
}

/// Bytes of an id in a vocabulary of this size.
pub(super) fn id_bytes(vocab_size: u32) -> usize {
    if vocab_size <= 1 << 16 { 2 } else { 4 }
}

/// The first 8 bytes of the SHA-256.
pub(super) fn checksum(bytes: &[u8]) -> u64 {
    let digest = Sha256::digest(bytes);
    u64::from_le_bytes(digest[..8].try_into().expect("8 bytes"))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"))
}
