//! A body in pieces, on its way from an application to its connection: a bounded amount of it.

use std::collections::VecDeque;

use bytes::Bytes;
use salver::body::{BoxError, Reported};
use salver::{Body, FileRange};

/// The pieces that have not left.
#[derive(Default)]
pub(crate) struct Pieces {
    waiting: VecDeque<Bytes>,
    /// How much that is, in bytes.
    held: usize,
    /// A file behind them: read as it leaves.
    file: Option<FileRange>,
    /// Whether there was ever one.
    begun: bool,
    end: Option<Result<(), BoxError>>,
}

/// What the connection sends next.
pub(crate) enum Next {
    /// A piece; `true` where the application, had it found no room, may go on now.
    Piece(Bytes, bool),
    /// There are no more: the body has ended, well or not.
    End(Result<(), BoxError>),
    /// Nothing has come yet.
    Nothing,
}

impl Pieces {
    /// Adds a piece; whether there is room for more.
    pub(crate) fn push(&mut self, piece: Bytes) -> bool {
        self.begun = true;
        self.held += piece.len();
        self.waiting.push_back(piece);
        self.held < WINDOW
    }

    /// Adds a file: it is the whole body, and nothing of it is held.
    pub(crate) fn put_file(&mut self, file: FileRange) {
        self.begun = true;
        self.file = Some(file);
    }

    /// Whether anything was ever added.
    pub(crate) fn have_begun(&self) -> bool {
        self.begun
    }

    /// Whether who found no room may go on: not at once, or each piece would wake somebody.
    pub(crate) fn has_room(&self) -> bool {
        self.held < WINDOW / 2
    }

    /// Ends the body, well or by a fault that has been logged; a second end is none.
    pub(crate) fn end(&mut self, well: bool) {
        if self.end.is_none() {
            self.end = Some(if well { Ok(()) } else { Err(Reported.into()) });
        }
    }

    /// Takes what the connection sends next.
    pub(crate) fn next(&mut self) -> Next {
        if let Some(piece) = self.waiting.pop_front() {
            let had_none = !self.has_room();
            self.held -= piece.len();
            return Next::Piece(piece, had_none && self.has_room());
        }
        match self.file.as_mut().map(FileRange::read_piece) {
            Some(Ok(Some(piece))) => return Next::Piece(piece, false),
            Some(Ok(None)) => self.file = None,
            Some(Err(error)) => {
                (self.file, self.end) = (None, Some(Ok(())));
                return Next::End(Err(error.into()));
            }
            None => {}
        }
        match self.end.take() {
            None => Next::Nothing,
            Some(end) => {
                self.end = Some(Ok(()));
                Next::End(end)
            }
        }
    }

    /// Takes the whole body, if it has ended well and is one piece at most.
    pub(crate) fn whole(&mut self) -> Option<Body> {
        let is_whole = matches!(self.end, Some(Ok(()))) && self.waiting.len() <= 1 && self.file.is_none();
        is_whole.then(|| self.waiting.pop_front().map_or(Body::Empty, Body::Bytes))
    }

    /// Takes what nobody wants any more, to be dropped outside of locks.
    pub(crate) fn clear(&mut self) -> VecDeque<Bytes> {
        (self.held, self.file) = (0, None);
        std::mem::take(&mut self.waiting)
    }
}

/// How much of a body may wait for a slow client before its application waits, in bytes.
const WINDOW: usize = 256 * 1024;
