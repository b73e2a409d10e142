//! A tree as a tar archive: POSIX ustar blocks, with GNU's records for long names and large files.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use tar::{Builder, EntryType, Header};

use super::tree::{Item, Tree};
use super::{PIECE, Source, open};
use crate::handler::files::resolver::Root;

/// The archive on its way.
pub(super) struct Tar {
    root: Arc<Root>,
    tree: Tree,
    at: At,
}

/// What comes next.
enum At {
    Header(usize),
    /// The content of the item with this number, from an offset on.
    Content(usize, File, u64),
    Done,
}

impl Tar {
    pub(super) fn new(root: Arc<Root>, tree: Tree) -> Self {
        Self { root, tree, at: At::Header(0) }
    }
}

impl Source for Tar {
    fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut out = Vec::new();
        while out.len() < PIECE {
            self.at = match std::mem::replace(&mut self.at, At::Done) {
                At::Done => return Ok((!out.is_empty()).then_some(out)),
                At::Header(number) => match self.tree.items.get(number) {
                    None => {
                        out.resize(out.len() + 2 * BLOCK, 0);
                        At::Done
                    }
                    Some(item) => {
                        let file =
                            item.facts.is_some().then(|| open(&self.root, &self.tree, item)).transpose()?;
                        out.append(&mut header(self.tree.name(item), item)?);
                        match file {
                            Some(file) => At::Content(number, file, 0),
                            None => At::Header(number + 1),
                        }
                    }
                },
                At::Content(number, file, at) => {
                    let size =
                        self.tree.items.get(number).and_then(|item| item.facts).map_or(0, |facts| facts.size);
                    match usize::try_from(size - at).unwrap_or(usize::MAX).min(PIECE) {
                        0 => {
                            // By the file's size, not by what is in this piece: the content may have ended in the one before.
                            let rest = usize::try_from(size % BLOCK as u64).unwrap_or(0);
                            out.resize(out.len() + (BLOCK - rest) % BLOCK, 0);
                            At::Header(number + 1)
                        }
                        want => {
                            let start = out.len();
                            out.resize(start + want, 0);
                            file.read_exact_at(out.get_mut(start..).unwrap_or_default(), at)?;
                            At::Content(number, file, at + want as u64)
                        }
                    }
                }
            };
        }
        Ok(Some(out))
    }
}

/// The blocks that stand before the content.
fn header(name: &[u8], item: &Item) -> io::Result<Vec<u8>> {
    let mut header = Header::new_gnu();
    header.set_size(0);
    header.set_mtime(u64::try_from(item.modified).unwrap_or(0));
    header.set_mode(if item.facts.is_some() { 0o644 } else { 0o755 });
    header.set_entry_type(if item.facts.is_some() { EntryType::Regular } else { EntryType::Directory });
    let size = item.facts.map_or(0, |facts| facts.size);
    header.set_size(size);
    let mut builder = Builder::new(Vec::new());
    builder.append_data(&mut header, Path::new(OsStr::from_bytes(name)), io::empty())?;
    let mut blocks = builder.into_inner()?;
    blocks.truncate(blocks.len() - 2 * BLOCK); // what ends an archive
    Ok(blocks)
}

/// A tar consists of these, in bytes.
const BLOCK: usize = 512;
