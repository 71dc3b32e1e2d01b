//! GGUF files: each lie about a size, a type or a place is refused before memory is asked for.

use super::Table;
use super::runner::Program;

/// A GGUF file under construction: version 3, little endian.
#[derive(Clone, Default)]
struct Gguf {
    keys: Vec<Vec<u8>>,
    tensors: Vec<Vec<u8>>,
    data: Vec<u8>,
}

fn string(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}

impl Gguf {
    fn key(mut self, name: &str, kind: u32, value: &[u8]) -> Self {
        self.keys.push([&string(name)[..], &kind.to_le_bytes(), value].concat());
        self
    }

    fn number(self, name: &str, value: u32) -> Self {
        self.key(name, 4, &value.to_le_bytes())
    }

    fn text(self, name: &str, value: &str) -> Self {
        self.key(name, 8, &string(value))
    }

    fn tensor(mut self, name: &str, shape: &[u64], kind: u32, offset: u64) -> Self {
        let axes: Vec<u8> = shape.iter().flat_map(|n| n.to_le_bytes()).collect();
        let rank = (shape.len() as u32).to_le_bytes();
        self.tensors.push([&string(name)[..], &rank, &axes, &kind.to_le_bytes(), &offset.to_le_bytes()].concat());
        self
    }

    fn data(mut self, bytes: usize) -> Self {
        self.data = vec![0; bytes];
        self
    }

    fn bytes(&self) -> Vec<u8> {
        self.with_counts(3, self.tensors.len() as u64, self.keys.len() as u64)
    }

    fn with_counts(&self, version: u32, tensors: u64, keys: u64) -> Vec<u8> {
        let mut out = b"GGUF".to_vec();
        out.extend(version.to_le_bytes());
        out.extend(tensors.to_le_bytes());
        out.extend(keys.to_le_bytes());
        out.extend(self.keys.concat());
        out.extend(self.tensors.concat());
        out.resize(out.len().next_multiple_of(32), 0);
        out.extend(&self.data);
        out
    }
}

/// The keys of a small GPT-2, without its tensors.
fn gpt2() -> Gguf {
    Gguf::default()
        .text("general.architecture", "gpt2")
        .number("gpt2.context_length", 64)
        .number("gpt2.embedding_length", 32)
        .number("gpt2.feed_forward_length", 64)
        .number("gpt2.block_count", 1)
        .number("gpt2.attention.head_count", 4)
        .key("gpt2.attention.layer_norm_epsilon", 6, &1e-5f32.to_le_bytes())
}

