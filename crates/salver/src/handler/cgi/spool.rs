//! The content of a request on its way to a script. RFC 3875 §4.2: a script reads CONTENT_LENGTH bytes, so the length must be
//! known before it starts.
//!
//! Content of a declared length streams. Content of an unknown one (chunked) is gathered first: up to 1 MiB in memory, above
//! that in a temporary file that has no name, which the script then reads itself.

use std::fs::File;
use std::io::{self, Seek as _, Write as _};

use bytes::Bytes;
use http::StatusCode;
use http_body_util::BodyExt as _;

use crate::body::{Body, BoxError};
use crate::error::Error;

/// What a script reads.
#[derive(Debug)]
pub(super) enum Input {
    /// Nothing.
    Empty,
    /// What comes, as it comes.
    Stream(Body),
    /// A file, from its beginning.
    File(File),
}

/// Makes the input of `body`, with its length.
///
/// # Errors
/// The client's fault in its body, and 507 when the disk is full.
pub(super) async fn prepare(body: Body) -> Result<(Input, Option<u64>), Error> {
    match (body.len(), body) {
        (_, Body::Empty) => Ok((Input::Empty, None)),
        (None, body) => gather(body).await,
        (length, body) => Ok((Input::Stream(body), length)),
    }
}

async fn gather(mut body: Body) -> Result<(Input, Option<u64>), Error> {
    let mut gathered = Vec::new();
    let mut length = 0;
    while let Some(data) = next(&mut body).await? {
        length += data.len() as u64;
        gathered.extend_from_slice(&data);
        if gathered.len() > IN_MEMORY {
            return spool(body, gathered, length).await;
        }
    }
    Ok((Input::Stream(gathered.into()), Some(length)))
}

async fn spool(mut body: Body, gathered: Vec<u8>, mut length: u64) -> Result<(Input, Option<u64>), Error> {
    let mut file = blocking(move || write(tempfile::tempfile()?, &gathered)).await?;
    let mut piece = Vec::new();
    while let Some(data) = next(&mut body).await? {
        length += data.len() as u64;
        piece.extend_from_slice(&data);
        if piece.len() >= PIECE {
            let full = std::mem::take(&mut piece);
            file = blocking(move || write(file, &full)).await?;
        }
    }
    let file = blocking(move || {
        let mut file = write(file, &piece)?;
        file.rewind()?;
        Ok(file)
    });
    Ok((Input::File(file.await?), Some(length)))
}

async fn next(body: &mut Body) -> Result<Option<Bytes>, Error> {
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(unreadable)?.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// A fault of the request; the connection knows it better and answers accordingly.
pub(super) fn unreadable(error: BoxError) -> Error {
    Error::new(StatusCode::BAD_REQUEST, "The request body cannot be read").because(error)
}

fn write(mut file: File, data: &[u8]) -> io::Result<File> {
    file.write_all(data)?;
    Ok(file)
}

/// Runs `work` where it may wait for a disk.
async fn blocking(work: impl FnOnce() -> io::Result<File> + Send + 'static) -> Result<File, Error> {
    let full = |error: &io::Error| {
        matches!(
            error.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
        )
    };
    tokio::task::spawn_blocking(work).await.map_err(Error::internal)?.map_err(|error| match full(&error) {
        true => Error::new(StatusCode::INSUFFICIENT_STORAGE, "There is no room for the request body")
            .because(error),
        false => Error::internal(error),
    })
}

/// How much is gathered in memory, in bytes.
const IN_MEMORY: usize = 1024 * 1024;
/// How much is written to the file at once, in bytes.
const PIECE: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use http_body::Frame;

    use super::*;

    /// Content of unknown length.
    struct Chunks(usize);

    impl http_body::Body for Chunks {
        type Data = Bytes;
        type Error = BoxError;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
            let count = self.0.min(10_000);
            self.0 -= count;
            Poll::Ready((count > 0).then(|| Ok(Frame::data(Bytes::from(vec![b'x'; count])))))
        }
    }

    #[tokio::test]
    async fn what_is_small_stays_in_memory_and_what_is_large_has_a_file_without_a_name() {
        for size in [0, 1, IN_MEMORY, IN_MEMORY + 1, IN_MEMORY + PIECE * 3 + 17] {
            let (input, length) = prepare(Body::stream(Chunks(size))).await.unwrap();
            assert_eq!(length, Some(size as u64));
            match input {
                Input::Stream(body) => {
                    assert!(size <= IN_MEMORY);
                    assert_eq!(body.len(), length);
                }
                Input::File(mut file) => {
                    assert!(size > IN_MEMORY);
                    assert_eq!(rustix::fs::fstat(&file).unwrap().st_nlink, 0);
                    let mut content = Vec::new();
                    file.read_to_end(&mut content).unwrap();
                    assert!(content.len() == size && content.iter().all(|byte| *byte == b'x'));
                }
                Input::Empty => panic!("{size}"),
            }
        }
    }

    #[tokio::test]
    async fn content_of_known_length_streams() {
        assert!(matches!(prepare(Body::Empty).await, Ok((Input::Empty, None))));
        assert!(matches!(prepare("four".into()).await, Ok((Input::Stream(_), Some(4)))));
    }
}
