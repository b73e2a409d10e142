//! Bytes → messages (RFC 6455 §5): frames in any pieces, put together and checked. Without IO.

use std::borrow::Cow;
use std::io::Cursor;

use bytes::{Buf as _, Bytes, BytesMut};
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};

use super::deflate::{self, Fault};

/// What comes of the bytes of one connection.
#[derive(Debug)]
pub(super) struct Reader {
    /// The largest message, in bytes.
    most: usize,
    /// Whether messages may be packed.
    deflate: bool,
    /// The frame whose payload comes.
    frame: Option<Frame>,
    message: Option<Partial>,
}

/// Something that a client has said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Text(String),
    Binary(Bytes),
    Ping(Bytes),
    Pong,
    Close(Option<(u16, String)>),
}

/// Why the connection must fail, as the client is told (§7.1.7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Violation {
    pub(super) code: u16,
    pub(super) reason: Cow<'static, str>,
}

#[derive(Debug)]
struct Frame {
    header: FrameHeader,
    left: u64,
    /// How much of the payload has been unmasked, for the place in the mask.
    unmasked: usize,
}

/// A message of which frames have come.
#[derive(Debug)]
struct Partial {
    is_text: bool,
    packed: bool,
    content: BytesMut,
    /// How much of a text is known to be UTF-8.
    valid: usize,
}

impl Reader {
    pub(super) fn new(most: usize, deflate: bool) -> Self {
        Self { most, deflate, frame: None, message: None }
    }

    /// The next event in `input`, which is used up as far as it is understood.
    pub(super) fn read(&mut self, input: &mut BytesMut) -> Result<Option<Event>, Violation> {
        loop {
            if self.frame.is_none() {
                match self.head(input)? {
                    Some(frame) => self.frame = Some(frame),
                    None => return Ok(None),
                }
            }
            let Some(frame) = &mut self.frame else { return Ok(None) };
            if let OpCode::Control(control) = frame.header.opcode {
                let length = usize::try_from(frame.left).unwrap_or(usize::MAX);
                if input.len() < length {
                    return Ok(None);
                }
                let mut payload = input.split_to(length);
                unmask(&mut payload, frame);
                self.frame = None;
                return said(control, payload.freeze()).map(Some);
            }
            let Some(message) = &mut self.message else { return Ok(None) };
            let length = usize::try_from(frame.left).unwrap_or(usize::MAX).min(input.len());
            if length > 0 {
                let begin = message.content.len();
                message.content.extend_from_slice(input.get(..length).unwrap_or_default());
                input.advance(length);
                unmask(message.content.get_mut(begin..).unwrap_or_default(), frame);
                frame.left -= length as u64;
                message.check()?;
            }
            if frame.left > 0 {
                return Ok(None);
            }
            let is_final = frame.header.is_final;
            self.frame = None;
            if is_final && let Some(message) = self.message.take() {
                return message.finish(self.most).map(Some);
            }
        }
    }

    /// Whether nothing is held: neither a frame nor a message is under way.
    pub(super) fn is_at_rest(&self) -> bool {
        self.frame.is_none() && self.message.is_none()
    }

