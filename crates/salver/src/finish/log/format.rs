//! What an access line holds: `--access-log-format`, parsed once into pieces. Pure.
//!
//! gunicorn's atoms (`access_log_format` in its settings) keep their meaning. An atom that does not exist is refused here, at
//! the start, where gunicorn would write `-` for ever.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use http::HeaderName;
use http::header::{AUTHORIZATION, REFERER, USER_AGENT};

use super::stamp::Stamp;

/// A format of access lines: `python`, `common`, `combined`, `json`, or text with gunicorn's atoms.
///
/// ```
/// use salver::finish::log::Format;
///
/// assert!("%(h)s %(r)s %({x-request-id}i)s %(D)s".parse::<Format>().is_ok());
/// let error = "%(y)s".parse::<Format>().unwrap_err();
/// assert!(error.to_string().starts_with("no atom %(y)s"));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Format {
    spelling: Arc<str>,
    pub(super) plan: Plan,
}

/// How a line is put together.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Plan {
    /// http.server's line, written when the response starts.
    Python,
    /// One JSON object a line.
    Json,
    /// Pieces one after the other.
    Pieces(Pieces),
}

/// A parsed line of atoms.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Pieces {
    pub(super) list: Vec<Piece>,
    /// The header fields of the request that pieces refer to, by their place here.
    pub(super) request_fields: Vec<HeaderName>,
    /// Those of the response.
    pub(super) response_fields: Vec<HeaderName>,
}

/// One piece of a line.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Piece {
    /// As written in the format.
    Text(String),
    /// `h`: the client's address.
    Host,
    /// `l`: always `-` (RFC 1413 is history).
    Ident,
    /// `u`: the user of Basic credentials; the place of `Authorization`.
    User(usize),
    /// `t`: the time.
    Time,
    /// `r`: the request line as sent.
    RequestLine,
    /// `m`: the method.
    Method,
    /// `{wsgi.url_scheme}e`: http or https.
    Scheme,
    /// `{RAW_URI}e`: the target as sent.
    Target,
    /// `U`: the path, decoded.
    Path,
    /// `q`: the query.
    Query,
    /// `H`: the protocol.
    Protocol,
    /// `s`: the status.
    Status,
    /// `B`: bytes of content sent.
    Bytes,
    /// `b`: the same, `-` for none.
    BytesOrDash,
    /// `T`: whole seconds from head to end.
    Seconds,
    /// `M`: the same in milliseconds.
    Millis,
    /// `D`: the same in microseconds.
    Micros,
    /// `L`: the same in seconds with six decimals.
    Decimal,
    /// `p`: the process.
    Process,
    /// `{REMOTE_PORT}e`.
    RemotePort,
    /// `{SERVER_PORT}e`.
    LocalPort,
    /// `{name}i`, `f`, `a`: a header field of the request, by its place.
    RequestField(usize),
    /// `{name}o`: a header field of the response, by its place.
    ResponseField(usize),
}

/// Why a format is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadFormat {
    /// The name of no atom.
    #[error(
        "no atom %({0})s; there are h l u t r m U q H s b B f a T D M L p, {{name}}i and {{name}}o \
        for headers, and {{NAME}}e where NAME is one of {VARIABLES}"
    )]
    Atom(String),
    /// A `%` that begins no atom.
    #[error("a % that begins no atom: {0:?}; write %(name)s, or %% for a percent sign")]
    Percent(String),
    /// A word that is no format.
    #[error("{0:?} holds no atom; take python, common, combined, json or text like \"%(h)s %(r)s %(s)s\"")]
    NoAtom(String),
}

impl Format {
    /// How a line spells its time.
    pub(super) fn stamp(&self) -> Stamp {
        match self.plan {
            Plan::Python => Stamp::Python,
            Plan::Json => Stamp::Iso,
            Plan::Pieces(_) => Stamp::Common,
        }
    }

    /// The header fields of a request that a line needs.
    pub(super) fn request_fields(&self) -> &[HeaderName] {
        match &self.plan {
            Plan::Python => &[],
            Plan::Json => &JSON_FIELDS,
            Plan::Pieces(pieces) => &pieces.request_fields,
        }
    }

