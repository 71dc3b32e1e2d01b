//! A writer of zip archives in which every field can be made to lie.

/// One entry: what each of its two headers says, and its bytes.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) name: Vec<u8>,
    pub(crate) local_name: Vec<u8>,
    pub(crate) data: Vec<u8>,
    pub(crate) flags: u16,
    pub(crate) local_flags: u16,
    pub(crate) method: u16,
    pub(crate) stored: u32,
    pub(crate) len: u32,
    pub(crate) local_len: u32,
    pub(crate) extra: Vec<u8>,
    pub(crate) local_extra: Vec<u8>,
    pub(crate) attributes: u32,
    pub(crate) disk: u16,
    /// Written after the data.
    pub(crate) descriptor: Vec<u8>,
    /// Overrides where the central directory says the local header is.
    pub(crate) start: Option<u32>,
}

impl Entry {
    pub(crate) fn new(name: &str, data: &[u8]) -> Self {
        let len = data.len() as u32;
        Self {
            name: name.into(),
            local_name: name.into(),
            data: data.to_vec(),
            flags: 0,
            local_flags: 0,
            method: 0,
            stored: len,
            len,
            local_len: len,
            extra: Vec::new(),
            local_extra: Vec::new(),
            attributes: 0,
            disk: 0,
            descriptor: Vec::new(),
            start: None,
        }
    }

    /// With sizes after the data and none in the local header, as torch writes.
    pub(crate) fn streamed(name: &str, data: &[u8]) -> Self {
        let mut entry = Self::new(name, data);
        entry.flags = 0x808;
        entry.local_flags = 0x808;
        entry.local_len = 0;
        entry.descriptor = b"PK\x07\x08\0\0\0\0".to_vec();
        entry.descriptor.extend_from_slice(&(data.len() as u32).to_le_bytes().repeat(2));
        entry
    }
}

/// What the end of the archive says; `None` is the truth.
#[derive(Clone, Default)]
pub(crate) struct End {
    pub(crate) entries: Option<u16>,
    pub(crate) directory_bytes: Option<u32>,
    pub(crate) directory_start: Option<u32>,
    pub(crate) disk: u16,
    pub(crate) comment: Vec<u8>,
    pub(crate) zip64: Option<Zip64>,
}

/// A zip64 record; `None` is the truth.
#[derive(Clone, Default)]
pub(crate) struct Zip64 {
    pub(crate) entries: Option<u64>,
    pub(crate) directory_bytes: Option<u64>,
    pub(crate) directory_start: Option<u64>,
    pub(crate) start: Option<u64>,
}

fn u16s(out: &mut Vec<u8>, values: &[u16]) {
    values.iter().for_each(|x| out.extend_from_slice(&x.to_le_bytes()));
}

fn u32s(out: &mut Vec<u8>, values: &[u32]) {
    values.iter().for_each(|x| out.extend_from_slice(&x.to_le_bytes()));
}

fn u64s(out: &mut Vec<u8>, values: &[u64]) {
    values.iter().for_each(|x| out.extend_from_slice(&x.to_le_bytes()));
}

pub(crate) fn archive(entries: &[Entry], end: &End) -> Vec<u8> {
    let mut file = Vec::new();
    let mut directory = Vec::new();
    for entry in entries {
        let start = entry.start.unwrap_or(file.len() as u32);
        directory.extend_from_slice(b"PK\x01\x02");
        u16s(&mut directory, &[0, 0, entry.flags, entry.method, 0, 0]);
        u32s(&mut directory, &[0, entry.stored, entry.len]);
        u16s(&mut directory, &[entry.name.len() as u16, entry.extra.len() as u16, 0, entry.disk, 0]);
        u32s(&mut directory, &[entry.attributes, start]);
        directory.extend_from_slice(&entry.name);
        directory.extend_from_slice(&entry.extra);

        file.extend_from_slice(b"PK\x03\x04");
        u16s(&mut file, &[0, entry.local_flags, entry.method, 0, 0]);
        u32s(&mut file, &[0, entry.local_len, entry.local_len]);
        u16s(&mut file, &[entry.local_name.len() as u16, entry.local_extra.len() as u16]);
        file.extend_from_slice(&entry.local_name);
        file.extend_from_slice(&entry.local_extra);
        file.extend_from_slice(&entry.data);
        file.extend_from_slice(&entry.descriptor);
    }
    let (start, bytes) = (file.len() as u64, directory.len() as u64);
    file.extend_from_slice(&directory);
    if let Some(zip64) = &end.zip64 {
        let at = file.len() as u64;
        let count = zip64.entries.unwrap_or(entries.len() as u64);
        file.extend_from_slice(b"PK\x06\x06");
        u64s(&mut file, &[44]);
        u16s(&mut file, &[45, 45]);
        u32s(&mut file, &[0, 0]);
        u64s(&mut file, &[count, count]);
        u64s(&mut file, &[zip64.directory_bytes.unwrap_or(bytes), zip64.directory_start.unwrap_or(start)]);
        file.extend_from_slice(b"PK\x06\x07");
        u32s(&mut file, &[0]);
        u64s(&mut file, &[zip64.start.unwrap_or(at)]);
        u32s(&mut file, &[1]);
    }
    let count = end.entries.unwrap_or(entries.len() as u16);
    file.extend_from_slice(b"PK\x05\x06");
    u16s(&mut file, &[end.disk, end.disk, count, count]);
    u32s(&mut file, &[end.directory_bytes.unwrap_or(bytes as u32), end.directory_start.unwrap_or(start as u32)]);
    u16s(&mut file, &[end.comment.len() as u16]);
    file.extend_from_slice(&end.comment);
    file
}

/// The entries of a PyTorch file.
pub(crate) fn torch_entries(pickle: &[u8], storages: &[(&str, &[u8])]) -> Vec<Entry> {
    let mut entries =
        vec![Entry::streamed("archive/data.pkl", pickle), Entry::streamed("archive/byteorder", b"little")];
    entries.extend(storages.iter().map(|(key, data)| Entry::streamed(&format!("archive/data/{key}"), data)));
    entries.push(Entry::streamed("archive/version", b"3\n"));
    entries
}

pub(crate) fn torch(pickle: &[u8], storages: &[(&str, &[u8])]) -> Vec<u8> {
    archive(&torch_entries(pickle, storages), &End::default())
}
