//! safetensors files that are valid, and agreement with the reference reader on those that are not.

use gptneo_checkpoint::Format;
use gptneo_device::DType;
use proptest::prelude::*;

use crate::support::{read, safetensors, small_safetensors};

#[test]
fn reads_names_types_shapes_and_places() {
    let file = small_safetensors();
    let start = file.len() as u64 - 28;
    let tensors = read(Format::Safetensors, &file).unwrap();
    let seen: Vec<_> =
        tensors.iter().map(|t| (t.name.as_str(), t.dtype, t.shape.as_slice(), t.offset() - start)).collect();
    assert_eq!(seen, [("a", DType::F32, &[2, 3][..], 0), ("b", DType::BF16, &[], 24), ("c", DType::U8, &[1, 2], 26)]);
}

#[test]
fn sorts_by_place_whatever_the_order_of_the_header() {
    let header = concat!(
        r#"{"z":{"dtype":"U8","shape":[1],"data_offsets":[1,2]},"#,
        r#""y":{"dtype":"F64","shape":[0,5],"data_offsets":[1,1]},"x":{"dtype":"I8","shape":[1],"data_offsets":[0,1]}}  "#
    );
    let tensors = read(Format::Safetensors, &safetensors(header, &[0, 0])).unwrap();
    assert_eq!(tensors.iter().map(|t| t.name.as_str()).collect::<Vec<_>>(), ["x", "y", "z"]);
}

#[test]
fn reads_a_file_without_tensors() {
    assert!(read(Format::Safetensors, &safetensors("{}", &[])).unwrap().is_empty());
}

/// Name, shape, bytes.
type Tensor = (String, Vec<usize>, Vec<u8>);

/// What the reference says: the tensors with their ranges, or a refusal.
fn reference(bytes: &[u8]) -> Option<Vec<Tensor>> {
    let file = safetensors::SafeTensors::deserialize(bytes).ok()?;
    let mut tensors: Vec<_> =
        file.iter().map(|(name, view)| (name.to_owned(), view.shape().to_vec(), view.data().to_vec())).collect();
    tensors.sort_unstable();
    Some(tensors)
}

fn ours(bytes: &[u8]) -> Option<Vec<Tensor>> {
    let tensors = read(Format::Safetensors, bytes).ok()?;
    let mut tensors: Vec<_> = tensors
        .into_iter()
        .map(|t| {
            let data = bytes[t.offset() as usize..][..t.byte_len()].to_vec();
            (t.name, t.shape, data)
        })
        .collect();
    tensors.sort_unstable();
    Some(tensors)
}

fn valid_file() -> impl Strategy<Value = Vec<u8>> {
    let dtypes =
        [("F32", 4), ("F16", 2), ("BF16", 2), ("F64", 8), ("BOOL", 1), ("U8", 1), ("I8", 1), ("I16", 2), ("I64", 8)];
    let tensor = (prop::sample::select(dtypes.to_vec()), prop::collection::vec(0usize..4, 0..4));
    prop::collection::btree_map("[a-z.\\\\\"é]{0,6}", tensor, 0..6).prop_map(|tensors| {
        let mut end = 0;
        let mut header = serde_json::Map::new();
        for (name, ((dtype, bytes), shape)) in tensors {
            let start = end;
            end += bytes * shape.iter().product::<usize>();
            header.insert(name, serde_json::json!({"dtype": dtype, "shape": shape, "data_offsets": [start, end]}));
        }
        safetensors(&serde_json::Value::Object(header).to_string(), &(0..end).map(|x| x as u8).collect::<Vec<_>>())
    })
}

/// A valid file with a few bytes of its header changed: digits for digits half of the time.
fn mutated_file() -> impl Strategy<Value = Vec<u8>> {
    let edits = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<bool>()), 1..4);
    (valid_file(), edits).prop_map(|(mut file, edits)| {
        for (index, byte, digit) in edits {
            let digits: Vec<usize> = (0..file.len()).filter(|&i| file[i].is_ascii_digit()).collect();
            if digit && !digits.is_empty() {
                file[digits[index.index(digits.len())]] = b'0' + byte % 10;
            } else {
                let at = index.index(file.len());
                file[at] = byte;
            }
        }
        file
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn agrees_with_the_reference_on_valid_files(file in valid_file()) {
        let wanted = reference(&file);
        prop_assert!(wanted.is_some());
        prop_assert_eq!(ours(&file), wanted);
    }

    #[test]
    fn accepts_nothing_that_the_reference_refuses(file in mutated_file()) {
        if let Some(tensors) = ours(&file) {
            prop_assert_eq!(Some(tensors), reference(&file));
        }
    }
}
