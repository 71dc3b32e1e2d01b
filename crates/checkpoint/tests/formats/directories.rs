//! What is found in a directory, how shards are put together, and what happens when files change.

use std::fs;
use std::path::Path;

use gptneo_checkpoint::{Checkpoint, CheckpointError, Format, safetensors};
use gptneo_device::DType;

use crate::support::{gguf, small_safetensors, small_torch};

#[track_caller]
fn refuses(path: &Path, words: &str) {
    let message = match Checkpoint::open(path) {
        Ok(_) => panic!("accepted; wanted a refusal with `{words}`"),
        Err(error) => error.to_string(),
    };
    assert!(message.contains(words), "wanted `{words}` in: {message}");
    assert!(message.contains(&*path.file_name().unwrap().to_string_lossy()) || path.is_dir(), "no file in: {message}");
}

/// A shard with one byte per name.
fn write_shard(path: &Path, names: &[&str]) {
    let tensors: Vec<_> = names.iter().map(|name| (*name, DType::U8, [1])).collect();
    let mut writer = safetensors::Writer::create(path, &[], &tensors).unwrap();
    names.iter().for_each(|name| writer.write(&name.as_bytes()[..1]).unwrap());
    writer.finish().unwrap();
}

fn write_index(folder: &Path, map: &[(&str, &str)]) {
    let map: serde_json::Map<_, _> = map.iter().map(|(k, v)| ((*k).to_owned(), (*v).into())).collect();
    let json = serde_json::json!({"metadata": {"total_size": 3}, "weight_map": map}).to_string();
    fs::write(folder.join("model.safetensors.index.json"), json).unwrap();
}

#[test]
fn prefers_safetensors_to_torch_and_one_file_to_shards() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("pytorch_model.bin"), small_torch()).unwrap();
    fs::write(folder.path().join("pytorch_model.bin.index.json"), "broken").unwrap();
    assert_eq!(Checkpoint::open(folder.path()).unwrap().format(), Format::Torch);
    fs::write(folder.path().join("model.safetensors"), small_safetensors()).unwrap();
    fs::write(folder.path().join("model.safetensors.index.json"), "broken").unwrap();
    assert_eq!(Checkpoint::open(folder.path()).unwrap().format(), Format::Safetensors);
}

#[test]
fn never_falls_back_from_a_broken_file() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("pytorch_model.bin"), small_torch()).unwrap();
    fs::write(folder.path().join("model.safetensors"), "").unwrap();
    refuses(folder.path(), "model.safetensors: truncated: header length needs 8 bytes, and the file has 0");
}

#[test]
#[cfg(unix)]
fn never_passes_over_a_link_to_nothing() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("pytorch_model.bin"), small_torch()).unwrap();
    std::os::unix::fs::symlink("../blobs/not-downloaded", folder.path().join("model.safetensors")).unwrap();
    refuses(folder.path(), "model.safetensors: cannot open");
}

#[test]
fn says_what_an_unsuitable_directory_holds() {
    let folder = tempfile::tempdir().unwrap();
    refuses(
        folder.path(),
        "no checkpoint here: wanted model.safetensors, pytorch_model.bin, or the .index.json of either",
    );
    refuses(folder.path(), "found no file of weights");
    fs::write(folder.path().join("model-q8_0.gguf"), "").unwrap();
    refuses(folder.path(), "found model-q8_0.gguf (a single file can be named itself)");
    (0..9).for_each(|i| fs::write(folder.path().join(format!("a{i}.bin")), "").unwrap());
    refuses(folder.path(), "and 5 more");
    assert!(Checkpoint::open(&folder.path().join("nothing")).is_err_and(|e| matches!(e, CheckpointError::Io { .. })));
}

#[test]
fn tells_files_by_extension_and_else_by_content() {
    let folder = tempfile::tempdir().unwrap();
    let cases: &[(&str, Vec<u8>, Format)] = &[
        ("a.safetensors", small_safetensors(), Format::Safetensors),
        ("a", small_safetensors(), Format::Safetensors),
        ("a.bin", small_torch(), Format::Torch),
        ("a.pt", small_torch(), Format::Torch),
        ("a.pth", small_torch(), Format::Torch),
        ("a.weights", small_torch(), Format::Torch),
        ("a.gguf", gguf::small(3), Format::Gguf),
        ("ggml-model.bin", gguf::small(3), Format::Gguf),
        ("b", gguf::small(2), Format::Gguf),
    ];
    for (name, bytes, format) in cases {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        assert_eq!(Checkpoint::open(&path).unwrap().format(), *format, "{name}");
    }
}

#[test]
fn refuses_files_that_are_none_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    refuses(
        &write("readme.md", b"# A model"),
        "wanted a safetensors, PyTorch or GGUF file, found a file that starts with `# A model`",
    );
    refuses(&write("empty", b""), "found an empty file");
    refuses(&write("escape", b"\x1b[2J"), "\\x1b[2J");
    refuses(&write("zip.safetensors", &small_torch()), "zip.safetensors: header length");
    refuses(&write("zip.gguf", &small_torch()), "zip.gguf: magic: wanted `GGUF`");
    refuses(&write("page.bin", b"<!DOCTYPE html>"), "page.bin: start of file: wanted a zip archive");
    refuses(
        &write("lfs.safetensors", b"version https://git-lfs.github.com/spec/v1\noid sha256:"),
        "lfs.safetensors: header length",
    );
    #[cfg(unix)]
    refuses(Path::new("/dev/null"), "found a device or pipe");
}

