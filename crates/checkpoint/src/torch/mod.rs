//! PyTorch files as `torch.save` writes them since 1.6: an uncompressed zip of a pickle and raw storages.
//!
//! The pickle says which tensor is a view of which storage. It is read by a machine of our own that knows the few
//! opcodes and names which a state dict needs, builds values only out of them, and can run nothing
//! ([`state_dict`]). Storages are mapped where they lie in the archive.
//! Tested in `tests/formats/torch.rs`, `tests/formats/hostile_pickle.rs` and `tests/formats/hostile_zip.rs`.

mod objects;
mod opcode;
mod pickle;
mod value;
mod zip;

use std::collections::HashMap;
use std::io::{Read, Seek};

use gptneo_device::DType;

use crate::error::{Fault, printable};
use crate::source::Source;
use crate::strided::{self, Layout};
use crate::tensor::{MAX_RANK, TensorInfo, byte_len, check_count, order_by_name};
use zip::Entry;

/// Longest pickle read, in bytes. That of a large model has some hundred kilobytes.
const MAX_PICKLE_BYTES: u64 = 32 << 20;

/// A tensor as the pickle describes it: a view of a storage.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct View {
    /// Key in the state dict.
    pub name: String,
    /// Type of the storage.
    pub dtype: DType,
    /// Name of the storage in the archive, below `data/`.
    pub storage: String,
    /// Elements of the storage.
    pub storage_len: usize,
    /// First element of the view.
    pub offset: usize,
    /// Lengths of the axes, outermost first.
    pub shape: Vec<usize>,
    /// Elements between neighbours along each axis.
    pub strides: Vec<usize>,
}

/// The tensors that a pickled state dict describes, in its order. Nothing in the pickle is executed.
///
/// Numbers are only known to be non-negative: a view may claim to lie outside of its storage.
pub fn state_dict(pickle: &[u8]) -> Result<Vec<View>, Fault> {
    pickle::state_dict(pickle)
}

/// The tensors of a PyTorch file, in the order of its state dict. Only the directory of the archive and the pickle
/// are read.
pub fn read<R: Read + Seek>(reader: R) -> Result<Vec<TensorInfo>, Fault> {
    let mut source = Source::new(reader)?;
    refuse_other_kinds(&mut source)?;
    let entries = zip::read(&mut source)?;
    let by_name: HashMap<&str, &Entry> = entries.iter().map(|entry| (entry.name.as_str(), entry)).collect();
    let root = root(&entries)?;
    if by_name.contains_key(format!("{root}/constants.pkl").as_str()) {
        return Err(Fault::Unsupported { what: "a TorchScript archive".to_owned(), advice: SAVE_AGAIN });
    }
    if let Some(entry) = by_name.get(format!("{root}/byteorder").as_str()) {
        let order = source.read_at(entry.offset, entry.len.min(16), "byteorder")?;
        if order != b"little" {
            let what = format!("byte order `{}`", order.escape_ascii());
            return Err(Fault::Unsupported { what, advice: "save it again on a little-endian machine" });
        }
    }
    let entry = by_name[format!("{root}/data.pkl").as_str()];
    if entry.len > MAX_PICKLE_BYTES {
        return Err(Fault::structure("data.pkl", format_args!("at most {MAX_PICKLE_BYTES} bytes"), entry.len));
    }
    let pickle = source.read_at(entry.offset, entry.len, "data.pkl")?;
    let views = state_dict(&pickle)?;
    drop(pickle);
    check_count(views.len() as u64)?;
    let tensors = views
        .into_iter()
        .map(|view| match by_name.get(format!("{root}/data/{}", view.storage).as_str()) {
            Some(entry) => place(view, entry),
            None => {
                let wanted = format_args!("storage `data/{}` in the archive", printable(&view.storage)).to_string();
                Err(Fault::tensor(&view.name, wanted, "no such entry"))
            }
        })
        .collect::<Result<Vec<_>, _>>()?;
    order_by_name(&tensors)?;
    Ok(tensors)
}

