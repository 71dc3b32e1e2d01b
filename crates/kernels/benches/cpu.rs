//! placeholder until the library compiles
fn main() {}
