//! The front door: a directory or a file becomes a list of tensors, and a tensor becomes bytes.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};

use gptneo_device::Bytes;

use crate::content::Content;
use crate::error::{CheckpointError, Fault};
use crate::index::{self, MAX_INDEX_BYTES};
use crate::tensor::{TensorInfo, order_by_name};
use crate::{gguf, safetensors, strided, torch};

/// Kind of file a checkpoint is stored in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// A JSON header and raw tensors.
    Safetensors,
    /// A zip archive with a pickle: `pytorch_model.bin`.
    Torch,
    /// Metadata and tensors in one file, often quantised.
    Gguf,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Safetensors => "safetensors",
            Format::Torch => "PyTorch",
            Format::Gguf => "GGUF",
        })
    }
}

/// What a directory is searched for, in order.
const NAMES: [(&str, Format); 4] = [
    ("model.safetensors", Format::Safetensors),
    ("model.safetensors.index.json", Format::Safetensors),
    ("pytorch_model.bin", Format::Torch),
    ("pytorch_model.bin.index.json", Format::Torch),
];

const WANTED_IN_DIRECTORY: &str = "model.safetensors, pytorch_model.bin, or the .index.json of either";
const WANTED_FILE: &str = "a safetensors, PyTorch or GGUF file";
const INDEX_SUFFIX: &str = ".index.json";

/// An open checkpoint: headers read and checked, payloads untouched.
#[derive(Debug)]
pub struct Checkpoint {
    format: Format,
    files: Vec<OpenFile>,
    tensors: Vec<TensorInfo>,
    /// Positions of `tensors` in order of names.
    by_name: Vec<usize>,
    metadata: Option<gguf::Metadata>,
}

#[derive(Debug)]
struct OpenFile {
    path: PathBuf,
    content: Content,
    len: u64,
}

impl Checkpoint {
    /// Opens a directory in Hugging Face layout, an index, or one file.
    ///
    /// In a directory safetensors are preferred to PyTorch files, and one file to shards. A file is taken for what
    /// its extension says (`.safetensors`, `.gguf`), else for what its first bytes say. Only headers are read: the
    /// time does not depend on the size of the tensors.
    ///
    /// # Errors
    /// [`CheckpointError::NotACheckpoint`] if there is nothing to open, [`CheckpointError::Bad`] with the file and
    /// the tensor if a header contradicts itself, its file or the index, [`CheckpointError::Io`].
    pub fn open(path: &Path) -> Result<Self, CheckpointError> {
        let kind = fs::metadata(path).map_err(CheckpointError::io(path, "open"))?;
        if !kind.is_dir() {
            return Self::open_file(path);
        }
        match NAMES.iter().map(|(name, format)| (path.join(name), *format)).find(|(path, _)| is_there(path)) {
            Some((index, format)) if is_index(&index) => Self::open_sharded(&index, format),
            Some((file, format)) => Self::open_single(&file, format),
            None => Err(CheckpointError::NotACheckpoint {
                path: path.to_owned(),
                wanted: WANTED_IN_DIRECTORY,
                found: listing(path),
            }),
        }
    }

    /// A GGUF file that the program carries within itself; `name` stands for its path in errors.
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    pub fn embedded(name: &Path, bytes: Bytes) -> Result<Self, CheckpointError> {
        let file = OpenFile { path: name.to_owned(), len: bytes.len() as u64, content: Content::Embedded(bytes) };
        Self::from_file(name, Format::Gguf, file)
    }

    fn open_file(path: &Path) -> Result<Self, CheckpointError> {
        if is_index(path) {
            let name = path.to_string_lossy();
            let torch = name.ends_with(".bin.index.json");
            return Self::open_sharded(path, if torch { Format::Torch } else { Format::Safetensors });
        }
        let format = match path.extension().and_then(|extension| extension.to_str()) {
            Some("safetensors") => Format::Safetensors,
            Some("gguf") => Format::Gguf,
            _ => OpenFile::open(path)?.sniff()?,
        };
        Self::open_single(path, format)
    }

    fn open_single(path: &Path, format: Format) -> Result<Self, CheckpointError> {
        Self::from_file(path, format, OpenFile::open(path)?)
    }

    fn from_file(path: &Path, format: Format, file: OpenFile) -> Result<Self, CheckpointError> {
        let (metadata, tensors) = match format {
            Format::Gguf => {
                let (metadata, tensors) = gguf::read(file.content.reader()).map_err(CheckpointError::bad(path))?;
                (Some(metadata), tensors)
            }
            _ => (None, file.tensors(format)?),
        };
        Self::assemble(path, format, vec![file], tensors, metadata)
    }

