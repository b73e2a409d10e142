//! Which representation of a file is sent: as it is, a precompressed sibling (`.zst`, `.br`, `.gz`), or compressed here.
//!
//! The client's q-values decide (RFC 9110 §12.5.3); a sibling goes before what must be made first. A sibling counts only if it
//! is a regular file that is not older than the original, whole seconds compared, as archives and copies keep no more.

use std::sync::Arc;

use http::{HeaderMap, Method, header};

use super::plan::ranges;
use super::resolver::Entry;
use super::respond::{Source, respond};
use super::stored::{Head, Made, Stored};
use super::{Files, Named};
use crate::compress;
use crate::error::Error;
use crate::handler::{Answer, Reply};
use crate::request::Request;
use crate::rfc::accept::{Coding, Codings};
use crate::rfc::path::SafePath;
use crate::rfc::range::Ranges;
use crate::workshop;

impl Files {
    /// Answers with the representation that the client likes best.
    pub(super) fn send(&self, request: &mut Request, path: &SafePath, stored: Arc<Stored>) -> Reply<'_> {
        let codings = Codings::parse(&request.headers);
        if !SUFFIXES.iter().any(|(coding, _)| codings.takes(*coding)) {
            return Reply::ready(respond(
                &request.method,
                &request.headers,
                &stored.head,
                self.source(path, &stored),
            ));
        }
        let siblings = self.siblings(path, &stored);
        match codings.choose(&offer(|coding| siblings & bit(coding) != 0)) {
            None | Some(Coding::Identity) => {}
            Some(coding) => {
                if let Some((head, source)) = self.sibling(path, &stored, coding) {
                    return Reply::ready(respond(&request.method, &request.headers, &head, source));
                }
            }
        }
        // A part of what is compressed here would cost compressing all that comes before it: a range that counts is one of the
        // file as it is, and the preconditions then are, too (RFC 9110 §13.2.1: of what would be sent).
        let Head { etag, modified, .. } = &stored.head;
        let size = Some(stored.facts.size);
        if stored.is_text()
            && ranges(&request.method, &request.headers, etag, *modified, size) == Ranges::Ignored
        {
            request.headers.remove(header::RANGE);
            match codings.choose(&Coding::ALL) {
                None | Some(Coding::Identity) => {}
                Some(coding) => return self.send_encoded(request, path, stored, coding),
            }
        }
        if siblings == 0 {
            return Reply::ready(respond(
                &request.method,
                &request.headers,
                &stored.head,
                self.source(path, &stored),
            ));
        }
        let mut head = stored.head.clone();
        head.vary();
        Reply::ready(respond(&request.method, &request.headers, &head, self.source(path, &stored)))
    }

    /// The codings there are siblings for, a bit each.
    fn siblings(&self, path: &SafePath, stored: &Stored) -> u8 {
        if stored.siblings_heat.is_hot(self.tick()) {
            return stored.siblings();
        }
        let mut found = 0;
        for (coding, suffix) in SUFFIXES {
            let facts = path.with_suffix(suffix).and_then(|sibling| self.root.facts(&sibling));
            if facts.is_some_and(|facts| facts.modified_seconds() >= stored.facts.modified_seconds()) {
                found |= bit(coding);
            }
        }
        stored.set_siblings(found);
        found
    }

    /// The sibling in this coding; `None` if it is gone, is not served, or got too old.
    fn sibling(&self, path: &SafePath, stored: &Stored, coding: Coding) -> Option<(Head, Source)> {
        let (_, suffix) = SUFFIXES.into_iter().find(|(of, _)| *of == coding)?;
        let Ok(Named::File(sibling)) = self.named(&path.with_suffix(suffix)?) else { return None };
        if sibling.facts.modified_seconds() < stored.facts.modified_seconds() {
            return None;
        }
        let head = Head::new(stored.head.content_type.clone(), &sibling.facts, coding, Made::Stored);
        Some((head, Source::File(sibling.content.clone())))
    }

    /// The file as it is, which stays open from now on if that pays.
    fn source(&self, path: &SafePath, stored: &Arc<Stored>) -> Source {
        if stored.wants_descriptor(self.quiet)
            && let Ok(Entry::File(file, facts)) = self.root.open_entry(path)
            && stored.keep_open(file, &facts)
        {
            self.cache.charge(path.as_bytes(), stored, self.open_cost);
        }
        Source::File(stored.content.clone())
    }

    /// Answers with what is compressed here: small content once, larger content whenever it is sent.
    fn send_encoded(
        &self,
        request: &mut Request,
        path: &SafePath,
        stored: Arc<Stored>,
        coding: Coding,
    ) -> Reply<'_> {
        let Some(content) = stored.content.content() else {
            let head = Head::new(stored.head.content_type.clone(), &stored.facts, coding, Made::OnTheFly);
            let source = Source::Encoded(stored.content.clone(), coding);
            return Reply::ready(respond(&request.method, &request.headers, &head, source));
        };
        if let Some(answer) = respond_encoded(&request.method, &request.headers, &stored, coding) {
            return Reply::ready(answer);
        }
        let (method, headers) = (request.method.clone(), std::mem::take(&mut request.headers));
        let path = path.clone();
        Reply::later(async move {
            let encoded = workshop::run(move || compress::encode_all(&content, coding));
            let encoded = encoded.await.map_err(Error::internal)?.map_err(Error::internal)?;
            let length = encoded.len();
            if stored.set_encoded(coding, encoded) {
                self.cache.charge(path.as_bytes(), &stored, length);
            }
            respond_encoded(&method, &headers, &stored, coding).unwrap_or_else(|| Err(Error::not_found()))
        })
    }
}

/// Answers with small content that was compressed before.
fn respond_encoded(method: &Method, headers: &HeaderMap, stored: &Stored, coding: Coding) -> Option<Answer> {
    let (head, encoded) = stored.encoded(coding)?;
    Some(respond(method, headers, head, Source::File(encoded.clone())))
}

/// What can be chosen of: identity, and what `there_is`.
fn offer(there_is: impl Fn(Coding) -> bool) -> Vec<Coding> {
    Coding::ALL.into_iter().filter(|coding| *coding == Coding::Identity || there_is(*coding)).collect()
}

fn bit(coding: Coding) -> u8 {
    1 << coding as u8
}

const SUFFIXES: [(Coding, &[u8]); 3] =
    [(Coding::Zstd, b".zst"), (Coding::Brotli, b".br"), (Coding::Gzip, b".gz")];
