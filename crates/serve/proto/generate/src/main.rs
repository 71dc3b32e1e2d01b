//! Writes `src/oip/inference.rs` of the crate beside it: `cargo run` in this folder. A compiler in Rust, so that no other is needed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let proto = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let files = protox::compile(["open_inference.proto"], [&proto])?;
    let out = proto.join("../src/oip");
    tonic_prost_build::configure().build_client(false).out_dir(&out).compile_fds(files)?;
    Ok(())
}