    fn open_sharded(index: &Path, format: Format) -> Result<Self, CheckpointError> {
        let opened = OpenFile::open(index)?;
        if opened.len > MAX_INDEX_BYTES {
            let fault = Fault::structure("index", format_args!("at most {MAX_INDEX_BYTES} bytes"), opened.len);
            return Err(CheckpointError::bad(index)(fault));
        }
        let mut json = Vec::new();
        let mut limited = opened.content.reader().take(MAX_INDEX_BYTES);
        limited.read_to_end(&mut json).map_err(CheckpointError::io(index, "read"))?;
        let shards = index::parse(&json).map_err(CheckpointError::bad(index))?;
        drop(json);

        let mut files = Vec::with_capacity(shards.len());
        let mut tensors = Vec::new();
        for (name, listed) in shards {
            let file = OpenFile::open(&index.with_file_name(&name))?;
            let found = file.tensors(format)?;
            compare(&found, &listed).map_err(CheckpointError::bad(&file.path))?;
            tensors.extend(found.into_iter().map(|tensor| TensorInfo { file: files.len(), ..tensor }));
            files.push(file);
        }
        Self::assemble(index, format, files, tensors, None)
    }

    fn assemble(
        path: &Path,
        format: Format,
        files: Vec<OpenFile>,
        tensors: Vec<TensorInfo>,
        metadata: Option<gguf::Metadata>,
    ) -> Result<Self, CheckpointError> {
        let by_name = order_by_name(&tensors).map_err(CheckpointError::bad(path))?;
        Ok(Self { format, files, tensors, by_name, metadata })
    }

    /// Kind of the files.
    pub fn format(&self) -> Format {
        self.format
    }

    /// All tensors: by shard, and within one in the order of the file.
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    /// The tensor called `name`.
    pub fn get(&self, name: &str) -> Option<&TensorInfo> {
        let found = self.by_name.binary_search_by(|&at| self.tensors[at].name.as_str().cmp(name)).ok()?;
        Some(&self.tensors[self.by_name[found]])
    }

    /// The bytes of `tensor`, row-major, little-endian: mapped, so that they are read when touched and their pages go
    /// when the last clone is dropped. A transposed view of a PyTorch file is copied instead.
    ///
    /// The bytes start at any address: the format, not the machine, says where. Shortening the file while they live
    /// is a fault of the process (replace files by renaming).
    ///
    /// # Errors
    /// [`CheckpointError::Changed`] if the file is not as long as when it was opened, [`CheckpointError::Io`].
    ///
    /// # Panics
    /// If `tensor` belongs to another checkpoint with more files.
    pub fn bytes(&self, tensor: &TensorInfo) -> Result<Bytes, CheckpointError> {
        let file = &self.files[tensor.file];
        let now = file.content.len().map_err(CheckpointError::io(&file.path, "map"))?;
        if now != file.len {
            return Err(CheckpointError::Changed { path: file.path.clone(), then: file.len, now });
        }
        if tensor.offset.checked_add(tensor.span as u64).is_none_or(|end| end > now) {
            let what = format!("tensor `{}`", crate::error::printable(&tensor.name));
            let wanted = tensor.offset.saturating_add(tensor.span as u64);
            return Err(CheckpointError::bad(&file.path)(Fault::Truncated { what, wanted, found: now }));
        }
        // An empty range cannot be mapped.
        if tensor.span == 0 {
            return Ok(Bytes::from(Vec::new()));
        }
        let bytes = file.content.bytes(tensor.offset, tensor.span).map_err(CheckpointError::io(&file.path, "map"))?;
        let Some(strides) = &tensor.strides else {
            return Ok(bytes);
        };
        let mut copy = Vec::new();
        copy.try_reserve_exact(tensor.byte_len())
            .map_err(|error| CheckpointError::io(&file.path, "copy a transposed tensor of")(io::Error::other(error)))?;
        strided::gather(&bytes, tensor.dtype.block_bytes(), &tensor.shape, strides, &mut copy);
        Ok(Bytes::from(copy))
    }

    /// The file that holds `tensor`.
    ///
    /// # Panics
    /// If `tensor` belongs to another checkpoint with more files.
    pub fn path_of(&self, tensor: &TensorInfo) -> &Path {
        &self.files[tensor.file].path
    }

