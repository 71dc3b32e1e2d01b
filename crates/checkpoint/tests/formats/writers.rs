//! What the writers write reads back, and a file that was not finished is not there.

use std::fs;
use std::path::Path;

use gptneo_checkpoint::gguf::{self, Array, Metadata, Value};
use gptneo_checkpoint::{Checkpoint, CheckpointError, safetensors};
use gptneo_device::DType;
use proptest::prelude::*;

type Tensor = (String, DType, Vec<usize>);

/// Bytes that differ from tensor to tensor.
fn payload(index: usize, (_, dtype, shape): &Tensor) -> Vec<u8> {
    let len = dtype.bytes_for(shape.iter().product()).unwrap();
    (0..len).map(|i| (i * 31 + index * 7) as u8).collect()
}

fn holds(path: &Path, tensors: &[Tensor]) {
    let checkpoint = Checkpoint::open(path).unwrap();
    assert_eq!(checkpoint.tensors().len(), tensors.len());
    for (index, tensor) in tensors.iter().enumerate() {
        let info = checkpoint.get(&tensor.0).unwrap();
        assert_eq!((info.dtype, &info.shape), (tensor.1, &tensor.2), "{}", tensor.0);
        assert_eq!(*checkpoint.bytes(info).unwrap(), payload(index, tensor), "{}", tensor.0);
    }
}

fn value() -> impl Strategy<Value = Value> {
    let text = || "[a-zé\\n]{0,12}".prop_map(String::from);
    prop_oneof![
        any::<u8>().prop_map(Value::from),
        any::<i8>().prop_map(Value::from),
        any::<u16>().prop_map(Value::from),
        any::<i16>().prop_map(Value::from),
        any::<u32>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e6f32..1e6).prop_map(Value::from),
        (-1e6f64..1e6).prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        text().prop_map(Value::from),
        prop::collection::vec(text(), 0..5).prop_map(Value::from),
        prop::collection::vec(any::<i32>(), 0..5).prop_map(Value::from),
        prop::collection::vec(any::<bool>(), 0..5).prop_map(Value::from),
        prop::collection::vec(-1e6f64..1e6, 0..5).prop_map(Value::from),
        prop::collection::vec(any::<u16>(), 0..3).prop_map(|x| Value::Array(Array::Array(vec![Array::U16(x)]))),
    ]
}

fn tensors(dtypes: Vec<DType>) -> impl Strategy<Value = Vec<Tensor>> {
    let tensor = (prop::sample::select(dtypes), prop::collection::vec(0usize..4, 0..3), 0usize..3);
    prop::collection::btree_map("[a-z._0-9]{1,20}", tensor, 0..8).prop_map(|tensors| {
        let whole_rows = |(name, (dtype, mut shape, blocks)): (String, (DType, Vec<usize>, usize))| {
            if dtype.is_quantised() {
                shape.push(blocks * dtype.block_len());
            }
            (name, dtype, shape)
        };
        tensors.into_iter().map(whole_rows).collect()
    })
}

/// Cuts `bytes` into chunks of `size`.
fn write_chunks(bytes: &[u8], size: usize, mut write: impl FnMut(&[u8])) {
    bytes.chunks(size).for_each(&mut write);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn gguf_reads_back(
        entries in prop::collection::btree_map("[a-z.]{1,20}", value(), 0..10),
        tensors in tensors(DType::ALL.iter().copied().filter(|t| !matches!(t, DType::Bool | DType::U8)).collect()),
        alignment in prop::option::of(prop::sample::select(vec![1u32, 8, 32, 64, 4096])),
        chunk in 1usize..50,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.gguf");
        let mut metadata = Metadata::new();
        for (key, value) in entries {
            metadata.set(key, value);
        }
        if let Some(alignment) = alignment {
            metadata.set("general.alignment", alignment);
        }
        let mut writer = gguf::Writer::create(&path, &metadata, &tensors).unwrap();
        for (index, tensor) in tensors.iter().enumerate() {
            write_chunks(&payload(index, tensor), chunk, |bytes| writer.write(bytes).unwrap());
        }
        writer.finish().unwrap();
        holds(&path, &tensors);
        let checkpoint = Checkpoint::open(&path).unwrap();
        prop_assert_eq!(checkpoint.gguf().unwrap(), &metadata);
        let alignment = u64::from(alignment.unwrap_or(32));
        prop_assert!(checkpoint.tensors().iter().all(|t| t.offset() % alignment == 0));
    }

    #[test]
    fn safetensors_read_back(
        tensors in tensors(DType::ALL.iter().copied().filter(|t| !t.is_quantised()).collect()),
        chunk in 1usize..50,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        let mut writer = safetensors::Writer::create(&path, &[("format", "pt")], &tensors).unwrap();
        for (index, tensor) in tensors.iter().enumerate() {
            write_chunks(&payload(index, tensor), chunk, |bytes| writer.write(bytes).unwrap());
        }
        writer.finish().unwrap();
        holds(&path, &tensors);
        let bytes = fs::read(&path).unwrap();
        let reference = ::safetensors::SafeTensors::deserialize(&bytes).unwrap();
        prop_assert_eq!(reference.len(), tensors.len());
    }
}

