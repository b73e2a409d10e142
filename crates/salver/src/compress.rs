//! Content codings: zstd (RFC 8878), br (RFC 7932), gzip (RFC 1952).
//!
//! A stream is compressed a piece at a time on a thread of the blocking pool; the encoder moves there and back, so that no
//! thread is held between pieces, and a client that does not read stops the work. What is to be compressed is decided by
//! the callers.

use std::io::{self, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use flate2::write::GzEncoder;
use http_body::{Body as _, Frame};

use crate::body::{Body, BoxError, FILE_PIECE, FileRange};
use crate::rfc::accept::Coding;
use crate::workshop::{self, Made};

/// Content shorter than this is sent as it is, in bytes: the header costs what the coding saves. `None`: all content is.
pub(crate) const WORTH_IT: Option<u64> = Some(1024);

/// Put among a response's extensions: its content is text of unknown length that is there as fast as it can be sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LongText;

/// Compresses a body as it is sent. Its length is not known before.
pub(crate) fn encode(body: Body, coding: Coding) -> Body {
    match coding {
        Coding::Identity => body,
        coding => Body::stream(Encoding { source: body, rest: Bytes::new(), state: State::New(coding) }),
    }
}

/// Compresses what is in memory.
///
/// # Errors
/// Only when the encoder has no memory.
pub(crate) fn encode_all(content: &[u8], coding: Coding) -> io::Result<Bytes> {
    let mut encoder = Encoder::new(coding)?;
    encoder.write(content)?;
    encoder.finish().map(Bytes::from)
}

/// A body on its way through an encoder.
struct Encoding {
    source: Body,
    /// What came in one piece and is too much for one turn.
    rest: Bytes,
    state: State,
}

enum State {
    /// Nothing was asked for yet; a HEAD never asks, and costs no encoder.
    New(Coding),
    /// The encoder is here; whether it holds back what was written since the last flush.
    Idle(Encoder, Held),
    Working(Made<io::Result<Done>>, Held),
    Ended,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Held {
    Nothing,
    Something,
}

/// What the encoder does next.
enum Step {
    Write(Bytes),
    /// Reads a piece of the file, too: reading may wait for a disk.
    Read(FileRange),
    Flush,
    Finish,
}

/// What comes back from the blocking pool.
struct Done {
    encoder: Option<Encoder>,
    file: Option<FileRange>,
    output: Vec<u8>,
}

impl http_body::Body for Encoding {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        loop {
            match self.poll_step(cx) {
                Poll::Ready(Ok(Some(output))) if output.is_empty() => {}
                Poll::Ready(Ok(output)) => return Poll::Ready(output.map(|output| Ok(Frame::data(output)))),
                Poll::Ready(Err(error)) => {
                    self.state = State::Ended;
                    return Poll::Ready(Some(Err(error)));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.state, State::Ended)
    }
}

impl Encoding {
    /// Starts a step or awaits its end; the output of a step may be empty, and `None` is the end.
    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BoxError>> {
        if let State::Working(job, held) = &mut self.state {
            let done = ready!(Pin::new(job).poll(cx))??;
            if let Some(file) = done.file {
                self.source = Body::File(file);
            }
            self.state = match done.encoder {
                Some(encoder) => State::Idle(encoder, *held),
                None => State::Ended,
            };
            return Poll::Ready(Ok(Some(done.output.into())));
        }
        let (encoder, held) = match std::mem::replace(&mut self.state, State::Ended) {
            State::New(coding) => (Encoder::new(coding)?, Held::Nothing),
            State::Idle(encoder, held) => (encoder, held),
            State::Ended | State::Working(..) => return Poll::Ready(Ok(None)),
        };
        let (step, held) = match self.poll_source(cx) {
            Poll::Ready(step) => (step?, Held::Something),
            // The source pauses: the client is to have what there is.
            Poll::Pending if held == Held::Something => (Step::Flush, Held::Nothing),
            Poll::Pending => {
                self.state = State::Idle(encoder, held);
                return Poll::Pending;
            }
        };
        self.state = State::Working(workshop::run(|| encoder.run(step)), held);
        Poll::Ready(Ok(Some(Bytes::new())))
    }

    fn poll_source(&mut self, cx: &mut Context<'_>) -> Poll<Result<Step, BoxError>> {
        if let Body::File(range) = &self.source {
            let step = if range.length() == 0 { Step::Finish } else { Step::Read(range.clone()) };
            return Poll::Ready(Ok(step));
        }
        while self.rest.is_empty() {
            match ready!(Pin::new(&mut self.source).poll_frame(cx)) {
                Some(frame) => self.rest = frame?.into_data().unwrap_or_default(),
                None => return Poll::Ready(Ok(Step::Finish)),
            }
        }
        let piece = self.rest.split_to(self.rest.len().min(FILE_PIECE));
        Poll::Ready(Ok(Step::Write(piece)))
    }
}

/// The encoders write to memory; their output is taken out after each step.
enum Encoder {
    Gzip(Box<GzEncoder<Vec<u8>>>),
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
    Zstd(Box<zstd::stream::write::Encoder<'static, Vec<u8>>>),
    Identity(Vec<u8>),
}

impl Encoder {
    /// Levels that cost about as much as sending saves; windows that bound the memory of a stream to about 1 MiB.
    fn new(coding: Coding) -> io::Result<Self> {
        Ok(match coding {
            Coding::Gzip => Self::Gzip(Box::new(GzEncoder::new(Vec::new(), flate2::Compression::new(6)))),
            Coding::Brotli => {
                Self::Brotli(Box::new(brotli::CompressorWriter::new(Vec::new(), 16 * 1024, 4, 19)))
            }
            Coding::Zstd => {
                let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3)?;
                encoder.window_log(19)?;
                Self::Zstd(Box::new(encoder))
            }
            Coding::Identity => Self::Identity(Vec::new()),
        })
    }

    fn run(mut self, step: Step) -> io::Result<Done> {
        let mut file = None;
        match step {
            Step::Write(piece) => self.write(&piece)?,
            Step::Read(mut range) => {
                if let Some(piece) = range.read_piece()? {
                    self.write(&piece)?;
                }
                file = Some(range);
            }
            Step::Flush => self.flush()?,
            Step::Finish => return Ok(Done { output: self.finish()?, encoder: None, file }),
        }
        let output = std::mem::take(match &mut self {
            Self::Gzip(encoder) => encoder.get_mut(),
            Self::Brotli(encoder) => encoder.get_mut(),
            Self::Zstd(encoder) => encoder.get_mut(),
            Self::Identity(output) => output,
        });
        Ok(Done { encoder: Some(self), file, output })
    }

    fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        match self {
            Self::Gzip(encoder) => encoder.write_all(piece),
            Self::Brotli(encoder) => encoder.write_all(piece),
            Self::Zstd(encoder) => encoder.write_all(piece),
            Self::Identity(output) => output.write_all(piece),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Gzip(encoder) => encoder.flush(),
            Self::Brotli(encoder) => encoder.flush(),
            Self::Zstd(encoder) => encoder.flush(),
            Self::Identity(_) => Ok(()),
        }
    }

    fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Gzip(encoder) => encoder.finish(),
            Self::Brotli(encoder) => Ok(encoder.into_inner()),
            Self::Zstd(encoder) => encoder.finish(),
            Self::Identity(output) => Ok(output),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Read as _;

    use http_body_util::BodyExt as _;

    use super::*;

    const CODINGS: [Coding; 4] = [Coding::Identity, Coding::Gzip, Coding::Brotli, Coding::Zstd];

    /// What a client makes of `content`.
    pub(crate) fn decode(content: &[u8], coding: Coding) -> Vec<u8> {
        match coding {
            Coding::Identity => content.to_vec(),
            Coding::Gzip => all(flate2::read::GzDecoder::new(content)),
            Coding::Brotli => all(brotli::Decompressor::new(content, 4096)),
            Coding::Zstd => zstd::decode_all(content).unwrap(),
        }
    }

    fn all(mut decoder: impl io::Read) -> Vec<u8> {
        let mut plain = Vec::new();
        decoder.read_to_end(&mut plain).unwrap();
        plain
    }

    fn text(length: usize) -> Vec<u8> {
        (0u32..)
            .flat_map(|line| format!("line {}\n", line.wrapping_mul(2_654_435_761)).into_bytes())
            .take(length)
            .collect()
    }

    async fn collect(body: Body) -> Vec<u8> {
        body.collect().await.unwrap().to_bytes().to_vec()
    }

    #[test]
    fn memory_comes_back_as_it_was() {
        for coding in CODINGS {
            for length in [0, 1, 1000, 300_000] {
                let content = text(length);
                let encoded = encode_all(&content, coding).unwrap();
                assert_eq!(decode(&encoded, coding), content, "{coding:?} {length}");
                assert!(coding == Coding::Identity || length < 1000 || encoded.len() < length / 2);
            }
        }
    }

    #[tokio::test]
    async fn every_kind_of_body_comes_back_as_it_was() {
        let content = text(3 * FILE_PIECE + 17);
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&content).unwrap();
        let range = FileRange::new(file, 10, content.len() as u64 - 10);
        for coding in CODINGS {
            let from_file = encode(Body::File(range.clone()), coding);
            assert_eq!(decode(&collect(from_file).await, coding), &content[10..]);
            let bytes = Body::from(content.clone());
            assert_eq!(decode(&collect(encode(bytes, coding)).await, coding), content);
            assert_eq!(decode(&collect(encode(Body::Empty, coding)).await, coding), b"");
        }
    }

    #[tokio::test]
    async fn a_file_that_shrank_is_an_error() {
        let range = FileRange::new(tempfile::tempfile().unwrap(), 0, 10);
        let body = encode(Body::File(range), Coding::Gzip);
        assert!(body.collect().await.is_err());
    }

    /// A source that says what it is told to; `None` is a pause.
    struct Script(std::vec::IntoIter<Option<Result<&'static str, &'static str>>>);

    impl http_body::Body for Script {
        type Data = Bytes;
        type Error = BoxError;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
            match self.0.next() {
                Some(Some(said)) => Poll::Ready(Some(match said {
                    Ok(text) => Ok(Frame::data(Bytes::from_static(text.as_bytes()))),
                    Err(error) => Err(error.into()),
                })),
                Some(None) => Poll::Pending, // wakes nobody: only the flush goes on
                None => Poll::Ready(None),
            }
        }
    }

    #[tokio::test]
    async fn a_pause_of_the_source_lets_out_what_there_is() {
        for coding in [Coding::Gzip, Coding::Brotli, Coding::Zstd] {
            let source = Script(vec![Some(Ok("first")), Some(Ok(" part")), None, None].into_iter());
            let mut body = encode(Body::stream(source), coding);
            let (mut sent, mut plain) = (Vec::new(), [0; 10]);
            // The header of a coding may come by itself.
            while decode_start(&sent, coding, &mut plain).is_err() {
                sent.extend_from_slice(body.frame().await.unwrap().unwrap().data_ref().unwrap());
            }
            assert_eq!(&plain, b"first part");
        }
    }

    fn decode_start(sent: &[u8], coding: Coding, plain: &mut [u8]) -> io::Result<()> {
        match coding {
            Coding::Gzip => flate2::read::GzDecoder::new(sent).read_exact(plain),
            Coding::Brotli => brotli::Decompressor::new(sent, 4096).read_exact(plain),
            Coding::Zstd => zstd::stream::read::Decoder::new(sent)?.read_exact(plain),
            Coding::Identity => Ok(()),
        }
    }

    #[tokio::test]
    async fn an_error_of_the_source_ends_the_body() {
        let source = Script(vec![Some(Ok("text")), Some(Err("broken")), Some(Ok("more"))].into_iter());
        let mut body = encode(Body::stream(source), Coding::Zstd);
        let error = loop {
            match body.frame().await {
                Some(Ok(_)) => {}
                end => break end,
            }
        };
        assert_eq!(error.unwrap().unwrap_err().to_string(), "broken");
        assert!(body.frame().await.is_none());
    }
}
