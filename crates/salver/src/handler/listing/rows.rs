//! The entries of a folder, gathered into one buffer.
//!
//! Names and kinds come from reading the folder; sizes and times cost a system call an entry, and are looked up when somebody
//! needs them: the first rows of a large folder do not wait for the last ones.

use std::ops::Range;

use rustix::fs::{AtFlags, Dir, DirEntry, FileType, Stat, statat};
use rustix::io::Errno;

use super::Folder;
use crate::error::Error;
use crate::handler::files::resolver::Refusal;

/// The entries of a folder: 24 bytes each beside the name.
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
    length: u8,
    kind: Kind,
    is_link: bool,
    /// Whether size and time have been looked up.
    known: bool,
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
    let mut rows = reading.finish();
    rows.know(folder, 0..rows.len());
    Ok(rows)
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

impl Kind {
    fn of(kind: FileType) -> Self {
        match kind {
            FileType::RegularFile => Self::File,
            FileType::Directory => Self::Folder,
            _ => Self::Other,
        }
    }
}

impl Rows {
    /// Takes an entry, if it is one to be shown.
    fn add(&mut self, folder: &Folder, entry: &DirEntry) {
        let name = entry.file_name().to_bytes();
        if matches!(name, b"." | b"..") || name.starts_with(b".") && !folder.hidden {
            return;
        }
        if !matches!(entry.file_type(), FileType::Symlink | FileType::Unknown) {
            self.push(name, Kind::of(entry.file_type()), false);
            return;
        }
        // An entry that is gone by now is none.
        let Ok(stat) = statat(&folder.folder, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW) else { return };
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind != FileType::Symlink {
            self.push(name, Kind::of(kind), false);
            return;
        }
        let Some(path) = folder.path.join(name) else { return };
        match folder.root.look_behind(&path) {
            Ok(target) => {
                self.push(name, Kind::of(FileType::from_raw_mode(target.st_mode)), true);
                self.learn(self.rows.len() - 1, &target);
            }
            Err(Refusal::Link) => {} // not followed, so not shown
            Err(_) => {
                self.push(name, Kind::Other, true);
                self.learn(self.rows.len() - 1, &stat);
            }
        }
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Looks up sizes and times of the entries with these numbers, where they are not known; one that has gone has none.
    pub(crate) fn know(&mut self, folder: &Folder, numbers: Range<usize>) {
        for number in numbers.start..numbers.end.min(self.rows.len()) {
            let Some(row) = self.rows.get(number).filter(|row| !row.known) else { continue };
            let name = unpack(&self.names, row).name;
            if let Ok(stat) = statat(&folder.folder, name, AtFlags::SYMLINK_NOFOLLOW) {
                self.learn(number, &stat);
            }
        }
    }

    /// The bytes of all files together, if all of them are known.
    pub(crate) fn bytes(&self) -> Option<u64> {
        self.rows.iter().try_fold(0_u64, |sum, row| match row.kind {
            Kind::File => row.known.then(|| sum.saturating_add(row.size)),
            Kind::Folder | Kind::Other => Some(sum),
        })
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

    fn push(&mut self, name: &[u8], kind: Kind, is_link: bool) {
        // The kernel's names have up to 255 bytes; 4 GiB of them are not listed.
        let (Ok(start), Ok(length)) = (u32::try_from(self.names.len()), u8::try_from(name.len())) else {
            return;
        };
        self.names.extend_from_slice(name);
        self.rows.push(Packed { start, length, kind, is_link, known: false, size: 0, modified: 0 });
    }

    #[allow(clippy::unnecessary_cast)] // the fields' types differ between machines
    fn learn(&mut self, number: usize, stat: &Stat) {
        if let Some(row) = self.rows.get_mut(number) {
            row.known = true;
            row.size = u64::try_from(stat.st_size).unwrap_or(0);
            row.modified = stat.st_mtime as i64;
        }
    }
}

fn unpack<'a>(names: &'a [u8], row: &Packed) -> Row<'a> {
    let start = row.start as usize;
    let name = names.get(start..start + usize::from(row.length)).unwrap_or_default();
    Row { name, kind: row.kind, is_link: row.is_link, size: row.size, modified: row.modified }
}
