//! The entries of a folder, gathered into one buffer.

use rustix::fs::{AtFlags, Dir, DirEntry, FileType, Stat, statat};
use rustix::io::Errno;

use super::Folder;
use crate::error::Error;
use crate::handler::files::resolver::Refusal;

/// The entries of a folder: about 30 bytes each beside the name.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    names: Vec<u8>,
    rows: Vec<Packed>,
}

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row<'a> {
    /// Its name as it is, not always UTF-8.
    pub(crate) name: &'a [u8],
    /// What it is, or what the link leads to.
    pub(crate) kind: Kind,
    pub(crate) is_link: bool,
    /// Length in bytes, of a file.
    pub(crate) size: u64,
    /// Seconds since 1970 of the last change of its content.
    pub(crate) modified: i64,
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Folder,
    /// A FIFO, a socket, a device, or a link to nothing: listed as http.server does, and not served.
    Other,
}

#[derive(Clone, Copy, Debug)]
struct Packed {
    start: u32,
    length: u16,
    kind: Kind,
    is_link: bool,
    size: u64,
    modified: i64,
}

/// A folder that is being read, in no order, some entries at a time.
#[derive(Debug)]
pub(crate) struct Reading {
    entries: Dir,
    rows: Rows,
}

/// Reads a folder at once.
///
/// # Errors
/// 404 for a folder that may not be read.
pub(crate) fn gather(folder: &Folder) -> Result<Rows, Error> {
    let mut reading = Reading::open(folder)?;
    reading.read(folder, usize::MAX)?;
    Ok(reading.finish())
}

impl Reading {
    /// Begins to read a folder.
    ///
    /// # Errors
    /// 404 for a folder that may not be read.
    pub(crate) fn open(folder: &Folder) -> Result<Self, Error> {
        let entries = Dir::read_from(&folder.folder).map_err(refused)?;
        Ok(Self { entries, rows: Rows::default() })
    }

    /// Reads on, at most `most` entries; `true` at the end.
    ///
    /// # Errors
    /// 404 for a folder that may not be read.
    pub(crate) fn read(&mut self, folder: &Folder, most: usize) -> Result<bool, Error> {
        for _ in 0..most {
            let Some(entry) = self.entries.next() else { return Ok(true) };
            self.rows.add(folder, &entry.map_err(refused)?);
        }
        Ok(false)
    }

    /// What was read.
    pub(crate) fn finish(self) -> Rows {
        let mut rows = self.rows;
        rows.rows.shrink_to_fit();
        rows.names.shrink_to_fit();
        rows
    }
}

fn refused(error: Errno) -> Error {
    match error {
        // Open for searching alone.
        Errno::BADF => Refusal::Unreadable.into(),
        error => Refusal::from(error).into(),
    }
}

impl Rows {
    /// Takes an entry, if it is one to be shown.
    fn add(&mut self, folder: &Folder, entry: &DirEntry) {
        let name = entry.file_name().to_bytes();
        if matches!(name, b"." | b"..") || name.starts_with(b".") && !folder.hidden {
            return;
        }
        // An entry that is gone by now is none.
        let Ok(stat) = statat(&folder.folder, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW) else { return };
        if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
            self.push(name, &stat, false);
            return;
        }
        let Some(path) = folder.path.join(name) else { return };
        match folder.root.look_behind(&path) {
            Ok(target) => self.push(name, &target, true),
            Err(Refusal::Link) => {} // not followed, so not shown
            Err(_) => self.push(name, &stat, true),
        }
    }

    /// The entry with this number.
    pub(crate) fn row(&self, number: usize) -> Option<Row<'_>> {
        self.rows.get(number).map(|row| unpack(&self.names, row))
    }

    /// All entries.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(|row| unpack(&self.names, row))
    }

    /// Sorts the entries; equal ones may change places.
    pub(crate) fn sort_by(&mut self, compare: impl Fn(&Row<'_>, &Row<'_>) -> std::cmp::Ordering) {
        let names = &self.names;
        self.rows.sort_unstable_by(|a, b| compare(&unpack(names, a), &unpack(names, b)));
    }

    #[allow(clippy::unnecessary_cast)] // the fields' types differ between machines
    fn push(&mut self, name: &[u8], stat: &Stat, is_link: bool) {
        // The kernel's names have up to 255 bytes; 4 GiB of them are not listed.
        let (Ok(start), Ok(length)) = (u32::try_from(self.names.len()), u16::try_from(name.len())) else {
            return;
        };
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Kind::File,
            FileType::Directory => Kind::Folder,
            _ => Kind::Other,
        };
        self.names.extend_from_slice(name);
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        self.rows.push(Packed { start, length, kind, is_link, size, modified: stat.st_mtime as i64 });
    }
}

fn unpack<'a>(names: &'a [u8], row: &Packed) -> Row<'a> {
    let start = row.start as usize;
    let name = names.get(start..start + usize::from(row.length)).unwrap_or_default();
    Row { name, kind: row.kind, is_link: row.is_link, size: row.size, modified: row.modified }
}
