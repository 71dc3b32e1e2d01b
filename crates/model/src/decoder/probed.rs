//! The plain decomposition of a piece, each named activation shown to a probe.
//!
//! It computes what the fused operations of [`Decoder`] compute, one plain operation at a time; that both agree with
//! transformers is tested in `tests/golden.rs`.

use gptneo_device::{Attend, Device, Heads, Rows};

use super::adapted::{PlainRoom, Site};
use super::{Decoder, LOGIT_ROWS, Piece, Work, rotary, tables};
use crate::config::Residual;
use crate::probe::{Activation, Probe};
use crate::weights::{Layer, Linear};

impl<D: Device> Decoder<D> {
    pub(super) fn probed_piece(&mut self, piece: &Piece, logits: &mut Vec<f32>, probe: &mut dyn Probe) {
        let Self { device, config, weights, caches, group_of, pages, residents, work, .. } = self;
        let device = &*device;
        let adapted = residents.rows(piece.adapters_of(&piece.sequences));
        let n = piece.ids.len();
        let Work { x, query, attention, inner, plain, logits: head } = work;
        let PlainRoom { key, value, branch } = plain.as_mut().expect("allocated before the first piece");
        let mut eye = Eye { device, probe, n, host: Vec::new() };
        let width = config.width;
        let heads = Heads { count: config.heads, size: config.head_size() };
        let tables = tables(pages, piece);
        eye.show("embedding", width, x);
        for (index, layer) in weights.layers.iter().enumerate() {
            let Layer { norm_1, norm_2, qkv, attention_output, inner: up, outer, reach, scale } = layer;
            let name = |what: &str| format!("layers.{index}.{what}");
            let rows =
                Rows { positions: &piece.positions, sequences: &piece.sequences, tables: &tables[group_of[index]] };

            // `branch` holds the normed input while q, k and v are made of it.
            device.norm(n, x, norm_1.with(config.eps), branch);
            eye.show(&name("norm_1"), width, branch);
            for (i, (what, out)) in [("query", &mut *query), ("key", key), ("value", value)].into_iter().enumerate() {
                let outputs = i * width..(i + 1) * width;
                device.linear(n, branch, &qkv.weight, qkv.bias.as_ref(), outputs.clone(), out);
                adapted.add(device, (index, Site::Qkv), branch, outputs, out);
                eye.show(&name(what), width, out);
            }
            for turned in [&mut *query, &mut *key] {
                if let Some(rotary) = rotary(config, weights) {
                    device.rotate(turned, heads, rotary, &piece.positions);
                }
            }
            device.store(key, value, rows, &mut caches[index]);
            let args = Attend { query, cache: &caches[index], heads, reach: *reach, scale: *scale, rows };
            device.attend(args, attention);
            eye.show(&name("attention"), width, attention);
            // Kept in `query`, which is free now, until the residual asks for it.
            let Linear { weight, bias } = attention_output;
            device.linear(n, attention, weight, bias.as_ref(), 0..width, query);
            adapted.add(device, (index, Site::AttentionOutput), attention, 0..width, query);
            eye.show(&name("attention_output"), width, query);

            if config.residual == Residual::Sequential {
                device.add(n * width, query, x);
            }
            match norm_2 {
                Some(norm_2) => {
                    device.norm(n, x, norm_2.with(config.eps), branch);
                    eye.show(&name("norm_2"), width, branch);
                }
                None => device.norm(n, x, norm_1.with(config.eps), branch),
            }
            device.linear(n, branch, &up.weight, up.bias.as_ref(), 0..config.inner, inner);
            adapted.add(device, (index, Site::Inner), branch, 0..config.inner, inner);
            eye.show(&name("inner"), config.inner, inner);
            device.activate(n * config.inner, config.activation, inner);
            eye.show(&name("activated"), config.inner, inner);
            device.linear(n, inner, &outer.weight, outer.bias.as_ref(), 0..width, branch);
            adapted.add(device, (index, Site::Outer), inner, 0..width, branch);
            eye.show(&name("mlp_output"), width, branch);
            if config.residual != Residual::Sequential {
                device.add(n * width, query, x);
            }
            device.add(n * width, branch, x);
            eye.show(&name("residual"), width, x);
        }
        device.norm(n, x, weights.final_norm.with(config.eps), branch);
        eye.show("final", width, branch);
        let mut row = vec![0.0; width];
        for rows in piece.wanted.chunks(LOGIT_ROWS) {
            for (i, &from) in rows.iter().enumerate() {
                device.read(branch, from as usize * width, &mut row);
                device.write(query, i * width, &row);
            }
            let bias = weights.head_bias.as_ref();
            device.linear(rows.len(), query, weights.output(), bias, 0..config.outputs(), head);
            eye.n = rows.len();
            eye.show("logits", config.outputs(), head);
            let start = logits.len();
            logits.resize(start + rows.len() * config.outputs(), 0.0);
            device.read(head, 0, &mut logits[start..]);
        }
    }
}

/// Carries activations between the device and a probe.
struct Eye<'a, D: Device> {
    device: &'a D,
    probe: &'a mut dyn Probe,
    n: usize,
    host: Vec<f32>,
}

impl<D: Device> Eye<'_, D> {
    fn show(&mut self, name: &str, width: usize, buffer: &mut D::Buffer) {
        if !self.probe.wants(name) {
            return;
        }
        self.host.resize(self.n * width, 0.0);
        self.device.read(buffer, 0, &mut self.host);
        if self.probe.see(Activation { name, width, values: &mut self.host }) {
            self.device.write(buffer, 0, &self.host);
        }
    }
}
