//! Archives that lie, and pickles that lie about their archive.

use gptneo_checkpoint::Format;

use crate::support::pickle::Pickle;
use crate::support::zip::{End, Entry, Zip64, archive, torch, torch_entries};
use crate::support::{
    refuses as refuses_format, refuses_every_truncation, small_state_dict, small_torch, survives_every_bit_flip,
};

#[track_caller]
fn refuses(file: &[u8], words: &str) {
    refuses_format(Format::Torch, file, words);
}

fn entries() -> Vec<Entry> {
    let (pickle, storages) = small_state_dict();
    torch_entries(&pickle, &storages.iter().map(|(key, data)| (*key, data.as_slice())).collect::<Vec<_>>())
}

/// The small file, with its entry `data/0` changed, is refused.
#[track_caller]
fn refuses_entry(change: impl FnOnce(&mut Entry), words: &str) {
    let mut entries = entries();
    let entry = entries.iter_mut().find(|entry| entry.name.ends_with(b"data/0")).unwrap();
    change(entry);
    refuses(&archive(&entries, &End::default()), words);
}

/// The small file with this end is refused.
#[track_caller]
fn refuses_end(end: End, words: &str) {
    refuses(&archive(&entries(), &end), words);
}

/// A state dict of one view of a storage of `len` floats, in an archive that has 24 bytes of it, is refused.
#[track_caller]
fn refuses_view(len: i64, offset: i64, shape: &[i64], strides: &[i64], words: &str) {
    let mut p = Pickle::state_dict();
    p.tensor("x", "FloatStorage", "0", len, offset, shape, strides);
    refuses(&torch(&p.finish(), &[("0", &[0; 24])]), words);
}

#[test]
fn refuses_truncations() {
    refuses_every_truncation(Format::Torch, &small_torch());
}

#[test]
fn survives_bit_flips() {
    let file = small_torch();
    let refused = survives_every_bit_flip(Format::Torch, &file);
    // Flips in dates, check sums, versions, names of memo entries and payload cannot be seen.
    assert!(refused > file.len() * 8 / 2, "only {refused} of {} refused", file.len() * 8);
}

#[test]
fn refuses_other_kinds_in_words() {
    refuses(b"", "truncated: zip archive");
    refuses(
        b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M",
        "the PyTorch format before 1.6 cannot be read: load it",
    );
    refuses(b"\x80\x02}q\0.", "a bare pickle cannot be read");
    refuses(b"GGUF\x03\0\0\0", "rename it to end in .gguf");
    refuses(b"\x89HDF\r\n\x1a\n", "wanted a zip archive");
    refuses(b"PK\x03\x04", "wanted its directory at the end");
    refuses(b"PK\x05\x06", "start of file");
    refuses(&[0; 100], "start of file");
}

#[test]
fn refuses_archives_of_other_things() {
    let (pickle, _) = small_state_dict();
    refuses(&archive(&[Entry::new("x/readme", b"")], &End::default()), "wanted an entry `*/data.pkl`, found none");
    refuses(&archive(&[Entry::new("data.pkl", b"")], &End::default()), "wanted an entry `*/data.pkl`");
    refuses(&archive(&[Entry::new("a/b/data.pkl", b"")], &End::default()), "wanted an entry `*/data.pkl`");
    let two = [Entry::new("a/data.pkl", &pickle), Entry::new("b/data.pkl", &pickle)];
    refuses(&archive(&two, &End::default()), "found several");
    let script = [Entry::new("a/data.pkl", &pickle), Entry::new("a/constants.pkl", b"")];
    refuses(&archive(&script, &End::default()), "a TorchScript archive cannot be read");
    let big = [Entry::new("a/data.pkl", &pickle), Entry::new("a/byteorder", b"big")];
    refuses(&archive(&big, &End::default()), "byte order `big` cannot be read");
    let mut long = Entry::new("a/data.pkl", &vec![b'N'; (32 << 20) + 1]);
    long.local_flags = 0;
    refuses(&archive(&[long], &End::default()), "data.pkl: wanted at most 33554432 bytes");
}

#[test]
fn refuses_what_is_not_stored_as_it_is() {
    refuses_entry(|e| e.method = 8, "compression method 8");
    refuses_entry(|e| e.method = 99, "compression method 99");
    refuses_entry(|e| e.flags |= 1, "no encryption");
    refuses_entry(|e| e.local_flags |= 1, "no encryption");
    refuses_entry(|e| e.flags |= 1 << 13, "no encryption");
    refuses_entry(|e| e.local_flags = 0x800, "flags 0x808 in its local header, found 0x800");
    // A bomb: 4 GB out of 24 bytes.
    refuses_entry(|e| e.len = u32::MAX - 1, "stored as they are");
    refuses_entry(|e| e.stored = 1, "stored as they are");
    refuses_entry(|e| e.attributes = 0o120_777 << 16, "a symbolic link");
    refuses_entry(|e| e.disk = 1, "one of several");
}

