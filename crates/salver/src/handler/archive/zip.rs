//! A tree as a zip archive: content as it is (method 0), so that the length follows from names and sizes alone and every byte
//! has its place before any file is read (APPNOTE 6.3.9, its sections below).
//!
//! Checksums stand behind the content (§4.3.9) and in the directory at the end. A part that begins in the middle therefore
//! reads what lies before it once more, but only if the part holds a checksum of it.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use crc32fast::Hasher;

use super::tree::{Item, Tree};
use super::{PIECE, Source, open};
use crate::civil::Civil;
use crate::handler::files::resolver::Root;

/// The archive on its way.
pub(super) struct Zip {
    root: Arc<Root>,
    tree: Tree,
    /// The bytes that are sent.
    wanted: Range<u64>,
    /// The place of the next byte that is made, whether it is sent or not.
    place: u64,
    at: At,
}

/// What comes next; numbers are those of items.
enum At {
    Local(usize),
    Content(Reading),
    /// What was passed over may have to be read for its checksum.
    Checksums(usize),
    Checksum(Reading),
    /// An entry of the directory, and where its item begins.
    Central(usize, u64),
    End,
    Done,
}

/// A file that is being read.
struct Reading {
    number: usize,
    file: File,
    at: u64,
    size: u64,
    /// `None` where nobody wants it.
    hasher: Option<Hasher>,
}

impl Zip {
    pub(super) fn new(root: Arc<Root>, tree: Tree, wanted: Range<u64>) -> Self {
        Self { root, tree, wanted, place: 0, at: At::Local(0) }
    }

    /// The length of the whole archive, in bytes.
    pub(super) fn length(tree: &Tree) -> u64 {
        let directory = Directory::of(tree);
        directory.offset + directory.length + directory.end(tree.items.len()).len() as u64
    }

    /// Adds what is wanted of `bytes`, which stand at the present place.
    fn put(&mut self, out: &mut Vec<u8>, bytes: &[u8]) {
        let within = |place: u64| {
            usize::try_from(place.saturating_sub(self.place)).unwrap_or(usize::MAX).min(bytes.len())
        };
        let (start, end) = (within(self.wanted.start), within(self.wanted.end));
        out.extend_from_slice(bytes.get(start..end).unwrap_or_default());
        self.place += bytes.len() as u64;
    }

    /// The header of an item; then its content, or what comes behind it if none of it is wanted.
    fn local(&mut self, out: &mut Vec<u8>, number: usize) -> io::Result<At> {
        let Some(item) = self.tree.items.get(number) else { return Ok(At::Checksums(0)) };
        let header = local_header(self.tree.name(item), item);
        let Some(size) = item.facts.map(|facts| facts.size) else {
            self.put(out, &header);
            return Ok(At::Local(number + 1));
        };
        let behind = self.place + (header.len() as u64) + size;
        let next = behind + descriptor_length(item);
        if next <= self.wanted.start {
            self.place = next;
            return Ok(At::Local(number + 1));
        }
        let file = open(&self.root, &self.tree, item)?;
        self.put(out, &header);
        let hasher = (self.wanted.end > behind).then(Hasher::new);
        // Nobody needs what lies before the part if its checksum is not wanted.
        let at = if hasher.is_some() { 0 } else { self.wanted.start.saturating_sub(self.place).min(size) };
        self.place += at;
        Ok(At::Content(Reading { number, file, at, size, hasher }))
    }

    fn content(&mut self, out: &mut Vec<u8>, mut reading: Reading) -> io::Result<At> {
        if let Some(piece) = reading.piece()? {
            self.put(out, &piece);
            return Ok(At::Content(reading));
        }
        let number = reading.number;
        if let Some(item) = self.tree.items.get_mut(number) {
            item.crc = reading.hasher.map(Hasher::finalize);
            let descriptor = descriptor(item);
            self.put(out, &descriptor);
        }
        Ok(At::Local(number + 1))
    }

    /// The next item whose checksum is not known; then the directory.
    fn checksums(&self, from: usize) -> io::Result<At> {
        let unknown = |item: &Item| item.facts.is_some() && item.crc.is_none();
        let next = self.tree.items.iter().enumerate().skip(from).find(|(_, item)| unknown(item));
        let Some((number, item)) = next else { return Ok(At::Central(0, 0)) };
        let size = item.facts.map_or(0, |facts| facts.size);
        let file = open(&self.root, &self.tree, item)?;
        Ok(At::Checksum(Reading { number, file, at: 0, size, hasher: Some(Hasher::new()) }))
    }

