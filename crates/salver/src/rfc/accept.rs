//! What a client takes: `Accept-Encoding` and `Accept`, RFC 9110 §12.5.1, §12.5.3.
//!
//! Several lines are one list. A member that is malformed is left out, and a field with no good member counts as absent, so
//! garbage gets the answer a client without the field would get.

use http::header::{ACCEPT, ACCEPT_ENCODING};
use http::{HeaderMap, HeaderName};

use super::list;

/// A content coding this server speaks, in the order it prefers them: the last is the best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Coding {
    /// As it is.
    Identity,
    /// gzip, RFC 1952.
    Gzip,
    /// Brotli, RFC 7932.
    Brotli,
    /// Zstandard, RFC 8878.
    Zstd,
}

/// The codings a client takes, each with its quality.
///
/// ```
/// use http::{HeaderMap, HeaderValue, header::ACCEPT_ENCODING};
/// use salver::rfc::accept::{Coding, Codings};
///
/// let mut headers = HeaderMap::new();
/// headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip, br;q=0.9, zstd;q=0"));
/// let codings = Codings::parse(&headers);
/// assert_eq!(codings.choose(&[Coding::Identity, Coding::Brotli, Coding::Gzip]), Some(Coding::Gzip));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Codings {
    /// Quality in thousandths by `Coding as usize`; `None` is not acceptable.
    quality: [Option<u16>; Coding::ALL.len()],
}

impl Coding {
    /// Every coding, the worst first.
    pub const ALL: [Self; 4] = [Self::Identity, Self::Gzip, Self::Brotli, Self::Zstd];

    /// Its name in `Content-Encoding`; `identity` is never sent there.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }

    /// The coding of that name, in any case; `x-gzip` is gzip (RFC 9110 §8.4.1.3).
    #[must_use]
    pub fn parse(name: &[u8]) -> Option<Self> {
        let named = Self::ALL.into_iter().find(|coding| name.eq_ignore_ascii_case(coding.name().as_bytes()));
        named.or_else(|| name.eq_ignore_ascii_case(b"x-gzip").then_some(Self::Gzip))
    }
}

impl Codings {
    /// Nothing but identity.
    const IDENTITY: Self = Self { quality: [Some(0), None, None, None] };

    /// Reads the `Accept-Encoding` lines. Without one, only identity is taken: the RFC would allow any, no client means it.
    #[must_use]
    pub fn parse(headers: &HeaderMap) -> Self {
        if !list::has(headers, &ACCEPT_ENCODING) {
            return Self::IDENTITY;
        }
        let mut named = [None; Coding::ALL.len()];
        let mut others = None;
        for (name, quality) in members(headers, &ACCEPT_ENCODING).filter_map(weighed) {
            match Coding::parse(name) {
                // Every position is there: `named` is as long as `ALL`.
                Some(coding) => {
                    named.iter_mut().skip(coding as usize).take(1).for_each(|seen| *seen = Some(quality))
                }
                None if name == b"*" => others = Some(quality),
                None => {}
            }
        }
        let mut quality = named.map(|named| named.or(others).filter(|quality| *quality > 0));
        // §12.5.3: identity is acceptable unless it is excluded, and then the least of what is.
        if let ([identity, ..], [None, ..], None) = (&mut quality, named, others) {
            *identity = Some(0);
        }
        Self { quality }
    }

    /// The coding of `offered` that the client likes best, the server's order deciding between equals; `None` if it takes
    /// none of them.
    #[must_use]
    pub fn choose(&self, offered: &[Coding]) -> Option<Coding> {
        let acceptable = offered.iter().filter_map(|coding| Some((self.quality(*coding)?, *coding)));
        acceptable.max().map(|(_, coding)| coding)
    }

    /// Whether the client takes this coding.
    #[must_use]
    pub fn takes(&self, coding: Coding) -> bool {
        self.quality(coding).is_some()
    }

    fn quality(&self, coding: Coding) -> Option<u16> {
        self.quality.get(coding as usize).copied().flatten()
    }
}