#[test]
fn refuses_names_that_lead_elsewhere() {
    for name in
        ["../x", "a/../../x", "/etc/passwd", "a//b", "a/", "./x", "a/./b", "a\\b", "C:x", "x\0y", "\u{1b}[2J", ""]
    {
        refuses_entry(
            |e| {
                e.name = name.into();
                e.local_name = name.into();
            },
            "a relative name without `..`",
        );
    }
    refuses_entry(|e| e.name = b"\xff\xfe".to_vec(), "a name in UTF-8");
    refuses_entry(|e| e.local_name = b"archive/data/9".to_vec(), "the same name in its local header");
    refuses_entry(|e| e.local_name = Vec::new(), "the same name in its local header");
}

#[test]
fn refuses_entries_that_overlap() {
    let name = "archive/data/1";
    refuses_entry(|e| (e.name, e.local_name) = (name.into(), name.into()), "one entry of this name");
    // Two entries of the directory point at one local header.
    let mut twins = entries();
    let twin = Entry { start: Some(0), ..Entry::streamed("archive/data.pkl", b"") };
    twins.push(twin);
    refuses(&archive(&twins, &End::default()), "");
    let mut twins = entries();
    twins[3].start = Some(0);
    refuses(&archive(&twins, &End::default()), "the next part starts");
    // An entry that claims the bytes of the one after it.
    refuses_entry(
        |e| {
            (e.len, e.stored, e.local_len) = (60, 60, 60);
            (e.flags, e.local_flags) = (0x800, 0x800);
        },
        "where the next part starts",
    );
    refuses_entry(|e| (e.len, e.stored) = (u32::MAX - 1, u32::MAX - 1), "where the next part starts");
    refuses_entry(|e| e.start = Some(u32::MAX - 1), "");
    refuses_entry(|e| e.start = Some(7), "where the next part starts");
    let mut shifted = entries();
    shifted[0].start = Some(7);
    refuses(&archive(&shifted, &End::default()), "wanted a local header");
}

#[test]
fn refuses_sizes_that_disagree() {
    refuses_entry(|e| (e.len, e.stored) = (20, 20), "wanted 20 bytes in the record after it");
    refuses_entry(|e| e.local_len = 23, "wanted 24 bytes in its local header, found 23 and 23");
    refuses_entry(|e| e.descriptor.clear(), "in the record after it");
    refuses_entry(|e| e.descriptor[8] ^= 1, "in the record after it");
    refuses_entry(|e| e.descriptor[4] ^= 1, "in the record after it");
    refuses_entry(|e| (e.flags, e.local_flags) = (0, 0), "wanted 24 bytes in its local header, found 0 and 0");
    refuses_entry(|e| (e.len, e.stored) = (u32::MAX, u32::MAX), "its length in a zip64 field, found none");
    refuses_entry(|e| e.start = Some(u32::MAX), "its length in a zip64 field, found none");
    refuses_entry(|e| e.extra = b"\x01\0\xff\xff".to_vec(), "extra fields within their header");
    refuses_entry(|e| e.extra = b"\x01\0\x01\0a\x01\0\x01\0a".to_vec(), "one zip64 field");
    let long =
        |sizes: [u64; 2]| [b"\x01\0\x10\0".as_slice(), &sizes[0].to_le_bytes(), &sizes[1].to_le_bytes()].concat();
    for size in [u64::MAX, u64::MAX - 100, 1 << 63, 1 << 40] {
        refuses_entry(
            |e| {
                (e.len, e.stored) = (u32::MAX, u32::MAX);
                e.extra = long([size, size]);
            },
            "where the next part starts",
        );
    }
    refuses_entry(
        |e| {
            (e.len, e.stored) = (u32::MAX, u32::MAX);
            e.extra = long([24, 23]);
        },
        "stored as they are",
    );
}

#[test]
fn refuses_directories_that_lie() {
    refuses_end(End { entries: Some(0), ..End::default() }, "wanted 0 entries, found more bytes");
    refuses_end(End { entries: Some(4), ..End::default() }, "wanted 4 entries, found more bytes");
    refuses_end(End { entries: Some(6), ..End::default() }, "wanted a whole entry, found its end");
    refuses_end(End { entries: Some(u16::MAX), ..End::default() }, "wanted a whole entry");
    refuses_end(End { directory_bytes: Some(10), ..End::default() }, "zip directory");
    refuses_end(End { directory_bytes: Some(u32::MAX), ..End::default() }, "zip directory: wanted at most");
    refuses_end(End { directory_start: Some(0), ..End::default() }, "zip directory: wanted an end at byte");
    refuses_end(End { directory_start: Some(u32::MAX), ..End::default() }, "zip directory: wanted an end at byte");
    refuses_end(End { disk: 1, ..End::default() }, "one of several");
    let mut trailing = small_torch();
    trailing.push(0);
    refuses(&trailing, "wanted its directory at the end");
    let mut prefixed = b"PK\x03\x04".to_vec();
    prefixed.extend(small_torch());
    refuses(&prefixed, "zip directory: wanted an end at byte");
}