    fn checksum(&mut self, mut reading: Reading) -> io::Result<At> {
        if reading.piece()?.is_some() {
            return Ok(At::Checksum(reading));
        }
        if let Some(item) = self.tree.items.get_mut(reading.number) {
            item.crc = reading.hasher.map(Hasher::finalize);
        }
        Ok(At::Checksums(reading.number + 1))
    }

    fn central(&mut self, out: &mut Vec<u8>, number: usize, offset: u64) -> At {
        let Some(item) = self.tree.items.get(number) else { return At::End };
        let name = self.tree.name(item);
        let entry = central_header(name, item, offset);
        let next = offset + item_length(name, item);
        self.put(out, &entry);
        At::Central(number + 1, next)
    }
}

impl Source for Zip {
    fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut out = Vec::new();
        // Bounded also where much is passed over or read for its checksum alone: a client may have left meanwhile.
        for _ in 0..STEPS {
            if out.len() >= PIECE {
                break;
            }
            if self.place >= self.wanted.end {
                self.at = At::Done;
            }
            self.at = match std::mem::replace(&mut self.at, At::Done) {
                At::Local(number) => self.local(&mut out, number)?,
                At::Content(reading) => self.content(&mut out, reading)?,
                At::Checksums(from) => self.checksums(from)?,
                At::Checksum(reading) => self.checksum(reading)?,
                At::Central(number, offset) => self.central(&mut out, number, offset),
                At::End => {
                    let end = Directory::of(&self.tree).end(self.tree.items.len());
                    self.put(&mut out, &end);
                    At::Done
                }
                At::Done => return Ok((!out.is_empty()).then_some(out)),
            };
        }
        Ok(Some(out))
    }
}

impl Reading {
    /// The next piece; `None` at the end.
    fn piece(&mut self) -> io::Result<Option<Vec<u8>>> {
        let want = usize::try_from(self.size - self.at).unwrap_or(usize::MAX).min(PIECE);
        if want == 0 {
            return Ok(None);
        }
        let mut piece = vec![0; want];
        self.file.read_exact_at(&mut piece, self.at)?;
        self.at += want as u64;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&piece);
        }
        Ok(Some(piece))
    }
}

/// Where the directory is (§4.3.12).
struct Directory {
    offset: u64,
    length: u64,
}

impl Directory {
    fn of(tree: &Tree) -> Self {
        let mut directory = Self { offset: 0, length: 0 };
        for item in &tree.items {
            let name = tree.name(item);
            directory.length += central_header(name, item, directory.offset).len() as u64;
            directory.offset += item_length(name, item);
        }
        directory
    }

    /// What ends the archive (§4.3.14 to §4.3.16).
    fn end(&self, items: usize) -> Vec<u8> {
        let items = items as u64;
        let mut end = Vec::new();
        if items >= u64::from(u16::MAX) || self.offset >= LARGE || self.length >= LARGE {
            end.extend(b"PK\x06\x06");
            end.extend(44_u64.to_le_bytes());
            end.extend([45, 3, 45, 0]);
            end.extend([0; 8]); // the one disk
            for value in [items, items, self.length, self.offset] {
                end.extend(value.to_le_bytes());
            }
            end.extend(b"PK\x06\x07\0\0\0\0");
            end.extend((self.offset + self.length).to_le_bytes());
            end.extend(1_u32.to_le_bytes());
        }
        let count = u16::try_from(items).unwrap_or(u16::MAX).to_le_bytes();
        end.extend(b"PK\x05\x06\0\0\0\0");
        end.extend([count, count].as_flattened());
        end.extend(small(self.length).to_le_bytes());
        end.extend(small(self.offset).to_le_bytes());
        end.extend([0; 2]);
        end
    }
}

/// §4.3.7; the checksum and the sizes of a file follow behind its content.
fn local_header(name: &[u8], item: &Item) -> Vec<u8> {
    let mut extra = unix_time(item);
    let mut size = 0_u32;
    if is_large(item) {
        size = u32::MAX;
        extra.extend([1, 0, 16, 0]); // §4.5.3
        extra.extend([0; 16]);
    }
    let mut header = b"PK\x03\x04".to_vec();
    common(&mut header, name, item);
    header.extend([0; 4]);
    header.extend(size.to_le_bytes());
    header.extend(size.to_le_bytes());
    header.extend(length_of(name).to_le_bytes());
    header.extend(length_of(&extra).to_le_bytes());
    header.extend(name);
    header.append(&mut extra);
    header
}

