use std::io::ErrorKind;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::files::Disk;
use crate::files::faults::Faulty;

fn fill(draft: &mut Draft<'_>, value: f32) -> Result<(), TrainError> {
    draft.bytes("config.json", b"{}")?;
    let bytes = |len: usize| Ok(value.to_le_bytes().repeat(len));
    let shapes = [("a".to_owned(), vec![2, 3]), ("b".to_owned(), vec![1])];
    draft.tensors("model.safetensors", &shapes, |i| bytes([6, 1][i]))?;
    draft.tensors("optimizer.safetensors", &[("first".to_owned(), vec![7])], |_| bytes(7))?;
    draft.state(&value)
}

fn store(files: impl Files + 'static, folder: &TempDir) -> Store {
    Store::new(Arc::new(files), folder.path().join("checkpoints"))
}

fn save(store: &Store, step: u64, value: f32) -> Result<PathBuf, TrainError> {
    store.write(step, |draft| fill(draft, value))
}

fn newest(store: &Store) -> Option<(u64, f32)> {
    let found = store.newest_whole(|_, _| ()).unwrap()?;
    Some((found.step, read_state(&found.path).unwrap()))
}

#[test]
fn the_newest_is_found_and_its_tensors_are_safetensors() {
    let folder = TempDir::new().unwrap();
    let store = store(Disk, &folder);
    assert_eq!(newest(&store), None);
    save(&store, 5, 1.5).unwrap();
    let path = save(&store, 12, 2.5).unwrap();
    assert_eq!(newest(&store), Some((12, 2.5)));
    let tensors = gptneo_checkpoint::Checkpoint::open(&path.join("model.safetensors")).unwrap();
    assert_eq!(tensors.tensors().len(), 2);
}

#[test]
fn a_damaged_one_is_passed_over_aloud() {
    let folder = TempDir::new().unwrap();
    let store = store(Disk, &folder);
    save(&store, 5, 1.0).unwrap();
    let damages: [fn(&Path); 6] = [
        |p| fs::write(p.join("model.safetensors"), b"").unwrap(),
        |p| fs::remove_file(p.join("optimizer.safetensors")).unwrap(),
        |p| fs::remove_file(p.join(MANIFEST)).unwrap(),
        |p| fs::write(p.join(MANIFEST), b"{\"format\": 1, \"files\": {}}").unwrap(),
        |p| fs::write(p.join(MANIFEST), b"{\"format\": 2, \"files\": {}}").unwrap(),
        |p| {
            let mut bytes = fs::read(p.join("model.safetensors")).unwrap();
            *bytes.last_mut().unwrap() ^= 1;
            fs::write(p.join("model.safetensors"), bytes).unwrap();
        },
    ];
    for damage in damages {
        damage(&save(&store, 9, 2.0).unwrap());
        let mut told = Vec::new();
        let found = store.newest_whole(|found, why| told.push((found.step, why))).unwrap().unwrap();
        assert_eq!((found.step, told.len(), told[0].0), (5, 1, 9));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_flipped_bit_is_seen(file in 0usize..5, at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let folder = TempDir::new().unwrap();
        let path = save(&store(Disk, &folder), 1, 1.0).unwrap();
        let name = ["config.json", "model.safetensors", "optimizer.safetensors", STATE, MANIFEST][file];
        let mut bytes = fs::read(path.join(name)).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        fs::write(path.join(name), &bytes).unwrap();
        let was_blank = name == MANIFEST && (bytes[at] ^ 1 << bit).is_ascii_whitespace();
        // White space in the manifest means nothing; whatever else changes is seen.
        prop_assert!(was_blank || check(&path).is_err());
    }
}

#[test]
fn a_manifest_cannot_point_elsewhere() {
    let folder = TempDir::new().unwrap();
    let path = save(&store(Disk, &folder), 1, 1.0).unwrap();
    let text = fs::read_to_string(path.join(MANIFEST)).unwrap();
    fs::write(path.join(MANIFEST), text.replace("config.json", "../config.json")).unwrap();
    assert!(check(&path).unwrap_err().contains("../config.json"));
}

#[test]
fn whatever_fails_the_old_checkpoint_stands() {
    // How many operations a save has, counted on one that works.
    let folder = TempDir::new().unwrap();
    let counting = Faulty::new(u64::MAX, false, ErrorKind::Other);
    save(&store(counting.clone(), &folder), 1, 1.0).unwrap();
    save(&store(counting.clone(), &folder), 2, 1.0).unwrap();
    let operations = counting.operations();
    assert!(operations > 20);
    for replacing in [false, true] {
        for error in [ErrorKind::StorageFull, ErrorKind::Other] {
            for forever in [false, true] {
                for fails_at in 0..operations / 2 + 8 {
                    let folder = TempDir::new().unwrap();
                    save(&store(Disk, &folder), 5, 1.0).unwrap();
                    let step = if replacing { 5 } else { 9 };
                    let saved = save(&store(Faulty::new(fails_at, forever, error), &folder), step, 2.0);
                    let whole = newest(&store(Disk, &folder));
                    let place = format!("{error:?} at {fails_at}, forever {forever}, replacing {replacing}");
                    match saved {
                        Ok(_) => assert_eq!(whole, Some((step, 2.0)), "{place}"),
                        // After the rename the new one stands, durable or not.
                        Err(_) => assert!(whole == Some((5, 1.0)) || whole == Some((step, 2.0)), "{place}: {whole:?}"),
                    }
                    // And the next save, on a sound disk, works.
                    save(&store(Disk, &folder), 11, 3.0).unwrap();
                    assert_eq!(newest(&store(Disk, &folder)), Some((11, 3.0)), "{place}");
                }
            }
        }
    }
}

#[test]
fn an_interrupted_write_is_just_tried_again() {
    let folder = TempDir::new().unwrap();
    for fails_at in 3..12 {
        let store = store(Faulty::new(fails_at, false, ErrorKind::Interrupted), &folder);
        // Either the operation was a write, which is tried again, or it is told; no third way.
        if save(&store, fails_at, 1.0).is_ok() {
            assert_eq!(newest(&store), Some((fails_at, 1.0)));
        }
    }
}

#[test]
fn prune_keeps_what_it_is_told_to() {
    let folder = TempDir::new().unwrap();
    let store = store(Disk, &folder);
    for step in 1..6 {
        save(&store, step, 1.0).unwrap();
    }
    store.prune(|found| found.step == 2 || found.step > 4).unwrap();
    let left: Vec<u64> = store.list().unwrap().iter().map(|f| f.step).collect();
    assert_eq!(left, [5, 2]);
    assert_eq!(fs::read_dir(store.folder()).unwrap().count(), 2, "nothing hidden is left");
}