    /// The header fields of a response that a line needs.
    pub(super) fn response_fields(&self) -> &[HeaderName] {
        match &self.plan {
            Plan::Pieces(pieces) => &pieces.response_fields,
            _ => &[],
        }
    }
}

impl Default for Format {
    fn default() -> Self {
        Self { spelling: "python".into(), plan: Plan::Python }
    }
}

impl FromStr for Format {
    type Err = BadFormat;

    fn from_str(spelling: &str) -> Result<Self, BadFormat> {
        let plan = match spelling {
            "python" => Plan::Python,
            "json" => Plan::Json,
            "common" => Plan::Pieces(Pieces::parse(COMMON)?),
            "combined" => Plan::Pieces(Pieces::parse(COMBINED)?),
            _ => Plan::Pieces(Pieces::parse(spelling)?),
        };
        Ok(Self { spelling: spelling.into(), plan })
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.spelling)
    }
}

impl Pieces {
    fn parse(format: &str) -> Result<Self, BadFormat> {
        let mut pieces = Self::default();
        let mut text = String::new();
        let mut rest = format;
        while let Some((before, after)) = rest.split_once('%') {
            text.push_str(before);
            if let Some(after) = after.strip_prefix('%') {
                text.push('%');
                rest = after;
                continue;
            }
            let (atom, after) =
                after.strip_prefix('(').and_then(|after| after.split_once(")s")).ok_or_else(|| {
                    BadFormat::Percent(format!("%{}", after.chars().take(12).collect::<String>()))
                })?;
            if !text.is_empty() {
                pieces.list.push(Piece::Text(std::mem::take(&mut text)));
            }
            let piece = pieces.atom(atom).ok_or_else(|| BadFormat::Atom(atom.to_owned()))?;
            pieces.list.push(piece);
            rest = after;
        }
        if pieces.list.is_empty() {
            return Err(BadFormat::NoAtom(format.to_owned()));
        }
        text.push_str(rest);
        if !text.is_empty() {
            pieces.list.push(Piece::Text(text));
        }
        Ok(pieces)
    }

    fn atom(&mut self, atom: &str) -> Option<Piece> {
        Some(match atom {
            "h" => Piece::Host,
            "l" => Piece::Ident,
            "u" => Piece::User(place(&mut self.request_fields, AUTHORIZATION)),
            "t" => Piece::Time,
            "r" => Piece::RequestLine,
            "m" => Piece::Method,
            "U" => Piece::Path,
            "q" => Piece::Query,
            "H" => Piece::Protocol,
            "s" => Piece::Status,
            "B" => Piece::Bytes,
            "b" => Piece::BytesOrDash,
            "f" => Piece::RequestField(place(&mut self.request_fields, REFERER)),
            "a" => Piece::RequestField(place(&mut self.request_fields, USER_AGENT)),
            "T" => Piece::Seconds,
            "M" => Piece::Millis,
            "D" => Piece::Micros,
            "L" => Piece::Decimal,
            "p" => Piece::Process,
            _ => return self.named(atom),
        })
    }

    /// `{name}i`, `{name}o`, `{NAME}e`.
    fn named(&mut self, atom: &str) -> Option<Piece> {
        let (name, kind) = atom.strip_prefix('{')?.split_once('}')?;
        let field = || HeaderName::from_str(name).ok();
        match kind {
            "i" => Some(Piece::RequestField(place(&mut self.request_fields, field()?))),
            "o" => Some(Piece::ResponseField(place(&mut self.response_fields, field()?))),
            "e" => self.variable(name),
            _ => None,
        }
    }

    /// A variable of the request as gateways name it (RFC 3875 §4.1, PEP 3333), in whatever case, as gunicorn has it.
    fn variable(&mut self, name: &str) -> Option<Piece> {
        let name = name.to_ascii_uppercase();
        Some(match &*name {
            "PATH_INFO" => Piece::Path,
            "QUERY_STRING" => Piece::Query,
            "RAW_URI" | "REQUEST_URI" => Piece::Target,
            "REMOTE_ADDR" => Piece::Host,
            "REMOTE_PORT" => Piece::RemotePort,
            "REQUEST_METHOD" => Piece::Method,
            "SERVER_PORT" => Piece::LocalPort,
            "SERVER_PROTOCOL" => Piece::Protocol,
            "CONTENT_LENGTH" | "CONTENT_TYPE" => return self.header_variable(&name),
            "WSGI.URL_SCHEME" => Piece::Scheme,
            _ => return self.header_variable(name.strip_prefix("HTTP_")?),
        })
    }