/// §4.3.9.
fn descriptor(item: &Item) -> Vec<u8> {
    let size = item.facts.map_or(0, |facts| facts.size);
    let mut descriptor = b"PK\x07\x08".to_vec();
    descriptor.extend(item.crc.unwrap_or(0).to_le_bytes());
    for _ in 0..2 {
        match is_large(item) {
            true => descriptor.extend(size.to_le_bytes()),
            false => descriptor.extend(small(size).to_le_bytes()),
        }
    }
    descriptor
}

fn descriptor_length(item: &Item) -> u64 {
    match item.facts {
        None => 0,
        Some(_) if is_large(item) => 24,
        Some(_) => 16,
    }
}

/// §4.3.12.
fn central_header(name: &[u8], item: &Item, offset: u64) -> Vec<u8> {
    let size = item.facts.map_or(0, |facts| facts.size);
    let mut large = Vec::new();
    if is_large(item) {
        large.extend(size.to_le_bytes());
        large.extend(size.to_le_bytes());
    }
    if offset >= LARGE {
        large.extend(offset.to_le_bytes());
    }
    let mut extra = unix_time(item);
    if !large.is_empty() {
        extra.extend([1, 0]);
        extra.extend(length_of(&large).to_le_bytes());
        extra.append(&mut large);
    }
    let mode: u32 = if item.facts.is_some() { 0o100_644 } else { 0o040_755 };
    let mut header = b"PK\x01\x02\x2d\x03".to_vec(); // made by 4.5 on Unix
    common(&mut header, name, item);
    header.extend(item.crc.unwrap_or(0).to_le_bytes());
    header.extend(if is_large(item) { u32::MAX } else { small(size) }.to_le_bytes());
    header.extend(if is_large(item) { u32::MAX } else { small(size) }.to_le_bytes());
    header.extend(length_of(name).to_le_bytes());
    header.extend(length_of(&extra).to_le_bytes());
    header.extend([0; 6]); // no comment, the first disk, binary
    header.extend((mode << 16 | if item.facts.is_some() { 0 } else { 0x10 }).to_le_bytes());
    header.extend(small(offset).to_le_bytes());
    header.extend(name);
    header.append(&mut extra);
    header
}

/// What both headers have: the version needed, flags, method, time.
fn common(header: &mut Vec<u8>, name: &[u8], item: &Item) {
    let mut flags = 0_u16;
    if item.facts.is_some() {
        flags |= 1 << 3; // the checksum is behind the content
    }
    if str::from_utf8(name).is_ok() {
        flags |= 1 << 11; // the name is UTF-8 (appendix D)
    }
    header.extend([45, 0]);
    header.extend(flags.to_le_bytes());
    header.extend([0; 2]);
    header.extend(dos_time(item.modified));
}

/// §4.4.6: in UTC, for the zone of whoever unpacks is not known; `unix_time` is exact.
fn dos_time(seconds: i64) -> [u8; 4] {
    let time = Civil::of(seconds.max(FIRST_DOS_SECOND));
    let year = u32::try_from(time.year - 1980).unwrap_or(u32::MAX).min(127);
    let date = year << 9 | u32::from(time.month) << 5 | u32::from(time.day);
    let clock = u32::from(time.hour) << 11 | u32::from(time.minute) << 5 | u32::from(time.second / 2);
    (date << 16 | clock).to_le_bytes()
}

/// The extended timestamp that every unpacker on Unix knows (Info-ZIP's 0x5455).
fn unix_time(item: &Item) -> Vec<u8> {
    let time = i32::try_from(item.modified).unwrap_or(if item.modified < 0 { i32::MIN } else { i32::MAX });
    let mut field = b"UT\x05\0\x01".to_vec();
    field.extend(time.to_le_bytes());
    field
}

/// The length of an item with its header and checksum.
fn item_length(name: &[u8], item: &Item) -> u64 {
    let header = 30 + name.len() as u64 + 9 + if is_large(item) { 20 } else { 0 };
    header + item.facts.map_or(0, |facts| facts.size) + descriptor_length(item)
}

fn is_large(item: &Item) -> bool {
    item.facts.is_some_and(|facts| facts.size >= LARGE)
}

/// A value, or what says that it stands elsewhere.
fn small(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

fn length_of(bytes: &[u8]) -> u16 {
    u16::try_from(bytes.len()).expect("a path has at most 4096 bytes, the rest is ours")
}

/// From here on, 32 bits do not hold a value (§4.4.1.4).
const LARGE: u64 = 0xFFFF_FFFF;

/// 1980-01-01, where the time of DOS begins.
const FIRST_DOS_SECOND: i64 = 315_532_800;

/// How many steps are made at once.
const STEPS: usize = 64;