fn names_in(folder: &Path) -> Vec<String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn leaves_nothing_when_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.gguf");
    let mut writer = gguf::Writer::create(&path, &Metadata::new(), &[("x", DType::F32, [4])]).unwrap();
    writer.write(&[0; 8]).unwrap();
    assert_eq!(names_in(folder.path()).len(), 1);
    assert!(!path.exists());
    drop(writer);
    assert_eq!(names_in(folder.path()), [""; 0]);
}

#[test]
fn leaves_the_old_file_when_incomplete() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    fs::write(&path, "old").unwrap();
    let mut writer = safetensors::Writer::create(&path, &[], &[("x", DType::F32, [4])]).unwrap();
    writer.write(&[0; 15]).unwrap();
    let message = writer.finish().unwrap_err().to_string();
    assert!(message.ends_with("tensor `x`: wanted 16 bytes, found 15"), "{message}");
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(names_in(folder.path()), ["x.safetensors"]);
}

#[test]
fn replaces_the_old_file_when_finished() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    fs::write(&path, "old").unwrap();
    let tensors = vec![("x".to_owned(), DType::F32, vec![1])];
    let mut writer = safetensors::Writer::create(&path, &[], &tensors).unwrap();
    writer.write(&payload(0, &tensors[0])).unwrap();
    writer.finish().unwrap();
    holds(&path, &tensors);
    assert_eq!(names_in(folder.path()), ["x.safetensors"]);
}

#[test]
fn refuses_too_many_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.gguf");
    let tensors = [("a", DType::F32, vec![1]), ("empty", DType::F32, vec![0]), ("b", DType::F32, vec![1])];
    let mut writer = gguf::Writer::create(&path, &Metadata::new(), &tensors).unwrap();
    let message = writer.write(&[0; 5]).unwrap_err().to_string();
    assert!(message.contains("tensor `a`: wanted 4 bytes, found 5 or more"), "{message}");
    writer.write(&[0; 4]).unwrap();
    writer.write(&[0; 4]).unwrap();
    writer.write(&[]).unwrap();
    let message = writer.write(&[0]).unwrap_err().to_string();
    assert!(message.contains("wanted no bytes after the last, found 1 more"), "{message}");
    writer.finish().unwrap();
}

#[track_caller]
fn refuses(result: Result<impl Sized, CheckpointError>, words: &str) {
    let message = result.err().expect("a refusal").to_string();
    assert!(message.contains(words), "wanted `{words}` in: {message}");
}

#[test]
fn refuses_what_gguf_cannot_hold() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.gguf");
    let create = |tensors: &[(&str, DType, Vec<usize>)]| gguf::Writer::create(&path, &Metadata::new(), tensors);
    refuses(create(&[("x", DType::Bool, vec![1])]), "wanted a type GGUF has, found bool");
    refuses(create(&[("x", DType::U8, vec![1])]), "wanted a type GGUF has, found u8");
    refuses(create(&[("x", DType::F32, vec![1; 5])]), "at most 4 axes");
    refuses(create(&[("x", DType::Q8_0, vec![33])]), "rows of whole q8_0 blocks");
    refuses(create(&[(&"x".repeat(64), DType::F32, vec![1])]), "a name of at most 63 bytes, found 64");
    refuses(create(&[("x", DType::F32, vec![1]), ("x", DType::F32, vec![1])]), "tensor `x`: wanted a name of its own");
    refuses(create(&[("x", DType::F32, vec![usize::MAX, 2])]), "fits in memory");
    let mut metadata = Metadata::new();
    metadata.set("general.alignment", 3u32);
    refuses(gguf::Writer::create(&path, &metadata, &[("x", DType::F32, [1])]), "a power of two");
    assert_eq!(names_in(folder.path()), [""; 0]);
}

#[test]
fn refuses_what_safetensors_cannot_hold() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    let create = |tensors: &[(&str, DType, Vec<usize>)]| safetensors::Writer::create(&path, &[], tensors);
    refuses(create(&[("x", DType::Q4_0, vec![32])]), "wanted a type safetensors has, found q4_0");
    refuses(create(&[("x", DType::F32, vec![1]), ("x", DType::F32, vec![1])]), "a name of its own");
    refuses(create(&[("__metadata__", DType::F32, vec![1])]), "a name of its own");
    refuses(create(&[("x", DType::F32, vec![1; 9])]), "at most 8 axes");
    assert_eq!(names_in(folder.path()), [""; 0]);
}

#[test]
fn says_where_it_cannot_write() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("no/such/folder/x.gguf");
    refuses(gguf::Writer::create(&path, &Metadata::new(), &[("x", DType::F32, [1])]), "cannot create a file beside");
    refuses(
        gguf::Writer::create(Path::new("/"), &Metadata::new(), &[("x", DType::F32, [1])]),
        "not the name of a file",
    );
    // The destination is a directory: found at the end, and nothing stays behind.
    let taken = folder.path().join("taken");
    fs::create_dir(&taken).unwrap();
    let mut writer = gguf::Writer::create(&taken, &Metadata::new(), &[("x", DType::F32, [1])]).unwrap();
    writer.write(&[0; 4]).unwrap();
    refuses(writer.finish(), "cannot put the finished file at");
    assert_eq!(names_in(folder.path()), ["taken"]);
}
