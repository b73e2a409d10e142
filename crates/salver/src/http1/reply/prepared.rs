//! Fields that have been written before: what every response with the same file says.

use std::ptr;

use http::HeaderMap;

use super::{Marks, copy_fields};

/// The lines of some header fields, ready to be copied into a head.
///
/// They are a copy of what others own: [`write_head`](super::write_head) takes them only where nothing was added, changed or taken
/// away since.
///
/// ```
/// use http::{HeaderMap, HeaderValue, StatusCode, Version, header};
/// use salver::http1::reply::{Asked, Prepared, write_head};
///
/// let headers: HeaderMap = [(header::ETAG, HeaderValue::from_static("\"1\""))].into_iter().collect();
/// let prepared = Prepared::new(headers.clone());
/// let asked =
///     Asked { version: Version::HTTP_11, protocol: Version::HTTP_11, head_only: false, keep_alive: true };
/// let mut out = Vec::new();
/// write_head(&mut out, &asked, (StatusCode::OK, None), &headers, Some(&prepared), Some(0), b"now")?;
/// assert_eq!(out, b"HTTP/1.1 200 OK\r\nDate: now\r\nETag: \"1\"\r\nContent-Length: 0\r\n\r\n");
/// # Ok::<(), salver::http1::reply::BadReply>(())
/// ```
#[derive(Debug)]
pub struct Prepared {
    fields: HeaderMap,
    lines: Box<[u8]>,
    marks: Marks,
}

impl Prepared {
    /// Writes `fields` as a response does.
    pub fn new(fields: HeaderMap) -> Self {
        let mut lines = Vec::new();
        copy_fields(&mut lines, &fields);
        Self { marks: Marks::of(&fields), fields, lines: lines.into() }
    }

    /// The lines and what they ask, if `headers` are a clone of the fields that they were made of: names and order are the same, and
    /// the values are the very same bytes in memory, which is quicker to see than to write them again.
    pub(super) fn of(&self, headers: &HeaderMap) -> Option<(&[u8], Marks)> {
        let are_the_same = headers.len() == self.fields.len()
            && headers.iter().zip(&self.fields).all(|((name, value), (known, prepared))| {
                name == known && ptr::eq(value.as_bytes(), prepared.as_bytes())
            });
        are_the_same.then_some((&*self.lines, self.marks))
    }
}