/// The position in `offered` of the media type that the client likes best by `Accept`; the first of equals.
///
/// Each offer has the quality of the most specific range it matches. `None` if the client takes none of them; without a good
/// range in the field every offer will do.
///
/// ```
/// use http::{HeaderMap, HeaderValue, header::ACCEPT};
///
/// let mut headers = HeaderMap::new();
/// headers.insert(ACCEPT, HeaderValue::from_static("application/json, */*;q=0.1"));
/// let best = salver::rfc::accept::prefer(&headers, &["text/html", "application/json"]);
/// assert_eq!(best, Some(1));
/// ```
#[must_use]
pub fn prefer(headers: &HeaderMap, offered: &[&str]) -> Option<usize> {
    let mut any = false;
    // For each offer, how specific the range was that it matched best, and its quality.
    let mut found = vec![(0, 0); offered.len()];
    for (range, quality) in members(headers, &ACCEPT).filter_map(media_range) {
        any = true;
        for (offer, best) in offered.iter().zip(&mut found) {
            if let Some(specific) = specificity(range, offer.as_bytes()) {
                *best = (*best).max((specific, quality));
            }
        }
    }
    if !any {
        return (!offered.is_empty()).then_some(0);
    }
    let acceptable = found.iter().enumerate().filter(|(_, (_, quality))| *quality > 0);
    // `max_by_key` takes the last of equals.
    acceptable.rev().max_by_key(|(_, (_, quality))| *quality).map(|(position, _)| position)
}

/// The members of a list field, over all its lines.
fn members<'h>(headers: &'h HeaderMap, field: &HeaderName) -> impl Iterator<Item = &'h [u8]> {
    list::lines(headers, field).flat_map(|value| list::split(value.as_bytes(), b','))
}

/// A coding and its quality, 1 if it has none; `None` if the quality is malformed.
fn weighed(member: &[u8]) -> Option<(&[u8], u16)> {
    let mut pieces = list::split(member, b';');
    let name = pieces.next()?;
    match pieces.next() {
        None => Some((name, 1000)),
        Some(weight) => Some((name, weight_of(weight)?)),
    }
}

/// A media range with the parameters before its weight, and its quality; `None` if malformed.
fn media_range(member: &[u8]) -> Option<(&[u8], u16)> {
    let is_type = list::split(member, b';').next()?.contains(&b'/');
    let weight = list::split(member, b';').skip(1).find(|piece| is_weight(piece));
    let quality = weight.map_or(Some(1000), weight_of)?;
    is_type.then_some((member, quality))
}

/// How well an offer matches a range: 1 for `*/*`, 2 for `type/*`, 3 and more for the type with so many parameters.
fn specificity(range: &[u8], offer: &[u8]) -> Option<usize> {
    let mut wanted = list::split(range, b';');
    let (wanted_type, given_type) = (wanted.next()?, list::split(offer, b';').next()?);
    let mut specific = match wanted_type {
        b"*/*" => 1,
        [kind @ .., b'*'] if kind.ends_with(b"/") => {
            given_type.get(..kind.len())?.eq_ignore_ascii_case(kind).then_some(2)?
        }
        _ => wanted_type.eq_ignore_ascii_case(given_type).then_some(3)?,
    };
    // What follows the weight is no parameter of the type.
    for parameter in wanted.take_while(|piece| !is_weight(piece)) {
        if !list::split(offer, b';').skip(1).any(|given| given.eq_ignore_ascii_case(parameter)) {
            return None;
        }
        specific += 1;
    }
    Some(specific)
}

fn is_weight(piece: &[u8]) -> bool {
    matches!(piece, [b'q' | b'Q', b'=', ..])
}

