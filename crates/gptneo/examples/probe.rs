//! Looks inside: the size of the residual stream after each layer, and what the model says with one layer's attention
//! silenced. `cargo run --release --example probe -- MODEL_DIRECTORY 1,2,3`.

use std::error::Error;
use std::io::Write;
use std::path::Path;

use gptneo::kernels::{Cpu, CpuOptions};
use gptneo::model::probe::{Activation, Probe};
use gptneo::model::{LanguageModel, LoadOptions, Run, Want, load, open};

/// Remembers the length of every residual, and silences one activation.
struct Look {
    silenced: String,
    lengths: Vec<(String, f32)>,
}

impl Probe for Look {
    fn wants(&mut self, name: &str) -> bool {
        name.ends_with(".residual") || name == self.silenced
    }

    fn see(&mut self, activation: Activation<'_>) -> bool {
        if activation.name == self.silenced {
            activation.values.fill(0.0);
            return true;
        }
        let last = activation.values.chunks(activation.width).next_back().unwrap_or_default();
        let length = last.iter().map(|x| x * x).sum::<f32>().sqrt();
        self.lengths.push((activation.name.to_owned(), length));
        false
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(model), Some(ids)) = (args.next(), args.next()) else {
        return Err("wanted: probe MODEL_DIRECTORY IDS".into());
    };
    let ids = ids.split(',').map(str::parse).collect::<Result<Vec<u32>, _>>()?;
    let source = open(Path::new(&model))?;
    let mut model = load(Cpu::new(CpuOptions::default())?, &source, &LoadOptions::default(), &mut |_| {})?.decoder;
    let mut out = std::io::stdout().lock();
    for silenced in ["", "layers.0.attention_output"] {
        let mut look = Look { silenced: silenced.to_owned(), lengths: Vec::new() };
        let (sequence, mut logits) = (model.open(), Vec::new());
        model.forward_probed(&[Run::tokens(sequence, &ids, Want::Last)], &mut logits, &mut look)?;
        model.close(sequence);
        let best = logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map(|(id, _)| id);
        writeln!(out, "silenced {silenced:?}: next token {best:?}, residuals {:.3?}", look.lengths)?;
    }
    Ok(())
}