const SAVE_AGAIN: &str = "load it in PyTorch and save its state dict with torch.save, or better as safetensors";

/// Says what a file is that is no zip archive.
fn refuse_other_kinds<R: Read + Seek>(source: &mut Source<R>) -> Result<(), Fault> {
    /// `torch.save` before 1.6 starts with this number as a pickle of protocol 2.
    const LEGACY: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";
    let start = source.read_at(0, source.len().min(LEGACY.len() as u64), "file")?;
    match start.as_slice() {
        [b'P', b'K', 3, 4, ..] => Ok(()),
        LEGACY => Err(Fault::Unsupported { what: "the PyTorch format before 1.6".to_owned(), advice: SAVE_AGAIN }),
        [0x80, 0..=5, ..] => Err(Fault::Unsupported { what: "a bare pickle".to_owned(), advice: SAVE_AGAIN }),
        [b'G', b'G', b'U', b'F', ..] => {
            Err(Fault::Unsupported { what: "a GGUF file of this name".to_owned(), advice: "rename it to end in .gguf" })
        }
        [] => Err(Fault::Truncated { what: "zip archive".to_owned(), wanted: 22, found: 0 }),
        _ => {
            let found = format_args!("`{}`", start[..start.len().min(4)].escape_ascii()).to_string();
            Err(Fault::structure("start of file", "a zip archive, `PK\\x03\\x04`", found))
        }
    }
}

/// The one folder at the top of the archive that holds `data.pkl`.
fn root(entries: &[Entry]) -> Result<&str, Fault> {
    let mut roots = entries.iter().filter_map(|entry| {
        let (root, file) = entry.name.split_once('/')?;
        (file == "data.pkl").then_some(root)
    });
    match (roots.next(), roots.next()) {
        (Some(root), None) => Ok(root),
        (None, _) => Err(Fault::structure("zip archive", "an entry `*/data.pkl`", "none")),
        (Some(_), Some(_)) => Err(Fault::structure("zip archive", "one entry `*/data.pkl`", "several")),
    }
}

/// Finds the bytes of a view in the archive.
fn place(view: View, entry: &Entry) -> Result<TensorInfo, Fault> {
    let View { name, dtype, storage, storage_len, offset, shape, strides } = view;
    let element = dtype.block_bytes();
    if storage_len.checked_mul(element).map(|bytes| bytes as u64) != Some(entry.len) {
        let found = format_args!("{} bytes", entry.len).to_string();
        let wanted = format!("storage `data/{}` of {storage_len} {dtype} values", printable(&storage));
        return Err(Fault::tensor(&name, wanted, found));
    }
    if shape.len() > MAX_RANK {
        return Err(Fault::tensor(&name, format_args!("at most {MAX_RANK} axes"), shape.len()));
    }
    let bytes = byte_len(&name, dtype, &shape)?;
    let layout = strided::layout(&shape, &strides);
    if layout == Layout::Overlapping {
        let found = format!("strides {strides:?} for shape {shape:?}: an expanded view, save a copy of it");
        return Err(Fault::tensor(&name, "every element at its own place", found));
    }
    let span = strided::span(&shape, &strides);
    let end = span.and_then(|span| span.checked_add(offset));
    if end.is_none_or(|end| end > storage_len) {
        let wanted = format!("a view inside of {storage_len} values");
        return Err(Fault::tensor(
            &name,
            wanted,
            format_args!("offset {offset}, shape {shape:?}, strides {strides:?}"),
        ));
    }
    let span = span.unwrap_or(0) * element;
    let strides = (layout == Layout::Strided).then(|| strides.into_boxed_slice());
    debug_assert!(strides.is_some() || span == bytes);
    let offset = entry.offset + (offset * element) as u64;
    Ok(TensorInfo { name, dtype, shape, file: 0, offset, span, strides })
}
