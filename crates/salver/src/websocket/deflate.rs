//! permessage-deflate without context takeover (RFC 7692 §7.2): nothing is kept from one message to the next, so that an idle
//! connection holds no window; the state of each thread serves all of its connections.

use std::cell::RefCell;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

thread_local! {
    static INFLATE: RefCell<Option<Decompress>> = const { RefCell::new(None) };
    static DEFLATE: RefCell<Option<Compress>> = const { RefCell::new(None) };
}

/// Why a message cannot be unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Broken,
    TooLarge,
}

/// Unpacks a message; `most` is the largest that may come of it, in bytes.
pub(super) fn inflate(packed: &[u8], most: usize) -> Result<Vec<u8>, Fault> {
    INFLATE.with_borrow_mut(|kept| {
        let inflate = kept.get_or_insert_with(|| Decompress::new(false));
        inflate.reset(false);
        let mut out = Vec::with_capacity(packed.len().saturating_mul(3).clamp(64, 64 * 1024));
        for part in [packed, TAIL] {
            let begun = inflate.total_in();
            loop {
                let used = usize::try_from(inflate.total_in() - begun).unwrap_or(usize::MAX);
                let rest = part.get(used..).unwrap_or_default();
                if out.len() == out.capacity() {
                    out.reserve(out.len().clamp(64, 1024 * 1024));
                }
                let (before, made) = (inflate.total_in(), inflate.total_out());
                let status = inflate.decompress_vec(rest, &mut out, FlushDecompress::Sync);
                let status = status.map_err(|_| Fault::Broken)?;
                if out.len() > most {
                    return Err(Fault::TooLarge);
                }
                let is_stuck = before == inflate.total_in() && made == inflate.total_out();
                let is_full = out.len() == out.capacity();
                match status {
                    Status::StreamEnd => return Ok(out), // a last block (§7.2.3.5): legal, if unusual
                    _ if is_full => {}
                    _ if is_stuck || inflate.total_in() - begun == part.len() as u64 => break,
                    _ => {}
                }
            }
        }
        Ok(out)
    })
}

/// Packs a message.
pub(super) fn deflate(plain: &[u8]) -> Vec<u8> {
    DEFLATE.with_borrow_mut(|kept| {
        let deflate = kept.get_or_insert_with(|| Compress::new(Compression::new(LEVEL), false));
        deflate.reset();
        let mut out = Vec::with_capacity(plain.len() / 2 + 64);
        loop {
            let used = usize::try_from(deflate.total_in()).unwrap_or(usize::MAX);
            let rest = plain.get(used..).unwrap_or_default();
            if out.capacity() - out.len() < 64 {
                out.reserve(out.len().max(64));
            }
            // Cannot fail: the state was made new, and is never told that the stream ends.
            let _ = deflate.compress_vec(rest, &mut out, FlushCompress::Sync);
            if deflate.total_in() == plain.len() as u64 && out.len() < out.capacity() {
                break;
            }
        }
        if out.ends_with(TAIL) {
            out.truncate(out.len() - TAIL.len());
        }
        out
    })
}

/// What every message ends with, and is not sent (§7.2.1).
const TAIL: &[u8] = &[0x00, 0x00, 0xff, 0xff];
/// The quickest level that finds repetitions well.
const LEVEL: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_unpacks_to_the_same() {
        for length in [0, 1, 64, 1000, 100_000, 1_000_000] {
            let plain: Vec<u8> = (0..length).map(|i: u32| (i % 251 * (i / 7 % 13)) as u8).collect();
            let packed = deflate(&plain);
            assert_eq!(inflate(&packed, length as usize).unwrap(), plain, "{length}");
            if length > 1 {
                assert_eq!(inflate(&packed, length as usize - 1), Err(Fault::TooLarge), "{length}");
            }
        }
    }

    #[test]
    fn examples_of_the_rfc() {
        // §7.2.3.1, .2 with its own tail, .3 (a block without compression), .4 (a last block)
        for packed in [
            &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00][..],
            &[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00],
            &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00],
            &[0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00],
        ] {
            assert_eq!(inflate(packed, 100).unwrap(), b"Hello", "{packed:02x?}");
        }
        assert_eq!(inflate(&[0xff; 20], 100), Err(Fault::Broken));
    }
}