fn weight_of(piece: &[u8]) -> Option<u16> {
    let (name, value) = list::parameter(piece)?;
    name.eq_ignore_ascii_case(b"q").then_some(value).and_then(list::quality)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn headers(field: HeaderName, lines: &[&[u8]]) -> HeaderMap {
        let value = |line: &&[u8]| HeaderValue::from_bytes(line).unwrap();
        lines.iter().map(|line| (field.clone(), value(line))).collect()
    }

    #[test]
    fn the_best_coding_is_chosen() {
        use Coding::{Brotli, Gzip, Identity, Zstd};
        // (field, best of all four, best of identity and gzip)
        for (field, all, gzip) in [
            ("gzip", Some(Gzip), Some(Gzip)),
            ("GZIP", Some(Gzip), Some(Gzip)),
            ("x-gzip", Some(Gzip), Some(Gzip)),
            ("gzip, deflate, br, zstd", Some(Zstd), Some(Gzip)),
            ("zstd;q=0.5, br;q=0.5, gzip;q=0.5", Some(Zstd), Some(Gzip)),
            ("br;q=0.8, gzip;q=0.9", Some(Gzip), Some(Gzip)),
            ("gzip;q=0.001", Some(Gzip), Some(Gzip)),
            ("gzip;Q=0.5 , br ; q=0.6", Some(Brotli), Some(Gzip)),
            ("br", Some(Brotli), Some(Identity)),
            ("gzip;q=0", Some(Identity), Some(Identity)),
            ("identity", Some(Identity), Some(Identity)),
            ("identity, gzip;q=0.5", Some(Identity), Some(Identity)),
            ("*", Some(Zstd), Some(Gzip)),
            ("*, zstd;q=0", Some(Brotli), Some(Gzip)),
            ("*;q=0", None, None),
            ("*;q=0, identity", Some(Identity), Some(Identity)),
            ("*;q=0, br", Some(Brotli), None),
            ("identity;q=0", None, None),
            ("identity;q=0, gzip", Some(Gzip), Some(Gzip)),
            ("deflate", Some(Identity), Some(Identity)),
            ("gzip;q=2", Some(Identity), Some(Identity)),
            ("gzip;x=1", Some(Identity), Some(Identity)),
            (",;, ;q=1,=", Some(Identity), Some(Identity)),
            ("", Some(Identity), Some(Identity)),
        ] {
            let codings = Codings::parse(&headers(ACCEPT_ENCODING, &[field.as_bytes()]));
            assert_eq!(codings.choose(&Coding::ALL), all, "{field}");
            assert_eq!(codings.choose(&[Identity, Gzip]), gzip, "{field}");
        }
        let none = Codings::parse(&HeaderMap::new());
        assert_eq!(none.choose(&Coding::ALL), Some(Identity));
        let lines = Codings::parse(&headers(ACCEPT_ENCODING, &[b"gzip", b"br"]));
        assert!(lines.takes(Gzip) && lines.takes(Brotli) && !lines.takes(Zstd));
    }

    #[test]
    fn the_best_type_is_preferred() {
        let offered = ["text/html; charset=utf-8", "application/json", "image/svg+xml"];
        for (field, best) in [
            ("text/html", Some(0)),
            ("application/json", Some(1)),
            ("APPLICATION/JSON", Some(1)),
            ("*/*", Some(0)),
            ("*/*;q=0.1, application/json", Some(1)),
            ("application/*", Some(1)),
            ("image/*, application/*;q=0.9", Some(2)),
            ("text/html;q=0.5, application/json;q=0.6", Some(1)),
            ("application/json, text/html", Some(0)),
            ("text/html;q=0, */*", Some(1)),
            ("text/*;q=0.3, text/html;q=0.7, */*;q=0.5", Some(0)),
            ("text/html;charset=utf-8;q=0.2, text/html, */*;q=0.5", Some(1)),
            ("text/html;level=1", None),
            ("text/html;q=0.4;level=1", Some(0)),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", Some(0)),
            ("video/mp4", None),
            ("*/*;q=0", None),
            ("application", Some(0)),
            ("application/json;q=x", Some(0)),
            ("application/json;x=\"a,b;q=0\", text/html;q=0.1", Some(0)),
            (",;=,", Some(0)),
            ("", Some(0)),
        ] {
            assert_eq!(prefer(&headers(ACCEPT, &[field.as_bytes()]), &offered), best, "{field}");
        }
        assert_eq!(prefer(&HeaderMap::new(), &offered), Some(0));
        assert_eq!(prefer(&HeaderMap::new(), &[]), None);
        assert_eq!(prefer(&headers(ACCEPT, &[b"text/html;q=0.1", b"application/json"]), &offered), Some(1));
    }

    proptest! {
        #[test]
        fn what_is_chosen_was_offered(
            field in prop_oneof!["[ ,;q=01.*]{0,20}", "((gzip|br|identity|\\*|zstd)(;q=0(\\.[0-9])?)?, ?){0,5}"],
            offered in proptest::sample::subsequence(Coding::ALL.to_vec(), 0..=4),
        ) {
            let codings = Codings::parse(&headers(ACCEPT_ENCODING, &[field.as_bytes()]));
            let chosen = codings.choose(&offered);
            prop_assert!(chosen.is_none_or(|coding| offered.contains(&coding) && codings.takes(coding)));
            prop_assert_eq!(chosen.is_none(), !offered.iter().any(|coding| codings.takes(*coding)));
        }

        #[test]
        fn any_field_gets_an_offer_or_none(field in "[a-z*/;,=\"q0-9. ]{0,40}") {
            let best = prefer(&headers(ACCEPT, &[field.as_bytes()]), &["text/html", "application/json"]);
            prop_assert!(best.is_none_or(|best| best < 2));
        }
    }
}