    fn head(&mut self, input: &mut BytesMut) -> Result<Option<Frame>, Violation> {
        let mut cursor = Cursor::new(&input[..]);
        let parsed = FrameHeader::parse(&mut cursor).map_err(|_| wrong("an opcode that means nothing"))?;
        let used = usize::try_from(cursor.position()).unwrap_or(usize::MAX);
        let Some((header, length)) = parsed else { return Ok(None) };
        if header.len(length) != used || length >> 63 != 0 {
            return Err(wrong("a length that could be shorter"));
        }
        input.advance(used);
        if header.mask.is_none() {
            return Err(wrong("a frame without a mask"));
        }
        let opens = matches!(header.opcode, OpCode::Data(Data::Text | Data::Binary));
        if header.rsv2 || header.rsv3 || (header.rsv1 && !(self.deflate && opens)) {
            return Err(wrong("a reserved bit is set"));
        }
        match header.opcode {
            OpCode::Control(_) if !header.is_final => return Err(wrong("a control frame in pieces")),
            OpCode::Control(_) if length > 125 => return Err(wrong("a control frame beyond 125 bytes")),
            OpCode::Control(_) => {}
            OpCode::Data(Data::Continue) if self.message.is_none() => {
                return Err(wrong("a continuation of nothing"));
            }
            OpCode::Data(Data::Continue) => {}
            OpCode::Data(_) if self.message.is_some() => return Err(wrong("a message amid another")),
            OpCode::Data(kind) => {
                let is_text = matches!(kind, Data::Text);
                let content = BytesMut::new();
                self.message = Some(Partial { is_text, packed: header.rsv1, content, valid: 0 });
            }
        }
        if let (OpCode::Data(_), Some(message)) = (header.opcode, &self.message)
            && length > (self.most - message.content.len().min(self.most)) as u64
        {
            return Err(too_large());
        }
        Ok(Some(Frame { header, left: length, unmasked: 0 }))
    }
}

impl Partial {
    /// Text is checked as it comes (§8.1).
    fn check(&mut self) -> Result<(), Violation> {
        if !self.is_text || self.packed {
            return Ok(());
        }
        match std::str::from_utf8(self.content.get(self.valid..).unwrap_or_default()) {
            Ok(_) => self.valid = self.content.len(),
            Err(error) if error.error_len().is_none() => self.valid += error.valid_up_to(),
            Err(_) => return Err(no_text()),
        }
        Ok(())
    }

    fn finish(self, most: usize) -> Result<Event, Violation> {
        let content = if self.packed {
            deflate::inflate(&self.content, most).map_err(|fault| match fault {
                Fault::TooLarge => too_large(),
                Fault::Broken => Violation { code: 1007, reason: "a message that cannot be unpacked".into() },
            })?
        } else if self.is_text {
            self.content.to_vec()
        } else {
            return Ok(Event::Binary(self.content.freeze()));
        };
        if self.is_text {
            String::from_utf8(content).map(Event::Text).map_err(|_| no_text())
        } else {
            Ok(Event::Binary(content.into()))
        }
    }
}

fn unmask(payload: &mut [u8], frame: &mut Frame) {
    let Some(mask) = frame.header.mask else { return };
    let mut key = mask;
    key.rotate_left(frame.unmasked % 4);
    let word = u64::from_ne_bytes([key[0], key[1], key[2], key[3], key[0], key[1], key[2], key[3]]);
    let (words, rest) = payload.as_chunks_mut::<8>();
    for eight in words {
        *eight = (u64::from_ne_bytes(*eight) ^ word).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
    frame.unmasked = frame.unmasked.wrapping_add(payload.len());
}

fn said(control: Control, payload: Bytes) -> Result<Event, Violation> {
    match control {
        Control::Ping => Ok(Event::Ping(payload)),
        Control::Pong => Ok(Event::Pong),
        _ => close(&payload).map(Event::Close),
    }
}

/// The code and reason of a close frame (§5.5.1).
fn close(payload: &[u8]) -> Result<Option<(u16, String)>, Violation> {
    let Some((code, reason)) = payload.split_first_chunk::<2>() else {
        return if payload.is_empty() { Ok(None) } else { Err(wrong("a close frame of one byte")) };
    };
    let code = u16::from_be_bytes(*code);
    if !CloseCode::from(code).is_allowed() {
        return Err(wrong("a close code that may not be sent"));
    }
    let reason = std::str::from_utf8(reason).map_err(|_| no_text())?;
    Ok(Some((code, reason.to_owned())))
}

fn wrong(what: &'static str) -> Violation {
    Violation { code: 1002, reason: what.into() }
}

fn no_text() -> Violation {
    Violation { code: 1007, reason: "text that is not UTF-8".into() }
}

fn too_large() -> Violation {
    Violation { code: 1009, reason: "a message beyond the limit".into() }
}

#[cfg(test)]
mod tests;
