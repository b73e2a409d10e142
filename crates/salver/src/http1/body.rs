//! The content of a request: a counted length or chunks (RFC 9112 §6, §7.1).
//!
//! Refused: a chunk size that is not 1 to 16 hexadecimal digits, a line end other than CR LF, chunk extensions and
//! trailers past their bounds, trailers that would frame or route. Extensions and trailers are checked and dropped.

use std::borrow::Cow;

use http::StatusCode;
use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use memchr::memchr3;

use super::head::Framing;
use super::{Fault, field};

/// What the next bytes of a body are. The step is taken: the caller goes on behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// This many bytes are framing, to be dropped; never 0.
    Skip(usize),
    /// This many bytes are content; never 0.
    Data(usize),
    /// There are no bytes, and more belong to the body.
    More,
    /// The body is over: the bytes, if any, are those of the next request.
    End,
}

/// Takes the framing off one body. It keeps what it has to remember: no byte is given twice.
///
/// ```
/// use salver::http1::{body::{BodyReader, Step}, head::Framing};
///
/// let mut reader = BodyReader::new(Framing::Chunked);
/// let mut input = &b"5\r\nhello\r\n0\r\n\r\nGET /"[..];
/// let mut content = Vec::new();
/// loop {
///     match reader.next(input)? {
///         Step::Skip(length) => input = &input[length..],
///         Step::Data(length) => {
///             content.extend_from_slice(&input[..length]);
///             input = &input[length..];
///         }
///         Step::More | Step::End => break,
///     }
/// }
/// assert!(reader.is_done());
/// assert_eq!((&content[..], input), (&b"hello"[..], &b"GET /"[..]));
/// # Ok::<(), salver::http1::Fault>(())
/// ```
#[derive(Debug)]
pub struct BodyReader {
    state: State,
    line: Line,
    /// How many more bytes of chunk extensions are taken.
    extensions: usize,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// So many bytes of a counted body are to come.
    Counted(u64),
    /// A chunk's size is to come.
    Size,
    /// So many bytes of a chunk are to come.
    Chunk(u64),
    /// The line end behind a chunk is to come.
    ChunkEnd,
    /// Trailers or the empty line that ends them are to come.
    Trailers(Trailers),
    Done,
    /// What follows cannot be told apart any more.
    Broken,
}

/// What was read of the trailers.
#[derive(Clone, Copy, Debug, Default)]
struct Trailers {
    fields: usize,
    bytes: usize,
}

/// The start of a line whose end has not come yet; its CR may be there.
#[derive(Debug, Default)]
struct Line(Vec<u8>);

/// How much of the input was used, and the line without its line end once it is whole.
type Read<'a> = (usize, Option<Cow<'a, [u8]>>);

impl BodyReader {
    /// A reader at the first byte behind the head.
    pub fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::None | Framing::Length(0) => State::Done,
            Framing::Length(length) => State::Counted(length),
            Framing::Chunked => State::Size,
        };
        Self { state, line: Line::default(), extensions: MAX_EXTENSIONS }
    }

    /// What the next bytes are; `input` starts where the step before ended. A shorter `input` gives shorter steps.
    ///
    /// # Errors
    /// [`Fault`] (400 or 431) where the framing is broken. The connection cannot be used further, and every later
    /// call fails as well.
    pub fn next(&mut self, input: &[u8]) -> Result<Step, Fault> {
        let step = self.advance(input);
        if step.is_err() {
            self.state = State::Broken;
        }
        step
    }

    /// Whether the whole body has been read.
    pub fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// How many bytes are still to come, if that was declared.
    pub fn left(&self) -> Option<u64> {
        match self.state {
            State::Counted(left) => Some(left),
            State::Done => Some(0),
            _ => None,
        }
    }

    fn advance(&mut self, input: &[u8]) -> Result<Step, Fault> {
        match self.state {
            State::Done => Ok(Step::End),
            State::Broken => Err(Fault::bad("The body's framing is broken")),
            _ if input.is_empty() => Ok(Step::More),
            State::Counted(left) => {
                let (length, left) = take(left, input);
                self.state = if left == 0 { State::Done } else { State::Counted(left) };
                Ok(Step::Data(length))
            }
            State::Chunk(left) => {
                let (length, left) = take(left, input);
                self.state = if left == 0 { State::ChunkEnd } else { State::Chunk(left) };
                Ok(Step::Data(length))
            }
            State::Size => {
                let overlong = Fault::bad("Chunk extensions too long");
                let (used, line) = self.line.read(input, MAX_DIGITS + self.extensions, &overlong)?;
                if let Some(line) = line {
                    let (size, extension) = parse_size(&line)?;
                    self.extensions = self.extensions.checked_sub(extension).ok_or(overlong)?;
                    self.state =
                        if size == 0 { State::Trailers(Trailers::default()) } else { State::Chunk(size) };
                }
                Ok(Step::Skip(used))
            }
            State::ChunkEnd => {
                let (used, line) =
                    self.line.read(input, 0, &Fault::bad("A chunk is longer than its size"))?;
                if line.is_some() {
                    self.state = State::Size;
                }
                Ok(Step::Skip(used))
            }
            State::Trailers(mut trailers) => {
                let overlong = Fault::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "Trailers too long");
                let (used, line) = self.line.read(input, MAX_TRAILER_BYTES - trailers.bytes, &overlong)?;
                self.state = match line {
                    None => State::Trailers(trailers),
                    Some(line) if line.is_empty() => State::Done,
                    Some(line) => {
                        check_trailer(&line)?;
                        trailers.fields += 1;
                        trailers.bytes += line.len();
                        if trailers.fields > MAX_TRAILERS {
                            return Err(overlong);
                        }
                        State::Trailers(trailers)
                    }
                };
                Ok(Step::Skip(used))
            }
        }
    }
}

