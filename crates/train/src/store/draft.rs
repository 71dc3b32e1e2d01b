//! A checkpoint that is being written.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use gptneo_checkpoint::safetensors;
use gptneo_device::DType;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{Entry, FORMAT, MANIFEST, Manifest, STATE, digest};
use crate::error::TrainError;
use crate::files::{Files, Output};

/// Files going into a checkpoint; each is hashed as it is written, and durable when its call returns.
pub struct Draft<'a> {
    files: &'a dyn Files,
    folder: PathBuf,
    entries: BTreeMap<String, Entry>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(files: &'a dyn Files, folder: &Path) -> Self {
        Self { files, folder: folder.to_owned(), entries: BTreeMap::new() }
    }

    /// Writes a small file.
    ///
    /// # Errors
    /// What the system refused.
    pub fn bytes(&mut self, name: &str, bytes: &[u8]) -> Result<(), TrainError> {
        let mut file = self.create(name)?;
        file.write(bytes)?;
        self.close(name, file)
    }

    /// Writes `state.json`.
    ///
    /// # Errors
    /// What the system refused.
    pub fn state(&mut self, state: &impl Serialize) -> Result<(), TrainError> {
        self.bytes(STATE, &json(state))
    }

    /// Writes f32 tensors, each described by its name and shape; `bytes` gives those of each in turn, little-endian.
    ///
    /// # Errors
    /// What the system refused; names that stand twice; those of `bytes`.
    pub fn tensors(
        &mut self,
        name: &str,
        tensors: &[(String, Vec<usize>)],
        mut bytes: impl FnMut(usize) -> Result<Vec<u8>, TrainError>,
    ) -> Result<(), TrainError> {
        let described: Vec<_> = tensors.iter().map(|(name, shape)| (name, DType::F32, shape)).collect();
        let header = safetensors::header(&self.folder.join(name), &[("format", "pt")], &described)?;
        let mut file = self.create(name)?;
        file.write(&header)?;
        for (index, (tensor, shape)) in tensors.iter().enumerate() {
            let bytes = bytes(index)?;
            assert_eq!(4 * shape.iter().product::<usize>(), bytes.len(), "{tensor} has the shape it was said to have");
            bytes.chunks(1 << 20).try_for_each(|chunk| file.write(chunk))?;
        }
        self.close(name, file)
    }

    /// Writes the manifest over all that was written.
    pub(super) fn finish(mut self) -> Result<(), TrainError> {
        let manifest = Manifest { format: FORMAT, files: std::mem::take(&mut self.entries) };
        self.bytes(MANIFEST, &json(&manifest))
    }

    fn create(&self, name: &str) -> Result<Hashed, TrainError> {
        let path = self.folder.join(name);
        let output = self.files.create(&path).map_err(|error| TrainError::io("create", &path, error))?;
        Ok(Hashed { path, output, hasher: Sha256::new(), bytes: 0 })
    }

    fn close(&mut self, name: &str, mut file: Hashed) -> Result<(), TrainError> {
        file.output.sync().map_err(|error| TrainError::io("make durable", &file.path, error))?;
        let entry = Entry { bytes: file.bytes, sha256: digest::hex(file.hasher) };
        assert!(self.entries.insert(name.to_owned(), entry).is_none(), "{name} is written once");
        Ok(())
    }
}

fn json(value: &impl Serialize) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(value).expect("maps with text keys can be said in JSON");
    text.push(b'\n');
    text
}

struct Hashed {
    path: PathBuf,
    output: Box<dyn Output>,
    hasher: Sha256,
    bytes: u64,
}

impl Hashed {
    fn write(&mut self, bytes: &[u8]) -> Result<(), TrainError> {
        self.output.write_all(bytes).map_err(|error| TrainError::io("write", &self.path, error))?;
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(())
    }
}
