//! TensorBoard files, read back byte by byte.

use std::path::Path;

use gptneo_runs::State;
use gptneo_runs::sink::{TensorBoard, deliver};

use super::world::{World, loss, sample};

/// The CRC-32C of the format, bit by bit, and masked.
fn masked(bytes: &[u8]) -> u32 {
    let crc = !bytes.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 })
    });
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// The records of every event file below a folder, in the order of their files.
fn records(folder: &Path) -> Vec<Vec<u8>> {
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut records = Vec::new();
    for file in files {
        assert!(file.file_name().unwrap().to_str().unwrap().starts_with("events.out.tfevents."));
        let bytes = std::fs::read(file).unwrap();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
            assert_eq!(u32::from_le_bytes(rest[8..12].try_into().unwrap()), masked(&rest[..8]));
            let record = &rest[12..12 + length];
            assert_eq!(u32::from_le_bytes(rest[12 + length..16 + length].try_into().unwrap()), masked(record));
            records.push(record.to_vec());
            rest = &rest[16 + length..];
        }
    }
    records
}

/// The fields of a message: number, and what it holds as bytes (numbers as eight bytes, little end first).
fn fields(mut rest: &[u8]) -> Vec<(u64, Vec<u8>)> {
    fn varint(rest: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let byte = rest[0];
            *rest = &rest[1..];
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        value
    }
    let mut found = Vec::new();
    while !rest.is_empty() {
        let key = varint(&mut rest);
        let value = match key & 7 {
            0 => varint(&mut rest).to_le_bytes().to_vec(),
            wire => {
                let length = match wire {
                    1 => 8,
                    5 => 4,
                    _ => varint(&mut rest) as usize,
                };
                let (value, after) = rest.split_at(length);
                rest = after;
                value.to_vec()
            }
        };
        found.push((key >> 3, value));
    }
    found
}

fn field(message: &[u8], number: u64) -> Option<Vec<u8>> {
    fields(message).into_iter().find(|(field, _)| *field == number).map(|(_, value)| value)
}

/// Tag, step and value of every scalar.
fn scalars(records: &[Vec<u8>]) -> Vec<(String, u64, f32)> {
    let one = |record: &Vec<u8>| {
        let value = field(&field(record, 5)?, 1)?;
        let step = field(record, 2).map_or(0, |bytes| u64::from_le_bytes(bytes.try_into().unwrap()));
        let scalar = f32::from_le_bytes(field(&value, 2)?.try_into().unwrap());
        Some((String::from_utf8(field(&value, 1)?).unwrap(), step, scalar))
    };
    records.iter().filter_map(one).collect()
}

#[test]
fn a_run_can_be_read_back() {
    let mut world = World::new();
    let run = world.begin("a run/with slashes");
    world.steps(&run, 1, 50);
    world.store.record(run.id, &sample(50, " upon a time")).unwrap();
    world.store.set_state(run.id, State::Finished).unwrap();
    let logs = world.folder.path().join("logs");
    deliver(&mut world.store, run.id, &mut TensorBoard::new(&logs)).unwrap();
    let records = records(&logs.join("a_run_with_slashes"));
    assert_eq!(field(&records[0], 3).unwrap(), b"brain.Event:2");
    let losses: Vec<_> = scalars(&records).into_iter().filter(|(tag, _, _)| tag == "loss").collect();
    assert_eq!(losses.len(), 50);
    assert!(losses.iter().zip(1..).all(|((_, step, value), at)| *step == at && *value == loss(at) as f32));
    let texts = records.iter().filter(|record| {
        let text = record.windows(19).any(|bytes| bytes == b"**Once** upon a tim");
        text && record.windows(4).any(|bytes| bytes == b"text")
    });
    assert_eq!(texts.count(), 1);
}

#[test]
fn a_resumed_run_marks_what_is_superseded() {
    const SESSION: u64 = 7;
    let mut world = World::new();
    let run = world.begin("r");
    let logs = world.folder.path().join("logs");
    world.steps(&run, 1, 10);
    deliver(&mut world.store, run.id, &mut TensorBoard::new(&logs)).unwrap();
    world.store.resume(&run.uid, 6).unwrap().unwrap();
    world.steps(&run, 7, 8);
    deliver(&mut world.store, run.id, &mut TensorBoard::new(&logs)).unwrap();
    let records = records(&logs.join("r"));
    let marks: Vec<_> = records.iter().filter(|record| field(record, SESSION).is_some()).collect();
    assert_eq!(marks.len(), 1);
    assert_eq!(field(marks[0], 2).unwrap(), 7u64.to_le_bytes());
    assert_eq!(field(&field(marks[0], SESSION).unwrap(), 1).unwrap(), 1u64.to_le_bytes(), "a start");
    let steps: Vec<u64> = scalars(&records).iter().filter(|(tag, _, _)| tag == "loss").map(|(_, s, _)| *s).collect();
    assert_eq!(steps, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 7, 8]);
}