impl Line {
    /// Reads on to the end of a line of at most `limit` bytes; `input` is not empty.
    fn read<'a>(&mut self, input: &'a [u8], limit: usize, overlong: &Fault) -> Result<Read<'a>, Fault> {
        let bad_end = || Fault::bad("A line of the body's framing does not end in CR LF");
        if self.0.last() == Some(&b'\r') {
            if input.first() != Some(&b'\n') {
                return Err(bad_end());
            }
            self.0.pop();
            return Ok((1, Some(Cow::Owned(std::mem::take(&mut self.0)))));
        }
        let found = memchr3(b'\r', b'\n', 0, input);
        let (part, end) = input.split_at(found.unwrap_or(input.len()));
        if self.0.len() + part.len() > limit {
            return Err(overlong.clone());
        }
        match end {
            [] | [b'\r'] => {
                self.0.extend_from_slice(input);
                Ok((input.len(), None))
            }
            [b'\r', b'\n', ..] if self.0.is_empty() => Ok((part.len() + 2, Some(Cow::Borrowed(part)))),
            [b'\r', b'\n', ..] => {
                self.0.extend_from_slice(part);
                Ok((part.len() + 2, Some(Cow::Owned(std::mem::take(&mut self.0)))))
            }
            _ => Err(bad_end()),
        }
    }
}

/// How much of `input` belongs to what is `left`, and what is left then.
fn take(left: u64, input: &[u8]) -> (usize, u64) {
    let length = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
    (length, left - length as u64)
}

/// RFC 9112 §7.1: the size of a chunk and the length of its extensions.
fn parse_size(line: &[u8]) -> Result<(u64, usize), Fault> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let (size, extension) = line.split_at(digits);
    // SECURITY: 16 digits fill a u64; more overflow in some reader.
    let size = std::str::from_utf8(size).ok().filter(|size| size.len() <= MAX_DIGITS);
    let size = size.and_then(|size| u64::from_str_radix(size, 16).ok());
    let is_extension = extension.is_empty() || extension.trim_ascii_start().starts_with(b";");
    match size {
        Some(size) if is_extension && field::is_value(extension) => Ok((size, extension.len())),
        _ => Err(Fault::bad("Bad chunk size")),
    }
}

/// A trailer obeys the rules of a field, and none may say where a message ends or goes (RFC 9110 §6.5.1).
fn check_trailer(line: &[u8]) -> Result<(), Fault> {
    let (name, value) = field::parse(line)?;
    if !field::is_value(line.get(value).unwrap_or_default()) {
        return Err(field::bad_value());
    }
    if [CONTENT_LENGTH, TRANSFER_ENCODING, HOST].contains(&name) {
        return Err(Fault::bad("A trailer that may only be a header"));
    }
    Ok(())
}

/// The most digits of a chunk size.
const MAX_DIGITS: usize = 16;

/// The most bytes of chunk extensions in one body.
const MAX_EXTENSIONS: usize = 16 * 1024;

/// The most trailers.
const MAX_TRAILERS: usize = 100;

/// The most bytes of trailers, without line ends.
const MAX_TRAILER_BYTES: usize = 16 * 1024;

#[cfg(test)]
mod tests;