#[test]
fn puts_shards_together() {
    let folder = tempfile::tempdir().unwrap();
    write_shard(&folder.path().join("1.safetensors"), &["a", "c"]);
    write_shard(&folder.path().join("2.safetensors"), &["b"]);
    write_index(folder.path(), &[("a", "1.safetensors"), ("b", "2.safetensors"), ("c", "1.safetensors")]);
    for path in [folder.path().to_owned(), folder.path().join("model.safetensors.index.json")] {
        let checkpoint = Checkpoint::open(&path).unwrap();
        assert_eq!(checkpoint.tensors().len(), 3);
        for name in ["a", "b", "c"] {
            let tensor = checkpoint.get(name).unwrap();
            assert_eq!(*checkpoint.bytes(tensor).unwrap(), *name.as_bytes());
            let file = if name == "b" { "2.safetensors" } else { "1.safetensors" };
            assert_eq!(checkpoint.path_of(tensor), folder.path().join(file));
        }
        assert!(checkpoint.get("d").is_none());
        let files =
            ["1.safetensors", "2.safetensors"].map(|name| fs::metadata(folder.path().join(name)).unwrap().len());
        assert_eq!(checkpoint.file_bytes(), files.iter().sum::<u64>());
    }
}

#[test]
fn refuses_shards_that_disagree_with_their_index() {
    let folder = tempfile::tempdir().unwrap();
    write_shard(&folder.path().join("1.safetensors"), &["a", "c"]);
    write_shard(&folder.path().join("2.safetensors"), &["b"]);
    let (one, two) = ("1.safetensors", "2.safetensors");
    let check = |map: &[(&str, &str)], words: &str| {
        write_index(folder.path(), map);
        refuses(folder.path(), words);
    };
    check(
        &[("a", one), ("b", two)],
        "1.safetensors: tensor `c`: wanted an entry in the index for this file, found none",
    );
    check(&[("a", one), ("b", two), ("c", two)], "1.safetensors: tensor `c`: wanted an entry in the index");
    check(
        &[("a", one), ("aa", one), ("c", one), ("b", two)],
        "1.safetensors: tensor `aa`: wanted the tensor in this file",
    );
    check(
        &[("a", one), ("c", one), ("d", one), ("b", two)],
        "1.safetensors: tensor `d`: wanted the tensor in this file",
    );
    check(&[("b", one), ("c", one)], "1.safetensors: tensor `a`: wanted an entry in the index");
    check(&[("a", one), ("c", one), ("b", "3.safetensors")], "3.safetensors: cannot open");
    check(&[("a", "../1.safetensors")], "the plain name of a file beside the index");
    check(&[], "index: wanted at least one tensor");
    fs::create_dir(folder.path().join("d")).unwrap();
    check(&[("a", "d")], "found a directory");
    fs::write(folder.path().join("model.safetensors.index.json"), "{").unwrap();
    refuses(folder.path(), "model.safetensors.index.json: index: wanted a JSON object");
}

#[test]
fn refuses_an_enormous_index_unread() {
    let folder = tempfile::tempdir().unwrap();
    let file = fs::File::create(folder.path().join("model.safetensors.index.json")).unwrap();
    file.set_len(1 << 40).unwrap();
    refuses(folder.path(), "index: wanted at most 33554432 bytes, found 1099511627776");
}

#[test]
fn notices_a_file_that_was_shortened_or_grew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    fs::write(&path, small_safetensors()).unwrap();
    let checkpoint = Checkpoint::open(&path).unwrap();
    let tensor = checkpoint.get("a").unwrap();
    let len = small_safetensors().len() as u64;
    for now in [len - 1, 0, len + 1] {
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(now).unwrap();
        let error = checkpoint.bytes(tensor).unwrap_err();
        assert!(
            matches!(error, CheckpointError::Changed { then, now: found, .. } if then == len && found == now),
            "{error}"
        );
    }
}

#[test]
fn keeps_its_file_when_another_takes_the_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    write_shard(&path, &["a"]);
    let checkpoint = Checkpoint::open(&path).unwrap();
    write_shard(&path, &["b", "c"]);
    assert_eq!(*checkpoint.bytes(checkpoint.get("a").unwrap()).unwrap(), *b"a");
}

#[test]
fn bytes_outlive_their_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    fs::write(&path, small_safetensors()).unwrap();
    let checkpoint = Checkpoint::open(&path).unwrap();
    let bytes = checkpoint.bytes(checkpoint.get("c").unwrap()).unwrap();
    drop(checkpoint);
    assert_eq!(*bytes, [26, 27]);
}

#[test]
fn can_be_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Checkpoint>();
    shared::<CheckpointError>();
}
