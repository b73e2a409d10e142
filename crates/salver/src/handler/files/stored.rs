//! A file as it was opened: its facts, its content where that is small, and its headers ready-made.

use std::fs::File;
use std::io::{self, Read as _};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use rustix::fs::fstat;

use super::cache::Heat;
use super::facts::Facts;
use crate::body::{COPIED_FILE, FileRange};
use crate::compress;
use crate::finish::headers::SERVER;
use crate::http1::reply::Prepared;
use crate::rfc::accept::Coding;
use crate::rfc::content_type;
use crate::rfc::date::Stamp;
use crate::rfc::etag::ETag;

/// A file and what is sent of it.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) facts: Facts,
    pub(crate) content: FileRange,
    pub(crate) head: Head,
    /// Small content compressed, once it was asked for.
    encoded: [OnceLock<(Head, FileRange)>; Coding::ALL.len()],
    /// The codings that precompressed siblings were last seen for, a bit each.
    siblings: AtomicU8,
    /// When the path was last resolved as the policy says, as the resolver counts time.
    pub(crate) resolved: AtomicU64,
    pub(crate) heat: Heat,
    pub(crate) siblings_heat: Heat,
}

/// The headers of a representation, and its validators.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) headers: HeaderMap,
    /// What a cache needs to go on using what it has (RFC 9110 §15.4.5).
    pub(crate) not_modified: HeaderMap,
    pub(crate) content_type: HeaderValue,
    pub(crate) etag: ETag,
    pub(crate) modified: Stamp,
}

impl Stored {
    /// Reads `file` if it is small.
    pub(crate) fn new(file: File, facts: Facts, content_type: HeaderValue) -> Self {
        let head = Head::new(content_type, &facts, Coding::Identity, Made::Stored);
        let content = match read_small(&file, &facts) {
            Ok(Some(bytes)) => head.content(bytes),
            // A file that changes meanwhile, or cannot be read: the connection tells the client, by cutting it.
            Ok(None) | Err(_) => FileRange::new(file, 0, facts.size),
        };
        Self {
            facts,
            content,
            head,
            encoded: Default::default(),
            siblings: AtomicU8::new(0),
            resolved: AtomicU64::new(0),
            heat: Heat::default(),
            siblings_heat: Heat::default(),
        }
    }

    /// Whether what would be sent is still what the head says: nobody writes into memory, but a file may have been written into.
    pub(crate) fn is_unchanged(&self) -> bool {
        match self.content.file() {
            None => true,
            Some(file) => Facts::of_open(file) == Some(self.facts),
        }
    }

    /// Whether a descriptor would pay: it is so often asked for that its path is not looked at each time, `sendfile` is cheaper, and it
    /// was not changed for so long that it can be taken for done (`quiet`): what somebody writes into a file while `sendfile`'s pages of
    /// it are on their way reaches their clients. What is asked for now and then keeps nothing open, so that its file system can be
    /// unmounted and its space is free once it is removed.
    pub(crate) fn wants_descriptor(&self, quiet: Duration) -> bool {
        self.heat.was_hot()
            && self.facts.size > COPIED_FILE
            && self.content.file().is_none()
            && self.facts.is_older_than(quiet, SystemTime::now())
    }

    /// Keeps `file` open, which has these facts; whoever was first stays.
    pub(crate) fn keep_open(&self, file: File, facts: &Facts) -> bool {
        *facts == self.facts && self.content.keep_open(file)
    }

    /// Whether compressing it pays.
    pub(crate) fn is_text(&self) -> bool {
        compress::WORTH_IT.is_some_and(|least| self.facts.size >= least)
            && content_type::is_text(self.head.content_type.as_bytes())
    }

    /// The small content in this coding, if it was compressed before.
    pub(crate) fn encoded(&self, coding: Coding) -> Option<&(Head, FileRange)> {
        self.encoded.get(coding as usize)?.get()
    }

    /// Keeps small content in this coding; whoever was first stays.
    pub(crate) fn set_encoded(&self, coding: Coding, content: Bytes) -> bool {
        let head = Head::new(self.head.content_type.clone(), &self.facts, coding, Made::OnTheFly);
        let content = head.content(content);
        self.encoded.get(coding as usize).is_some_and(|place| place.set((head, content)).is_ok())
    }

    /// The codings there were siblings for when last looked.
    pub(crate) fn siblings(&self) -> u8 {
        self.siblings.load(Ordering::Relaxed)
    }

