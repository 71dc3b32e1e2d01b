//! Adapters on the device, and which rows of a piece have which.
//!
//! An adapter belongs to a sequence. Where rows of a piece have one that targets a matrix, the operation around that matrix
//! runs as its plain parts with [`Device::add_low_rank`] among them, over the rows of that adapter alone; every other
//! operation stays fused. Fused and plain operations agree to the bit on a CPU, so a sequence does not see what is beside it
//! (`tests/adapters.rs`).

use std::ops::Range;

use gptneo_device::{Device, DeviceError, LowRank, NormQkv, Rotary};

use crate::adapter::Adapter;
use crate::config::Config;
use crate::family::Role;
use crate::language_model::{AdapterId, ModelError};

/// A matrix of a layer, as the decoder holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Site {
    /// q, k and v, one below the other.
    Qkv,
    AttentionOutput,
    Inner,
    Outer,
}

/// A low-rank pair beside some outputs of a site.
#[derive(Debug)]
struct Pair {
    /// Its first output among the site's.
    first: usize,
    /// O.
    height: usize,
    /// C.
    width: usize,
    rank: usize,
    /// Where A begins among the factors.
    down: usize,
    /// Where B begins, by its columns and scaled.
    up: usize,
}

/// One adapter on the device.
#[derive(Debug)]
struct Resident<D: Device> {
    id: AdapterId,
    factors: D::Buffer,
    /// For each layer the pairs of each [`Site`].
    layers: Vec<[Vec<Pair>; 4]>,
}

/// The adapters that a decoder holds.
#[derive(Debug)]
pub(super) struct Residents<D: Device> {
    held: Vec<Resident<D>>,
    /// Ids handed out: none is given twice.
    count: u32,
}

impl<D: Device> Residents<D> {
    pub(super) fn new() -> Self {
        Self { held: Vec::new(), count: 0 }
    }

    pub(super) fn add(&mut self, device: &D, config: &Config, adapter: &Adapter) -> Result<AdapterId, ModelError> {
        adapter.check(config)?;
        let mut layers: Vec<[Vec<Pair>; 4]> = (0..config.layers()).map(|_| Default::default()).collect();
        let mut factors = device.buffer(adapter.parameters() as usize)?;
        let mut end = 0;
        let mut put = |values: &[f32]| {
            device.write(&mut factors, end, values);
            let start = end;
            end += values.len();
            start
        };
        for (role, layer, pair) in adapter.iter() {
            let (rank, scale) = (pair.rank, adapter.scale(pair));
            let (height, width) = (pair.b.len() / rank, pair.a.len() / rank);
            let column = |j: usize| pair.b.iter().skip(j).step_by(rank).map(move |b| b * scale);
            let up: Vec<f32> = (0..rank).flat_map(column).collect();
            let (site, first) = match role {
                Role::Query | Role::Qkv => (Site::Qkv, 0),
                Role::Key => (Site::Qkv, config.width),
                Role::Value => (Site::Qkv, 2 * config.width),
                Role::AttentionOutput => (Site::AttentionOutput, 0),
                Role::Inner => (Site::Inner, 0),
                _ => (Site::Outer, 0),
            };
            let (down, up) = (put(&pair.a), put(&up));
            layers[layer][site as usize].push(Pair { first, height, width, rank, down, up });
        }
        let id = AdapterId::new(self.count);
        self.count += 1;
        self.held.push(Resident { id, factors, layers });
        Ok(id)
    }

    /// Forgets an adapter that no sequence has.
    pub(super) fn remove(&mut self, id: AdapterId) -> Result<(), ModelError> {
        let at = self.held.iter().position(|resident| resident.id == id).ok_or(ModelError::UnknownAdapter(id))?;
        self.held.remove(at);
        Ok(())
    }

    pub(super) fn holds(&self, id: AdapterId) -> bool {
        self.held.iter().any(|resident| resident.id == id)
    }

