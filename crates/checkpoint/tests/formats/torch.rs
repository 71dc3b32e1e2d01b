//! PyTorch files that are valid, in all the ways `torch.save` has.

use gptneo_checkpoint::torch::state_dict;
use gptneo_checkpoint::{Checkpoint, Format};
use gptneo_device::DType;

use crate::support::pickle::Pickle;
use crate::support::zip::{End, Entry, Zip64, archive, torch, torch_entries};
use crate::support::{read, small_state_dict, small_torch};

fn names(bytes: &[u8]) -> Vec<String> {
    read(Format::Torch, bytes).unwrap().into_iter().map(|tensor| tensor.name).collect()
}

#[test]
fn finds_tensors_in_their_storages() {
    let file = small_torch();
    let tensors = read(Format::Torch, &file).unwrap();
    let seen: Vec<_> = tensors.iter().map(|t| (t.name.as_str(), t.dtype, t.shape.as_slice())).collect();
    assert_eq!(seen, [("a", DType::F32, &[2, 3][..]), ("a.transposed", DType::F32, &[3, 2]), ("b", DType::F16, &[3])]);
    assert_eq!(&file[tensors[0].offset() as usize..][..8], [0, 0, 0, 0, 0, 0, 128, 63]);
    assert_eq!(tensors[0].offset(), tensors[1].offset());
    assert_eq!(&file[tensors[2].offset() as usize..][..6], [1, 0, 2, 0, 3, 0]);
}

#[test]
fn gives_a_transposed_view_in_row_major_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pytorch_model.bin");
    std::fs::write(&path, small_torch()).unwrap();
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    let bytes = checkpoint.bytes(checkpoint.get("a.transposed").unwrap()).unwrap();
    let values: Vec<f32> = bytes.as_chunks().0.iter().map(|&x| f32::from_le_bytes(x)).collect();
    assert_eq!(values, [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
}

#[test]
fn reads_every_storage_type() {
    let types = [
        ("FloatStorage", DType::F32),
        ("HalfStorage", DType::F16),
        ("BFloat16Storage", DType::BF16),
        ("DoubleStorage", DType::F64),
        ("BoolStorage", DType::Bool),
        ("ByteStorage", DType::U8),
        ("CharStorage", DType::I8),
        ("ShortStorage", DType::I16),
        ("IntStorage", DType::I32),
        ("LongStorage", DType::I64),
    ];
    for (name, dtype) in types {
        let mut p = Pickle::state_dict();
        p.tensor("x", name, "0", 3, 0, &[3], &[1]);
        let tensors = read(Format::Torch, &torch(&p.finish(), &[("0", &vec![0; 3 * dtype.block_bytes()])])).unwrap();
        assert_eq!(tensors[0].dtype, dtype, "{name}");
    }
}

#[test]
fn reads_ordered_dicts_with_attributes_and_memo() {
    // As nn.Module.state_dict gives it: OrderedDict(), items, then BUILD with {'_metadata': OrderedDict()}.
    let mut p = Pickle::bare();
    p.global("collections", "OrderedDict").raw(b"q\x00)Rq\x01(");
    p.text("x").raw(b"q\x02").rebuild("FloatStorage", "0", 1, 0, &[], &[]).raw(b"q\x03");
    p.text("y").raw(b"h\x03");
    p.raw(b"u}q\x04").text("_metadata").raw(b"h\x00)R").raw(b"sb.");
    assert_eq!(names(&torch(&p.0, &[("0", &[0; 4])])), ["x", "y"]);
}

#[test]
fn reads_protocol_4_with_frames() {
    let mut p = Pickle(b"\x80\x04\x95\0\0\0\0\0\0\0\0}\x94".to_vec());
    p.raw(b"\x8c\x01x\x94\x8c\x0ctorch._utils\x94\x8c\x12_rebuild_tensor_v2\x94\x93\x94(");
    p.raw(
        b"(\x8c\x07storage\x94\x8c\x05torch\x94\x8c\x0cFloatStorage\x94\x93\x94\x8c\x010\x94\x8c\x03cpu\x94K\x06t\x94Q",
    );
    p.raw(b"K\x00K\x02K\x03\x86\x94K\x03K\x01\x86\x94\x88N}\x94t\x94R\x94s.");
    let tensors = read(Format::Torch, &torch(&p.0, &[("0", &[0; 24])])).unwrap();
    assert_eq!((tensors[0].name.as_str(), tensors[0].shape.as_slice()), ("x", &[2, 3][..]));
}

#[test]
fn reads_large_numbers_as_python_writes_them() {
    // LONG1 with as few bytes as the value needs, and one for the sign.
    for (bytes, value) in [(&[0x8a, 0][..], 0), (&[0x8a, 1, 5], 5), (&[0x8a, 5, 0, 0, 0, 0, 1], 1 << 32)] {
        let mut p = Pickle::state_dict();
        p.text("x").global("torch._utils", "_rebuild_tensor_v2").raw(b"((").text("storage");
        p.global("torch", "FloatStorage").text("0").text("cpu").raw(bytes).raw(b"tQK\0))\x89NtR");
        assert_eq!(state_dict(&p.finish()).unwrap()[0].storage_len, value);
    }
}

#[test]
fn reads_empty_tensors_and_dicts() {
    let mut p = Pickle::state_dict();
    p.tensor("x", "FloatStorage", "0", 0, 0, &[0, 3], &[3, 1]);
    assert_eq!(names(&torch(&p.finish(), &[("0", &[])])), ["x"]);
    assert_eq!(names(&torch(b"\x80\x02}.", &[])).len(), 0);
}

#[test]
fn reads_archives_with_sizes_in_front() {
    let (pickle, storages) = small_state_dict();
    let mut entries = vec![Entry::new("m/data.pkl", &pickle)];
    entries.extend(storages.iter().map(|(key, data)| Entry::new(&format!("m/data/{key}"), data)));
    assert_eq!(names(&archive(&entries, &End::default())).len(), 3);
}

#[test]
fn reads_zip64() {
    let (pickle, storages) = small_state_dict();
    let storages: Vec<_> = storages.iter().map(|(key, data)| (*key, data.as_slice())).collect();
    let mut entries = torch_entries(&pickle, &storages);
    let mut start = 0u64;
    for entry in &mut entries {
        let len = entry.data.len() as u64;
        entry.extra = [b"\x01\0\x18\0".as_slice(), &len.to_le_bytes().repeat(2), &start.to_le_bytes()].concat();
        (entry.len, entry.stored, entry.start) = (u32::MAX, u32::MAX, Some(u32::MAX));
        entry.descriptor = [b"PK\x07\x08\0\0\0\0".as_slice(), &len.to_le_bytes().repeat(2)].concat();
        start += (30 + entry.name.len() + entry.local_extra.len() + entry.data.len() + entry.descriptor.len()) as u64;
    }
    let end = End {
        entries: Some(u16::MAX),
        directory_bytes: Some(u32::MAX),
        directory_start: Some(u32::MAX),
        zip64: Some(Zip64::default()),
        ..End::default()
    };
    assert_eq!(names(&archive(&entries, &end)).len(), 3);
    assert_eq!(names(&archive(&entries, &End { zip64: Some(Zip64::default()), ..End::default() })).len(), 3);
}