    /// Bytes of all files of tensors together.
    pub fn file_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.len).sum()
    }

    /// The metadata of a GGUF file.
    pub fn gguf(&self) -> Option<&gguf::Metadata> {
        self.metadata.as_ref()
    }
}

impl OpenFile {
    fn open(path: &Path) -> Result<Self, CheckpointError> {
        // Asked before opening: opening a pipe waits for a writer.
        let kind = fs::metadata(path).map_err(CheckpointError::io(path, "open"))?;
        if !kind.is_file() {
            let found = if kind.is_dir() { "a directory" } else { "a device or pipe" }.to_owned();
            return Err(CheckpointError::NotACheckpoint { path: path.to_owned(), wanted: WANTED_FILE, found });
        }
        let file = File::open(path).map_err(CheckpointError::io(path, "open"))?;
        let len = file.metadata().map_err(CheckpointError::io(path, "open"))?.len();
        Ok(Self { path: path.to_owned(), content: Content::File(file), len })
    }

    fn tensors(&self, format: Format) -> Result<Vec<TensorInfo>, CheckpointError> {
        match format {
            Format::Safetensors => safetensors::read(self.content.reader()),
            Format::Torch => torch::read(self.content.reader()),
            Format::Gguf => gguf::read(self.content.reader()).map(|(_, tensors)| tensors),
        }
        .map_err(CheckpointError::bad(&self.path))
    }

    /// The format that the first bytes speak of.
    fn sniff(&self) -> Result<Format, CheckpointError> {
        let mut start = Vec::new();
        let mut reader = self.content.reader();
        reader
            .rewind()
            .and_then(|()| reader.take(9).read_to_end(&mut start))
            .map_err(CheckpointError::io(&self.path, "read"))?;
        let torch_name = matches!(self.path.extension().and_then(|x| x.to_str()), Some("bin" | "pt" | "pth"));
        match start.as_slice() {
            [b'G', b'G', b'U', b'F', ..] => Ok(Format::Gguf),
            [b'P', b'K', ..] => Ok(Format::Torch),
            [_, _, _, _, _, _, 0, 0, b'{'] => Ok(Format::Safetensors),
            // The reader says what is wrong with it.
            _ if torch_name => Ok(Format::Torch),
            [] => Err(self.unknown("an empty file".to_owned())),
            _ => Err(self.unknown(format!("a file that starts with `{}`", start.escape_ascii()))),
        }
    }

    fn unknown(&self, found: String) -> CheckpointError {
        CheckpointError::NotACheckpoint { path: self.path.clone(), wanted: WANTED_FILE, found }
    }
}

/// Holds the tensors of a shard against the index; `listed` is sorted.
fn compare(found: &[TensorInfo], listed: &[String]) -> Result<(), Fault> {
    let order = order_by_name(found)?;
    let mut present = order.iter().map(|&at| found[at].name.as_str()).peekable();
    for name in listed {
        if let Some(extra) = present.next_if(|present| *present < name.as_str()) {
            return Err(Fault::tensor(extra, "an entry in the index for this file", "none"));
        }
        if present.next_if_eq(&name.as_str()).is_none() {
            return Err(Fault::tensor(name, "the tensor in this file, as the index says", "no such tensor"));
        }
    }
    match present.next() {
        Some(extra) => Err(Fault::tensor(extra, "an entry in the index for this file", "none")),
        None => Ok(()),
    }
}

/// Whether the directory has such an entry. A link to nothing counts: passing over it would load another file than the
/// one that was meant.
fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

fn is_index(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(INDEX_SUFFIX))
}

/// The files of a directory that look like weights, for the message that says none was taken.
fn listing(path: &Path) -> String {
    const SHOWN: usize = 5;
    let Ok(entries) = fs::read_dir(path) else { return "a directory that cannot be read".to_owned() };
    let mut names: Vec<_> = entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| {
            [".safetensors", ".bin", ".gguf", ".pt", ".pth", ".msgpack", ".h5"].iter().any(|x| name.ends_with(x))
        })
        .map(|name| crate::error::printable(&name))
        .collect();
    names.sort_unstable();
    match names.len() {
        0 => "no file of weights".to_owned(),
        len if len > SHOWN => {
            format!("{} and {} more (a single file can be named itself)", names[..SHOWN].join(", "), len - SHOWN)
        }
        _ => format!("{} (a single file can be named itself)", names.join(", ")),
    }
}
