//! Reads a LoRA adapter and writes it again, at another strength if one is given:
//! `cargo run --release --example adapter -- MODEL_DIRECTORY ADAPTER_DIRECTORY OUTPUT_DIRECTORY [STRENGTH]`.

use std::error::Error;
use std::io::Write;
use std::path::Path;

use gptneo::kernels::{Cpu, CpuOptions};
use gptneo::model::{Adapter, read_config};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [model, from, to, strength @ ..] = args.as_slice() else {
        return Err("wanted: adapter MODEL_DIRECTORY ADAPTER_DIRECTORY OUTPUT_DIRECTORY [STRENGTH]".into());
    };
    let strength: f32 = strength.first().map_or(Ok(1.0), |text| text.parse())?;

    // The model's configuration says which matrices there are, and of which shapes.
    let config = read_config(&Path::new(model).join("config.json"))?;
    let adapter = Adapter::open(&Cpu::new(CpuOptions::default())?, Path::new(from), &config)?.scaled(strength);
    adapter.save(Path::new(to))?;

    let mut out = std::io::stdout().lock();
    for (role, layer, pair) in adapter.iter() {
        writeln!(out, "layer {layer} {role:?}: rank {}, scale {}", pair.rank, adapter.scale(pair))?;
    }
    writeln!(out, "{} numbers written to {to}", adapter.parameters())?;
    Ok(())
}
