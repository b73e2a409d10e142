//! What is in a folder and the folders below it, as a list.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use rustix::fs::fstat;
use sha2::{Digest as _, Sha256};

use crate::error::Error;
use crate::handler::files::facts::Facts;
use crate::handler::files::place::Identity;
use crate::handler::files::resolver::{Entry, Refusal, Root};
use crate::handler::listing::Folder;
use crate::handler::listing::rows::{self, Kind};
use crate::rfc::etag::ETag;
use crate::rfc::path::SafePath;

/// The files and folders below a folder, each folder before what is in it.
#[derive(Debug)]
pub(super) struct Tree {
    top: SafePath,
    names: Vec<u8>,
    pub(super) items: Vec<Item>,
}

/// A file or folder.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item {
    start: usize,
    length: usize,
    /// Of a file, as it was when it was found.
    pub(super) facts: Option<Facts>,
    /// Seconds since 1970.
    pub(super) modified: i64,
    /// The checksum of its content, once that was read.
    pub(super) crc: Option<u32>,
}

impl Tree {
    /// Looks at everything below `folder`.
    ///
    /// # Errors
    /// A folder that cannot be read at the top; more than a million entries.
    pub(super) fn gather(folder: Folder) -> Result<Self, Error> {
        let mut tree = Self { top: folder.path.clone(), names: Vec::new(), items: Vec::new() };
        let (root, hidden) = (folder.root.clone(), folder.hidden);
        tree.walk(&root, hidden, folder, &mut Vec::new(), &mut Vec::new())?;
        Ok(tree)
    }

    /// The name of an item below the top; a folder's ends in a slash.
    pub(super) fn name(&self, item: &Item) -> &[u8] {
        self.names.get(item.start..item.start + item.length).unwrap_or_default()
    }

    /// The place of an item below the root.
    pub(super) fn path(&self, item: &Item) -> Option<SafePath> {
        let names = self.name(item).split(|byte| *byte == b'/').filter(|name| !name.is_empty());
        names.into_iter().try_fold(self.top.clone(), |path, name| path.join(name))
    }

    /// A strong tag: the bytes of an archive follow from the names and the identities of the files.
    pub(super) fn etag(&self) -> ETag {
        let mut hash = Sha256::new();
        for item in &self.items {
            hash.update(self.name(item));
            hash.update(b"\0");
            match &item.facts {
                Some(facts) => hash.update(facts.tag()),
                None => hash.update(item.modified.to_le_bytes()),
            }
            hash.update(b"\0");
        }
        let tag = URL_SAFE_NO_PAD.encode(hash.finalize());
        ETag::strong(tag.as_bytes()).expect("letters, digits, dashes and underscores are a tag")
    }

    /// Adds what is in `folder`, whose name below the top is `prefix` with its slash.
    ///
    /// `above` are the folders we are in: a link back to one of them is not gone through again.
    fn walk(
        &mut self,
        root: &Arc<Root>,
        hidden: bool,
        folder: Folder,
        prefix: &mut Vec<u8>,
        above: &mut Vec<Identity>,
    ) -> Result<(), Error> {
        let identity = fstat(&folder.folder).map_err(|error| Error::from(Refusal::from(error)))?;
        let identity = Identity::of(&identity);
        if above.contains(&identity) {
            return Ok(());
        }
        let mut rows = rows::gather(&folder)?;
        let path = folder.path.clone();
        drop(folder); // a deep tree is not a descriptor a level
        rows.sort_by(|a, b| a.name.cmp(b.name));
        above.push(identity);
        for row in rows.iter() {
            let Some(path) = path.join(row.name) else { continue };
            match row.kind {
                Kind::Other => {}
                Kind::File => {
                    // Gone by now or unreadable, it is left out: an archive that has begun could only be cut there.
                    let Ok(Entry::File(_, facts)) = root.open_entry(&path) else { continue };
                    self.push(prefix, row.name, false, Some(facts), facts.modified_seconds())?;
                }
                Kind::Folder => {
                    // Unreadable, it stands there empty.
                    self.push(prefix, row.name, true, None, row.modified)?;
                    let Ok(Entry::Folder(folder)) = root.open_entry(&path) else { continue };
                    let folder = Folder { root: root.clone(), folder, path, hidden };
                    let length = prefix.len();
                    prefix.extend_from_slice(row.name);
                    prefix.push(b'/');
                    let walked = self.walk(root, hidden, folder, prefix, above);
                    prefix.truncate(length);
                    match walked {
                        Err(error) if error.status() != StatusCode::NOT_FOUND => return Err(error),
                        Ok(()) | Err(_) => {}
                    }
                }
            }
        }
        above.pop();
        Ok(())
    }

    fn push(
        &mut self,
        prefix: &[u8],
        name: &[u8],
        is_folder: bool,
        facts: Option<Facts>,
        modified: i64,
    ) -> Result<(), Error> {
        if self.items.len() >= MOST {
            let message = "The folder has too many entries for an archive";
            return Err(Error::new(StatusCode::FORBIDDEN, message));
        }
        let start = self.names.len();
        self.names.extend_from_slice(prefix);
        self.names.extend_from_slice(name);
        if is_folder {
            self.names.push(b'/');
        }
        let length = self.names.len() - start;
        self.items.push(Item { start, length, facts, modified, crc: None });
        Ok(())
    }
}

/// How many entries an archive has at most: links may make a tree larger than it is.
const MOST: usize = 1_000_000;