#[test]
fn refuses_zip64_records_that_lie() {
    let with = |zip64: Zip64| End { zip64: Some(zip64), ..End::default() };
    refuses_end(with(Zip64 { entries: Some(6), ..Zip64::default() }), "two records that disagree");
    refuses_end(with(Zip64 { directory_bytes: Some(0), ..Zip64::default() }), "two records that disagree");
    refuses_end(with(Zip64 { directory_start: Some(1 << 40), ..Zip64::default() }), "two records that disagree");
    refuses_end(with(Zip64 { start: Some(u64::MAX), ..Zip64::default() }), "zip64 record: wanted an end at byte");
    refuses_end(with(Zip64 { start: Some(0), ..Zip64::default() }), "zip64 record: wanted an end at byte");
    for count in [1 << 17, 1 << 32, u64::MAX] {
        let end = End { entries: Some(u16::MAX), ..with(Zip64 { entries: Some(count), ..Zip64::default() }) };
        refuses_end(end, "zip archive: wanted at most 65536 entries");
    }
    for bytes in [1 << 40, u64::MAX] {
        let zip64 = Zip64 { directory_bytes: Some(bytes), ..Zip64::default() };
        refuses_end(End { directory_bytes: Some(u32::MAX), ..with(zip64) }, "zip directory: wanted at most");
        let zip64 = Zip64 { directory_start: Some(bytes), ..Zip64::default() };
        refuses_end(End { directory_start: Some(u32::MAX), ..with(zip64) }, "zip directory: wanted an end at byte");
    }
}

#[test]
fn refuses_views_outside_of_their_storage() {
    refuses_view(
        6,
        1,
        &[6],
        &[1],
        "tensor `x`: wanted a view inside of 6 values, found offset 1, shape [6], strides [1]",
    );
    refuses_view(6, 0, &[7], &[1], "a view inside of 6 values");
    refuses_view(6, 7, &[], &[], "a view inside of 6 values");
    refuses_view(6, 7, &[0], &[1], "a view inside of 6 values");
    refuses_view(6, 0, &[2, 3], &[4, 1], "a view inside of 6 values");
    refuses_view(6, i64::MAX, &[1], &[1], "a view inside of 6 values");
    refuses_view(6, 0, &[2], &[i64::MAX], "a view inside of 6 values");
    refuses_view(6, 0, &[3, 3], &[i64::MAX, i64::MAX], "tensor `x`: wanted every element at its own place");
    refuses_view(6, 0, &[i64::MAX], &[1], "a size that fits in memory");
    refuses_view(6, 0, &[1 << 32, 1 << 32], &[0, 0], "a size that fits in memory");
}

#[test]
fn refuses_views_that_read_an_element_twice() {
    // A terabyte out of 24 bytes.
    refuses_view(6, 0, &[1 << 19, 1 << 19], &[0, 0], "an expanded view, save a copy of it");
    refuses_view(6, 0, &[2, 3], &[0, 1], "every element at its own place");
    refuses_view(6, 0, &[2, 3], &[1, 1], "every element at its own place");
    refuses_view(6, 0, &[2, 3], &[2, 1], "every element at its own place");
}

#[test]
fn refuses_storages_that_lie() {
    refuses_view(5, 0, &[5], &[1], "tensor `x`: wanted storage `data/0` of 5 f32 values, found 24 bytes");
    refuses_view(7, 0, &[6], &[1], "storage `data/0` of 7 f32 values");
    refuses_view(i64::MAX, 0, &[6], &[1], "storage `data/0`");
    for key in ["1", "", "../0", "0/", "00", "\u{1b}[2J"] {
        let mut p = Pickle::state_dict();
        p.tensor("x", "FloatStorage", key, 6, 0, &[6], &[1]);
        refuses(&torch(&p.finish(), &[("0", &[0; 24])]), "in the archive, found no such entry");
    }
}

#[test]
fn refuses_names_that_stand_twice() {
    let mut p = Pickle::state_dict();
    p.tensor("x", "FloatStorage", "0", 6, 0, &[6], &[1]);
    p.tensor("x", "FloatStorage", "0", 6, 0, &[6], &[1]);
    refuses(&torch(&p.finish(), &[("0", &[0; 24])]), "tensor `x`: wanted one tensor of this name, found two");
}
