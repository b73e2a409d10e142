//! What is looked at before `h2` sees it: the sizes of frames that have one, and how many a client sends that ask nothing. Pure.
//!
//! `h2` ends such a connection as well where a size is wrong, but calls every fault PROTOCOL_ERROR; RFC 9113 §4.2 has a name for
//! this one. And it answers as many PINGs and SETTINGS as come.

use std::time::{Duration, Instant};

use h2::Reason;

use super::PREFACE;

/// Watches what a client sends, in whatever pieces it comes.
///
/// ```
/// use std::time::Instant;
///
/// use salver::http2::gate::Gate;
///
/// let mut gate = Gate::new(Instant::now());
/// let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
/// assert!(gate.admit(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Instant::now).is_ok());
/// assert!(gate.admit(&settings, Instant::now).is_ok());
/// let refused = gate.admit(&[0, 0, 7, 6, 0, 0, 0, 0, 0], Instant::now).unwrap_err();
/// assert_eq!(refused.reason, h2::Reason::FRAME_SIZE_ERROR, "a PING has 8 bytes");
/// ```
#[derive(Debug)]
pub struct Gate {
    /// The header of the frame that is coming (RFC 9113 §4.1), and how much of it has come.
    header: [u8; HEADER],
    known: usize,
    /// How much is left of what was looked at.
    passing: usize,
    expects: Expects,
    /// Frames that ask nothing, since `since`.
    idle: u32,
    since: Instant,
}

/// Which frame may come (RFC 9113 §3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expects {
    Settings,
    Anything,
}

/// A frame that is not let in: what came before it may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// How many of the bytes that were looked at last are let in.
    pub admitted: usize,
    /// What the client is told (RFC 9113 §7).
    pub reason: Reason,
}

impl Gate {
    /// For a connection that begins `now`, with its preface.
    pub fn new(now: Instant) -> Self {
        let passing = PREFACE.len(); // which `h2` reads byte by byte
        Self { header: [0; HEADER], known: 0, passing, expects: Expects::Settings, idle: 0, since: now }
    }

    /// Looks at what came next.
    ///
    /// # Errors
    /// [`Refused`]; nothing after it may be looked at.
    pub fn admit(&mut self, bytes: &[u8], now: impl Fn() -> Instant) -> Result<(), Refused> {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            if self.passing > 0 {
                let count = rest.len().min(self.passing);
                self.passing -= count;
                at += count;
                continue;
            }
            // What of a header came earlier was let through: half a header does nothing.
            let start = at;
            while self.known < HEADER
                && let (Some(slot), Some(byte)) = (self.header.get_mut(self.known), bytes.get(at))
            {
                *slot = *byte;
                self.known += 1;
                at += 1;
            }
            if self.known == HEADER {
                self.known = 0;
                self.passing = self.look(&now).map_err(|reason| Refused { admitted: start, reason })?;
            }
        }
        Ok(())
    }

    /// Judges the frame of `header`; the length of its payload.
    fn look(&mut self, now: &impl Fn() -> Instant) -> Result<usize, Reason> {
        let [high, middle, low, kind, flags, ..] = self.header;
        let length = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        if self.expects == Expects::Settings && kind != SETTINGS {
            return Err(Reason::PROTOCOL_ERROR);
        }
        self.expects = Expects::Anything;
        let fits = match kind {
            PRIORITY => length == 5,
            RST_STREAM | WINDOW_UPDATE => length == 4,
            SETTINGS if flags & ACK != 0 => length == 0,
            SETTINGS => length.is_multiple_of(6),
            PING => length == 8,
            GOAWAY => length >= 8,
            _ => length <= FRAME,
        };
        if !fits || length > FRAME {
            return Err(Reason::FRAME_SIZE_ERROR);
        }
        // WINDOW_UPDATE is as frequent as our own DATA, and CONTINUATION has bounds in `h2`.
        let asks = match kind {
            DATA => length > 0 || flags & END_STREAM != 0,
            HEADERS | WINDOW_UPDATE | CONTINUATION => true,
            _ => false,
        };
        if !asks {
            self.idle += 1;
            if self.idle > IDLE_FRAMES {
                let now = now();
                if now.saturating_duration_since(self.since) < PERIOD {
                    return Err(Reason::ENHANCE_YOUR_CALM);
                }
                (self.idle, self.since) = (0, now);
            }
        }
        Ok(length)
    }
}