pub(super) fn add(table: &mut Table) {
    let mut with = |name: &str, bytes: Vec<u8>, says| {
        let path = table.write(&format!("gguf-{}.gguf", table.cases.len()), bytes);
        table.add(format!("gguf {name}"), Program::new(["run", "--tokens", "1", "-m"]).arg(path), 4, says);
    };
    let empty = Gguf::default();
    with("empty", Vec::new(), ".gguf");
    with("three bytes", b"GGU".to_vec(), ".gguf");
    with("magic alone", b"GGUF".to_vec(), ".gguf");
    with("another magic", b"GGML\x03\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec(), ".gguf");
    with("big endian", [b"GGUF".as_slice(), &3u32.to_be_bytes(), &[0; 16]].concat(), "big-endian");
    with("version 1", empty.with_counts(1, 0, 0), "version");
    with("version 99", empty.with_counts(99, 0, 0), "version");
    with("2^64-1 keys", empty.with_counts(3, 0, u64::MAX), "keys");
    with("2^64-1 tensors", empty.with_counts(3, u64::MAX, 0), "tensors");
    with("2^32 tensors", empty.with_counts(3, 1 << 32, 0), "tensors");
    with("keys that are not there", empty.with_counts(3, 0, 5), ".gguf");
    with("no architecture", empty.bytes(), "general.architecture");
    with("architecture a number", Gguf::default().number("general.architecture", 7).bytes(), "general.architecture");
    with("architecture llama", Gguf::default().text("general.architecture", "llama").bytes(), "llama");
    with("string of 2^64-1", Gguf::default().key("general.name", 8, &u64::MAX.to_le_bytes()).bytes(), ".gguf");
    with("string of 2^40", Gguf::default().key("general.name", 8, &(1u64 << 40).to_le_bytes()).bytes(), ".gguf");
    with("key of an unknown type", Gguf::default().key("a", 77, &[0; 8]).bytes(), "type");
    let list = [&8u32.to_le_bytes()[..], &u64::MAX.to_le_bytes()].concat();
    with("list of 2^64-1 strings", Gguf::default().key("a", 9, &list).bytes(), ".gguf");
    let nested = [&9u32.to_le_bytes()[..], &1u64.to_le_bytes()].concat().repeat(10_000);
    with("lists in lists", Gguf::default().key("a", 9, &nested).bytes(), "lists");
    with("boolean of 2", Gguf::default().key("a", 7, &[2]).bytes(), "boolean");
    with(
        "key not UTF-8",
        Gguf::default().key("a", 8, &[&2u64.to_le_bytes()[..], &[0xff, 0xfe]].concat()).bytes(),
        "UTF-8",
    );
    with("key twice", gpt2().number("gpt2.block_count", 1).bytes(), "gpt2.block_count");
    for alignment in [0, 3, (1 << 31) - 1] {
        let bytes = gpt2().number("general.alignment", alignment).bytes();
        with(&format!("alignment {alignment}"), bytes, "alignment");
    }
    with("no tensors", gpt2().bytes(), "missing");
    with(
        "no head count",
        {
            let mut keys = gpt2();
            keys.keys.remove(5);
            keys.bytes()
        },
        "head_count",
    );
    with(
        "0 heads",
        {
            let mut k = gpt2();
            k.keys.remove(5);
            k.number("gpt2.attention.head_count", 0).bytes()
        },
        "head",
    );
    with(
        "2^31 blocks",
        {
            let mut k = gpt2();
            k.keys.remove(4);
            k.number("gpt2.block_count", 1 << 31).bytes()
        },
        "block_count",
    );
    let one = |shape: &[u64], kind, offset| gpt2().tensor("token_embd.weight", shape, kind, offset).data(4096).bytes();
    with("tensor of 2^64 values", one(&[1 << 32, 1 << 32], 0, 0), "token_embd.weight");
    with("tensor beyond the file", one(&[32, 1 << 30], 0, 0), "token_embd.weight");
    with("tensor at 2^63", one(&[32, 32], 0, 1 << 63), "token_embd.weight");
    with("tensor misaligned", one(&[32, 32], 0, 7), "token_embd.weight");
    with("tensor of type 200", one(&[32, 32], 200, 0), "token_embd.weight");
    with("tensor of a type that is gone", one(&[32, 32], 4, 0), "token_embd.weight");
    with("tensor of rank 5", one(&[2, 2, 2, 2, 2], 0, 0), "token_embd.weight");
    with("ragged blocks", one(&[33, 32], 8, 0), "token_embd.weight");
    let stranger = gpt2()
        .tensor("token_embd.weight", &[32, 32], 0, 0)
        .tensor("blk.0.mystery.weight", &[32, 32], 0, 4096)
        .data(8192)
        .bytes();
    with("tensor of no model", stranger, "blk.0.mystery.weight");
    let twice = gpt2().tensor("output_norm.weight", &[32], 0, 0).tensor("output_norm.weight", &[32], 0, 128);
    with("tensor twice", twice.data(256).bytes(), "output_norm.weight");
    let good = gpt2().tensor("token_embd.weight", &[32, 112], 0, 0).data(32 * 112 * 4).bytes();
    for cut in [20, 40, 100, good.len() - 32 * 112 * 4 - 1, good.len() - 1] {
        with(&format!("cut at {cut}"), good[..cut].to_vec(), ".gguf");
    }
    let long = [&good[..], &[0; 4096]].concat();
    with("longer than it says", long, "file length");
    with(
        "a safetensors file by another name",
        std::fs::read(super::runner::golden("gpt_neo").join("model.safetensors")).unwrap(),
        ".gguf",
    );
}