    /// Notes what was seen.
    pub(crate) fn set_siblings(&self, codings: u8) {
        self.siblings.store(codings, Ordering::Relaxed);
    }
}

/// Where the bytes of a representation come from: two sources of the same coding are two representations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Made {
    /// A file holds them.
    Stored,
    /// They are compressed here.
    OnTheFly,
}

impl Head {
    /// The head of what is sent of the file with these facts.
    pub(crate) fn new(content_type: HeaderValue, facts: &Facts, coding: Coding, made: Made) -> Self {
        let mut tag = facts.tag();
        if made == Made::OnTheFly {
            // A strong tag names bytes, so each coding has its own (RFC 9110 §8.8.3.3).
            tag = format!("{tag}-{}", coding.name());
        }
        let etag = ETag::strong(tag.as_bytes()).expect("hexadecimal digits, dashes and letters are a tag");
        let modified = Stamp::from_unix(facts.modified_seconds());
        let mut headers = HeaderMap::with_capacity(6);
        // Every response says it, and what is copied with it need not grow for it.
        headers.insert(header::SERVER, SERVER);
        headers.insert(header::CONTENT_TYPE, content_type.clone());
        headers.insert(header::LAST_MODIFIED, modified.header());
        headers.insert(header::ETAG, etag.header());
        if made == Made::Stored {
            headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        }
        if coding != Coding::Identity {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
        }
        let mut not_modified = HeaderMap::with_capacity(4);
        not_modified.extend([
            (header::SERVER, SERVER),
            (header::LAST_MODIFIED, modified.header()),
            (header::ETAG, etag.header()),
        ]);
        let mut head = Self { headers, not_modified, content_type, etag, modified };
        if coding != Coding::Identity || content_type::is_text(head.content_type.as_bytes()) {
            head.vary();
        }
        head
    }

    /// The content that it is the head of, in memory.
    fn content(&self, content: Bytes) -> FileRange {
        FileRange::stored(content, Prepared::new(self.headers.clone()))
    }

    /// Says that clients that take other codings may be sent other bytes.
    pub(crate) fn vary(&mut self) {
        for headers in [&mut self.headers, &mut self.not_modified] {
            headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
        }
    }
}

/// The content of a small file; `None` if it is large or is being changed.
fn read_small(file: &File, facts: &Facts) -> io::Result<Option<Bytes>> {
    let Some(size) = usize::try_from(facts.size).ok().filter(|size| *size <= SMALL) else { return Ok(None) };
    let mut content = Vec::with_capacity(size + 1); // one byte more shows the end without a further growth
    file.take(size as u64 + 1).read_to_end(&mut content)?;
    let unchanged = Facts::of_file(&fstat(file)?) == Some(*facts) && content.len() == size;
    Ok(unchanged.then(|| Bytes::from(content.into_boxed_slice())))
}

/// Files up to this size are read at once and cached, in bytes.
const SMALL: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_file_that_changed_since_it_was_looked_at_is_not_taken_into_memory() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"first").unwrap();
        let facts = Facts::of_file(&fstat(file.as_file()).unwrap()).unwrap();
        let open = || file.reopen().unwrap();
        assert_eq!(read_small(&open(), &facts).unwrap().as_deref(), Some(&b"first"[..]));
        (&mut &file).write_all(b" and more").unwrap();
        assert_eq!(read_small(&open(), &facts).unwrap(), None);
        file.as_file().set_len(2).unwrap();
        assert_eq!(read_small(&open(), &facts).unwrap(), None);
        let stored = Stored::new(open(), facts, HeaderValue::from_static("text/plain"));
        assert_eq!(stored.content.in_memory(), None);
    }

    #[test]
    fn each_representation_has_its_own_strong_tag() {
        let file = tempfile::tempfile().unwrap();
        let facts = Facts::of_file(&fstat(&file).unwrap()).unwrap();
        let html = HeaderValue::from_static("text/html");
        let tags: std::collections::HashSet<_> = Coding::ALL
            .into_iter()
            .map(|coding| {
                let made = if coding == Coding::Identity { Made::Stored } else { Made::OnTheFly };
                let etag = Head::new(html.clone(), &facts, coding, made).etag;
                assert!(!etag.is_weak());
                etag
            })
            .collect();
        assert_eq!(tags.len(), 4);
    }
}