/// The length of a frame's header.
const HEADER: usize = 9;
/// The largest frame we take: what SETTINGS_MAX_FRAME_SIZE is where nobody says otherwise.
const FRAME: usize = 1 << 14;
/// How many frames that ask nothing a client may send in a period.
const IDLE_FRAMES: u32 = 1000;
const PERIOD: Duration = Duration::from_secs(10);

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, length: usize) -> Vec<u8> {
        let [.., high, middle, low] = length.to_be_bytes();
        let mut frame = vec![high, middle, low, kind, flags, 0, 0, 0, 1];
        frame.resize(HEADER + length, 0);
        frame
    }

    fn wire(frames: &[Vec<u8>]) -> Vec<u8> {
        [PREFACE.to_vec(), frame(SETTINGS, 0, 6), frames.concat()].concat()
    }

    /// How much was let in before the refusal, and its reason; the wire comes in pieces of `size`.
    fn judge(wire: &[u8], size: usize) -> Option<(usize, Reason)> {
        let start = Instant::now();
        let mut gate = Gate::new(start);
        let mut before = 0;
        for piece in wire.chunks(size) {
            if let Err(Refused { admitted, reason }) = gate.admit(piece, || start) {
                return Some((before + admitted, reason));
            }
            before += piece.len();
        }
        None
    }

    #[test]
    fn sizes_are_judged_however_the_bytes_come() {
        let begin = wire(&[]).len();
        for (frames, want) in [
            (vec![frame(HEADERS, 5, 30), frame(DATA, 1, 0)], None),
            (vec![frame(PING, 0, 8), frame(PING, 0, 7)], Some((begin + 17, Reason::FRAME_SIZE_ERROR))),
            (vec![frame(PRIORITY, 0, 4)], Some((begin, Reason::FRAME_SIZE_ERROR))),
            (vec![frame(RST_STREAM, 0, 5)], Some((begin, Reason::FRAME_SIZE_ERROR))),
            (vec![frame(WINDOW_UPDATE, 0, 3)], Some((begin, Reason::FRAME_SIZE_ERROR))),
            (vec![frame(SETTINGS, 0, 7)], Some((begin, Reason::FRAME_SIZE_ERROR))),
            (vec![frame(SETTINGS, ACK, 6)], Some((begin, Reason::FRAME_SIZE_ERROR))),
            (vec![frame(GOAWAY, 0, 7)], Some((begin, Reason::FRAME_SIZE_ERROR))),
            (vec![frame(DATA, 0, FRAME)], None),
            (vec![frame(DATA, 0, FRAME + 1)], Some((begin, Reason::FRAME_SIZE_ERROR))),
            (vec![frame(0xFF, 0xFF, 100)], None),
        ] {
            let wire = wire(&frames);
            assert_eq!(judge(&wire, wire.len()), want, "{frames:?}");
            for size in [1, 2, 5, 9, 10, 23, 100] {
                let got = judge(&wire, size);
                assert_eq!(
                    got.map(|(_, reason)| reason),
                    want.map(|(_, reason)| reason),
                    "{frames:?} {size}"
                );
                // Of a header in pieces, the earlier ones have passed.
                assert!(got.is_none_or(|(at, _)| at - want.unwrap().0 < HEADER), "{frames:?} {size}");
            }
        }
    }

    #[test]
    fn settings_come_first() {
        let wire = [PREFACE, &frame(PING, 0, 8)].concat();
        assert_eq!(judge(&wire, 1000), Some((PREFACE.len(), Reason::PROTOCOL_ERROR)));
    }

    #[test]
    fn frames_that_ask_nothing_are_counted() {
        for (kind, flags, length, bounded) in [
            (PING, 0, 8, true),
            (SETTINGS, 0, 0, true),
            (SETTINGS, ACK, 0, true),
            (PRIORITY, 0, 5, true),
            (RST_STREAM, 0, 4, true),
            (DATA, 0, 0, true),
            (0xFF, 0, 0, true),
            (DATA, 0, 1, false),
            (HEADERS, 5, 1, false),
            (WINDOW_UPDATE, 0, 4, false),
        ] {
            let frames = vec![frame(kind, flags, length); 1100];
            let refused = judge(&wire(&frames), 1 << 20).map(|(_, reason)| reason);
            assert_eq!(refused, bounded.then_some(Reason::ENHANCE_YOUR_CALM), "{kind}");
        }
        let start = Instant::now();
        let mut gate = Gate::new(start);
        gate.admit(&wire(&[]), || start).unwrap();
        for hour in 0..100 {
            let now = start + Duration::from_secs(3600 * hour);
            let pings = vec![frame(PING, 0, 8); 900].concat();
            assert_eq!(gate.admit(&pings, || now), Ok(()), "hour {hour}");
        }
    }
}
