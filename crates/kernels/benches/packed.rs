//! Speed of the packed products on two threads: bytes per second for one token, operations per second for many.
//!
//! `cargo bench -p gptneo-kernels --bench packed [-- TYPE... INSTRUCTIONS...]`: all types and sets that are not named are left
//! out; without a name, all are measured.

use std::time::Duration;

use gptneo_device::{DType, DeviceError};
use gptneo_kernels::Isa;
use gptneo_kernels::packed_bench::{self, Case};

/// Two each, multiply and add.
const OPS: f64 = 2.0;

fn main() -> Result<(), DeviceError> {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let (sets, types): (Vec<_>, Vec<_>) = wanted.into_iter().partition(|name| name.parse::<Isa>().is_ok());
    let chosen = |from: &[String], name| from.is_empty() || from.iter().any(|one| one == name);
    for dtype in [DType::Q8_0, DType::Q4_0, DType::Q4_K, DType::Q6_K] {
        for isa in Isa::available().skip(1) {
            if chosen(&types, dtype.name()) && chosen(&sets, isa.name()) {
                report(isa, dtype)?;
            }
        }
    }
    Ok(())
}

#[allow(clippy::print_stdout, reason = "a bench prints its table")]
fn report(isa: Isa, dtype: DType) -> Result<(), DeviceError> {
    println!("{dtype} {isa}; medians (best)\none token      K   threads        GB/s        read   share");
    for cols in [768, 2048, 8192] {
        let rows = (288 << 20) / dtype.bytes_for(cols).unwrap_or(1);
        let case = Case::new(isa, dtype, rows, cols, 1)?;
        for threads in [1, 2] {
            let rate = |time: Duration| case.bytes() as f64 / time.as_secs_f64() / 1e9;
            let [product, read] = case.product_and_read(threads, 25).map(|t| (rate(t.median), rate(t.best)));
            let share = product.0 / read.0;
            print!("         {cols:>7} {threads:>9} {:>6.1}{:>8}", product.0, format!("({:.1})", product.1));
            println!(" {:>6.1}{:>8} {share:>5.2}", read.0, format!("({:.1})", read.1));
        }
    }
    println!("GOP/s, two threads;   tokens       4        16        64       512");
    for (rows, cols) in [(3072, 768), (8192, 2048), (2048, 8192), (768, 3072)] {
        print!("            [{rows:>4}, {cols:>4}]     ");
        for tokens in [4, 16, 64, 512] {
            // As many rows as keep the weights of few tokens from staying in the cache.
            let rows = if tokens <= 16 { (96 << 20) / dtype.bytes_for(cols).unwrap_or(1) } else { rows };
            let case = Case::new(isa, dtype, rows, cols, tokens)?;
            let ops = OPS * rows as f64 * cols as f64 * tokens as f64;
            let times = case.product(2, (4e10 / ops).ceil().max(9.0) as usize);
            let rate = |time: Duration| ops / time.as_secs_f64() / 1e9;
            print!("{:>4.0}{:>6}", rate(times.median), format!("({:.0})", rate(times.best)));
        }
        println!();
    }
    let values: Vec<f32> = (0..1 << 18).map(|i| ((i * 7919) % 4001) as f32 / 2000.0 - 1.0).collect();
    let time = packed_bench::quantise(dtype, &values, 9).median;
    println!("quantised, one thread: {:.0} million values/s\n", values.len() as f64 / time.as_secs_f64() / 1e6);
    Ok(())
}