    fn header_variable(&mut self, name: &str) -> Option<Piece> {
        let name = HeaderName::from_str(&name.replace('_', "-")).ok()?;
        Some(Piece::RequestField(place(&mut self.request_fields, name)))
    }
}

/// Where `name` stands in `fields`, put there if it is not.
fn place(fields: &mut Vec<HeaderName>, name: HeaderName) -> usize {
    fields.iter().position(|field| *field == name).unwrap_or_else(|| {
        fields.push(name);
        fields.len() - 1
    })
}

/// The names of `{NAME}e`, for the message.
const VARIABLES: &str = "CONTENT_LENGTH CONTENT_TYPE HTTP_* PATH_INFO QUERY_STRING RAW_URI REMOTE_ADDR REMOTE_PORT \
    REQUEST_METHOD REQUEST_URI SERVER_PORT SERVER_PROTOCOL wsgi.url_scheme";
/// What `Plan::Json` reads, by place.
static JSON_FIELDS: [HeaderName; 2] = [REFERER, USER_AGENT];
const COMMON: &str = r#"%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s"#;
const COMBINED: &str = r#"%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s""#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn atoms_become_pieces() {
        let text = |text: &str| Piece::Text(text.to_owned());
        for (format, want) in [
            ("%(h)s", vec![Piece::Host]),
            ("%(h)s%(s)s", vec![Piece::Host, Piece::Status]),
            ("a %(D)s b", vec![text("a "), Piece::Micros, text(" b")]),
            ("100%% %(T)s %%", vec![text("100% "), Piece::Seconds, text(" %")]),
            ("%(f)s%({Referer}i)s", vec![Piece::RequestField(0), Piece::RequestField(0)]),
            ("%(a)s%({etag}o)s", vec![Piece::RequestField(0), Piece::ResponseField(0)]),
            ("%({http_host}e)s%({HTTP_HOST}e)s", vec![Piece::RequestField(0), Piece::RequestField(0)]),
            ("%({wsgi.url_scheme}e)s", vec![Piece::Scheme]),
            ("%({HTTP_HOST}e)s%({REMOTE_PORT}e)s", vec![Piece::RequestField(0), Piece::RemotePort]),
        ] {
            assert_eq!(Pieces::parse(format).map(|pieces| pieces.list), Ok(want), "{format}");
        }
    }

    #[test]
    fn what_is_no_format_is_refused_in_one_line() {
        for (format, want) in [
            ("pyhton", BadFormat::NoAtom("pyhton".into())),
            ("", BadFormat::NoAtom(String::new())),
            ("%(x)s", BadFormat::Atom("x".into())),
            ("%({a b}i)s", BadFormat::Atom("{a b}i".into())),
            ("%({HOME}e)s", BadFormat::Atom("{HOME}e".into())),
            ("%({a}x)s", BadFormat::Atom("{a}x".into())),
            ("%h %(s)s", BadFormat::Percent("%h %(s)s".into())),
            ("%(s)d", BadFormat::Percent("%(s)d".into())),
            ("%(s)s %", BadFormat::Percent("%".into())),
        ] {
            let error = format.parse::<Format>().unwrap_err();
            assert_eq!(error, want, "{format}");
            assert!(!error.to_string().contains('\n'));
        }
    }

    #[test]
    fn every_variable_that_the_message_names_is_there() {
        for name in VARIABLES.split(' ') {
            let name = name.replace('*', "HOST");
            assert!(format!("%({{{name}}}e)s").parse::<Format>().is_ok(), "{name}");
        }
        let error = "%({PATH}e)s".parse::<Format>().unwrap_err().to_string();
        assert!(error.contains("PATH_INFO") && !error.contains("{NAME}e)"), "{error}");
    }

    #[test]
    fn a_format_is_shown_as_it_was_spelled() {
        for spelling in ["python", "common", "combined", "json", "%(h)s"] {
            assert_eq!(spelling.parse::<Format>().unwrap().to_string(), spelling);
        }
    }
}