    /// Which rows have which adapter: `of` names that of each row, `None` where it has none.
    pub(super) fn rows(&self, of: impl Iterator<Item = Option<AdapterId>>) -> AdaptedRows<'_, D> {
        let mut spans: Vec<(Range<usize>, &Resident<D>)> = Vec::new();
        for (row, id) in of.enumerate() {
            let Some(id) = id else { continue };
            match spans.last_mut() {
                Some((rows, resident)) if rows.end == row && resident.id == id => rows.end += 1,
                _ => {
                    let resident = self.held.iter().find(|resident| resident.id == id);
                    spans.push((row..row + 1, resident.expect("an adapter stays while a sequence has it")));
                }
            }
        }
        AdaptedRows { spans }
    }
}

/// Runs of rows and their adapters.
#[derive(Debug)]
pub(super) struct AdaptedRows<'a, D: Device> {
    spans: Vec<(Range<usize>, &'a Resident<D>)>,
}

impl<D: Device> AdaptedRows<'_, D> {
    /// Whether any row has something beside this matrix.
    pub(super) fn touch(&self, layer: usize, site: Site) -> bool {
        self.spans.iter().any(|(_, resident)| !resident.layers[layer][site as usize].is_empty())
    }

    /// Adds what adapters make of `x` beside `outputs` of a site; `out: [N, outputs.len()]`.
    pub(super) fn add(
        &self,
        device: &D,
        (layer, site): (usize, Site),
        x: &D::Buffer,
        outputs: Range<usize>,
        out: &mut D::Buffer,
    ) {
        for (rows, resident) in &self.spans {
            for pair in &resident.layers[layer][site as usize] {
                // A pair covers one of q, k and v, or all that is asked for.
                if pair.first >= outputs.end || pair.first + pair.height <= outputs.start {
                    continue;
                }
                let args = LowRank {
                    x,
                    width: pair.width,
                    rows: rows.clone(),
                    factors: &resident.factors,
                    down: pair.down,
                    up: pair.up,
                    rank: pair.rank,
                    height: pair.height,
                    outputs: outputs.start - pair.first..outputs.end - pair.first,
                };
                device.add_low_rank(args, out);
            }
        }
    }
}

impl<D: Device> AdaptedRows<'_, D> {
    /// [`Device::norm_qkv`] in its plain parts, adapters among them.
    pub(super) fn norm_qkv(
        &self,
        device: &D,
        layer: usize,
        args: NormQkv<'_, D>,
        plain: &mut PlainRoom<D>,
        cache: &mut D::Cache,
        query: &mut D::Buffer,
    ) {
        let NormQkv { x, norm, weight, bias, heads, rotary, rows } = args;
        let (n, width) = (rows.len(), heads.count * heads.size);
        let PlainRoom { key, value, branch } = plain;
        device.norm(n, x, norm, branch);
        for (third, out) in [&mut *query, &mut *key, &mut *value].into_iter().enumerate() {
            let outputs = third * width..(third + 1) * width;
            device.linear(n, branch, weight, bias, outputs.clone(), out);
            self.add(device, (layer, Site::Qkv), branch, outputs, out);
        }
        if let Some(Rotary { table, dims, pairing }) = rotary {
            device.rotate(query, heads, Rotary { table, dims, pairing }, rows.positions);
            device.rotate(key, heads, Rotary { table, dims, pairing }, rows.positions);
        }
        device.store(key, value, rows, cache);
    }
}

/// Working memory of plain decompositions.
#[derive(Debug)]
pub(super) struct PlainRoom<D: Device> {
    /// `[PIECE, C]`.
    pub(super) key: D::Buffer,
    /// `[PIECE, C]`.
    pub(super) value: D::Buffer,
    /// A normed input, or what a branch adds, `[PIECE, C]`.
    pub(super) branch: D::Buffer,
}

impl<D: Device> PlainRoom<D> {
    pub(super) fn new(device: &D, len: usize) -> Result<Self, DeviceError> {
        let buffer = || device.buffer(len);
        Ok(Self { key: buffer()?, value: buffer()?, branch: buffer()? })
    }
}
