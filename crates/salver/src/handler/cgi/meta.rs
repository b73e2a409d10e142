//! What a script learns of its request: meta-variables (RFC 3875 §4.1) and words of its command line (§4.4). Pure.
//!
//! Never passed on: `Proxy` (a script's HTTP library would take HTTP_PROXY for its proxy), credentials, names that are not
//! letters, digits and dashes, and whatever the server's own environment holds.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, PROXY_AUTHORIZATION, TRANSFER_ENCODING,
};
use http::{HeaderMap, HeaderName, Method, Version};

use super::script::Script;
use crate::request::{Local, Request};
use crate::rfc::forwarded::Scheme;
use crate::rfc::path::{self, SafePath};

/// A name and its value.
pub(super) type Variable = (OsString, OsString);

/// What the variables are made of beside the request.
#[derive(Debug)]
pub(super) struct Call<'c> {
    pub(super) script: &'c Script,
    /// The folder that is served.
    pub(super) document_root: &'c Path,
    /// The length of the request's content, if it has any.
    pub(super) content_length: Option<u64>,
}

/// The meta-variables of `request`.
pub(super) fn variables(request: &Request, call: &Call<'_>) -> Vec<Variable> {
    let Call { script, document_root, content_length } = call;
    let mut variables = Vec::with_capacity(24 + request.headers.len());
    let mut set = |name: &str, value: &[u8]| {
        variables.push((OsString::from(name), OsString::from_vec(value.to_vec())));
    };
    set("GATEWAY_INTERFACE", b"CGI/1.1");
    set("SERVER_SOFTWARE", concat!("salver/", env!("CARGO_PKG_VERSION")).as_bytes());
    set("SERVER_PROTOCOL", protocol(request.version).as_bytes());
    set("REQUEST_METHOD", request.method.as_str().as_bytes());
    set("REQUEST_URI", request.target.as_bytes());
    set("QUERY_STRING", request.target.query().unwrap_or_default());
    set("SCRIPT_NAME", &script_name(request.target.path(), &script.path_info));
    set("SCRIPT_FILENAME", script.file.as_os_str().as_bytes());
    set("DOCUMENT_ROOT", document_root.as_os_str().as_bytes());
    set("PATH_INFO", &script.path_info);
    if !script.path_info.is_empty() {
        set("PATH_TRANSLATED", &[document_root.as_os_str().as_bytes(), &script.path_info].concat());
    }
    let (name, port) = server(request);
    set("SERVER_NAME", &name);
    set("SERVER_PORT", port.as_bytes());
    if request.peer.scheme == Scheme::Https {
        set("HTTPS", b"on");
    }
    for (name, value) in request.peer.tls.iter().flat_map(|session| session.variables()) {
        set(name, value.as_bytes());
    }
    // RFC 3875 §4.1.8: it must be there. A client of a Unix socket has no address.
    set(
        "REMOTE_ADDR",
        request.peer.remote.map(|remote| remote.ip().to_string()).unwrap_or_default().as_bytes(),
    );
    if let Some(port) = request.peer.remote.as_ref().map(SocketAddr::port).filter(|port| *port != 0) {
        set("REMOTE_PORT", port.to_string().as_bytes());
    }
    // SECURITY: the scheme is named, and nobody as REMOTE_USER: nothing here has checked a password.
    if let Some(scheme) = request.headers.get(AUTHORIZATION).and_then(|value| auth_scheme(value.as_bytes())) {
        set("AUTH_TYPE", scheme);
    }
    if let Some(length) = content_length {
        set("CONTENT_LENGTH", length.to_string().as_bytes());
    }
    if let Some(value) = request.headers.get(CONTENT_TYPE) {
        set("CONTENT_TYPE", value.as_bytes());
    }
    if !request.headers.contains_key(ACCEPT) {
        set("HTTP_ACCEPT", b""); // as http.server has it
    }
    for name in request.headers.keys().filter(|name| is_passed_on(name)) {
        set(&variable_name(name), &joined(&request.headers, name));
    }
    variables
}

/// The words of the command line: those of an indexed query, which has no `=` (RFC 3875 §4.4).
pub(super) fn arguments(request: &Request) -> Vec<OsString> {
    let query = request.target.query().unwrap_or_default();
    if query.is_empty() || query.contains(&b'=') || !matches!(request.method, Method::GET | Method::HEAD) {
        return Vec::new();
    }
    let words: Vec<_> =
        query.split(|byte| *byte == b'+').map(|word| path::decode(word).into_owned()).collect();
    // SECURITY: a word that looks like an option would be one (`php-cgi?-s` sent the source). RFC 3875 §7.2: all or none.
    let refused = |word: &Vec<u8>| word.starts_with(b"-") || word.contains(&0);
    if words.iter().any(refused) {
        return Vec::new();
    }
    words.into_iter().map(OsString::from_vec).collect()
}

/// The path of the script: what was asked for, decoded, without PATH_INFO.
fn script_name(path: &[u8], path_info: &[u8]) -> Vec<u8> {
    let path = SafePath::parse(path).unwrap_or_else(|_| SafePath::root());
    let behind = path_info.strip_suffix(b"/").unwrap_or(path_info); // a `SafePath` has no slash at its end
    let name = path.as_bytes();
    let name = name.get(..name.len().saturating_sub(behind.len())).unwrap_or_default();
    [b"/", name].concat()
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        _ => "HTTP/1.1",
    }
}

/// SERVER_NAME and SERVER_PORT: the host that the client named, and the port that it reached.
fn server(request: &Request) -> (Vec<u8>, String) {
    let host = request.headers.get(HOST).map_or(&b""[..], |host| host.as_bytes());
    // The HTTP parser has checked it: `name`, `name:port` or `[address]:port`.
    let colon = memchr::memrchr(b':', host)
        .filter(|colon| !host.get(*colon..).is_some_and(|end| end.contains(&b']')));
    let (name, port) = host.split_at(colon.unwrap_or(host.len()));
    match &*request.peer.local {
        Local::Tcp(address) => {
            let own = match address {
                SocketAddr::V4(address) => address.ip().to_string(),
                SocketAddr::V6(address) => format!("[{}]", address.ip()), // RFC 3875 §4.1.14
            };
            let name = if name.is_empty() { own.into_bytes() } else { name.to_vec() };
            (name, address.port().to_string())
        }
        Local::Unix(_) => {
            let default = if request.peer.scheme == Scheme::Https { "443" } else { "80" };
            let port = port.strip_prefix(b":").filter(|port| !port.is_empty());
            let port = port.map_or(default.into(), |port| String::from_utf8_lossy(port).into_owned());
            (if name.is_empty() { b"localhost".to_vec() } else { name.to_vec() }, port)
        }
    }
}

/// The token before the credentials (RFC 9110 §11.4).
fn auth_scheme(value: &[u8]) -> Option<&[u8]> {
    let scheme = value.split(|byte| *byte == b' ').next()?;
    (!scheme.is_empty() && scheme.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-'))
        .then_some(scheme)
}

fn is_passed_on(name: &HeaderName) -> bool {
    // SECURITY: two names that differ in `-` and `_` would be one variable; `HTTP_PROXY` is a setting of many libraries.
    let is_plain = name.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let has_its_own = [CONTENT_LENGTH, CONTENT_TYPE].contains(name);
    let is_secret = [AUTHORIZATION, PROXY_AUTHORIZATION].contains(name);
    is_plain && !has_its_own && !is_secret && *name != TRANSFER_ENCODING && name.as_str() != "proxy"
}

fn variable_name(name: &HeaderName) -> String {
    format!("HTTP_{}", name.as_str().to_ascii_uppercase().replace('-', "_"))
}

/// All values of a field as one (RFC 9110 §5.3, RFC 6265 §5.4).
fn joined(headers: &HeaderMap, name: &HeaderName) -> Vec<u8> {
    let between: &[u8] = match *name {
        COOKIE => b"; ",
        ACCEPT => b",", // as http.server has it; the space means nothing
        _ => b", ",
    };
    let values: Vec<_> = headers.get_all(name).iter().map(|value| value.as_bytes()).collect();
    values.join(between)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::HeaderValue;

    use super::*;

    fn request(target: &'static str, fields: &[(&'static str, &'static str)]) -> Request {
        let mut request = Request::get(target);
        for (name, value) in fields {
            request.headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        request.peer.local = Arc::new(Local::Tcp("127.0.0.1:8000".parse().unwrap()));
        request.peer.remote = Some("192.0.2.7:4711".parse().unwrap());
        request
    }

    fn of(request: &Request, path_info: &str, length: Option<u64>, name: &str) -> Option<String> {
        let script = Script { file: "/srv/cgi-bin/x y".into(), path_info: path_info.into() };
        let call = Call { script: &script, document_root: Path::new("/srv"), content_length: length };
        let variables = variables(request, &call);
        let mut found = variables.iter().filter(|(found, _)| found == name).map(|(_, value)| value);
        let value = found.next().map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(found.next(), None, "{name} stands twice");
        value
    }

    #[test]
    fn every_variable_of_a_request() {
        let asked = request(
            "//cgi-bin/x%20y/a%20b/?q=%20&r",
            &[
                ("host", "example.org:81"),
                ("content-type", "text/plain"),
                ("accept", "a"),
                ("accept", "b"),
                ("x-y", "a"),
                ("x-y", "b"),
            ],
        );
        for (name, want) in [
            ("GATEWAY_INTERFACE", Some("CGI/1.1")),
            ("SERVER_PROTOCOL", Some("HTTP/1.1")),
            ("REQUEST_METHOD", Some("GET")),
            ("REQUEST_URI", Some("//cgi-bin/x%20y/a%20b/?q=%20&r")),
            ("QUERY_STRING", Some("q=%20&r")),
            ("SCRIPT_NAME", Some("/cgi-bin/x y")),
            ("SCRIPT_FILENAME", Some("/srv/cgi-bin/x y")),
            ("DOCUMENT_ROOT", Some("/srv")),
            ("PATH_INFO", Some("/a b/")),
            ("PATH_TRANSLATED", Some("/srv/a b/")),
            ("SERVER_NAME", Some("example.org")),
            ("SERVER_PORT", Some("8000")),
            ("REMOTE_ADDR", Some("192.0.2.7")),
            ("REMOTE_PORT", Some("4711")),
            ("CONTENT_LENGTH", Some("7")),
            ("CONTENT_TYPE", Some("text/plain")),
            ("HTTP_ACCEPT", Some("a,b")),
            ("HTTP_X_Y", Some("a, b")),
            ("HTTP_HOST", Some("example.org:81")),
            ("HTTP_CONTENT_TYPE", None),
            ("HTTPS", None),
            ("AUTH_TYPE", None),
            ("PATH", None),
        ] {
            assert_eq!(of(&asked, "/a b/", Some(7), name).as_deref(), want, "{name}");
        }
        assert!(of(&asked, "", None, "SERVER_SOFTWARE").unwrap().starts_with("salver/"));
    }

    #[test]
    fn what_is_not_there_is_empty_or_unset_as_the_rfc_has_it() {
        let asked = request("/cgi-bin/x%20y", &[]);
        for (name, want) in [
            ("QUERY_STRING", Some("")),
            ("PATH_INFO", Some("")),
            ("PATH_TRANSLATED", None),
            ("HTTP_ACCEPT", Some("")),
            ("CONTENT_LENGTH", None),
            ("CONTENT_TYPE", None),
            ("SCRIPT_NAME", Some("/cgi-bin/x y")),
            ("SERVER_NAME", Some("127.0.0.1")),
        ] {
            assert_eq!(of(&asked, "", None, name).as_deref(), want, "{name}");
        }
    }

    #[test]
    fn secrets_and_names_that_could_be_mistaken_are_not_passed_on() {
        let asked = request(
            "/x",
            &[
                ("authorization", "Basic c2VjcmV0OnNlY3JldA=="),
                ("proxy-authorization", "Basic c2VjcmV0OnNlY3JldA=="),
                ("proxy", "http://evil/"),
                ("x_y", "1"),
                ("x.y", "1"),
                ("transfer-encoding", "chunked"),
                ("cookie", "a=1"),
                ("cookie", "b=2"),
            ],
        );
        let names: Vec<_> =
            asked.headers.keys().filter(|name| is_passed_on(name)).map(variable_name).collect();
        assert_eq!(names, ["HTTP_COOKIE"]);
        assert_eq!(of(&asked, "", None, "HTTP_COOKIE").as_deref(), Some("a=1; b=2"));
        assert_eq!(of(&asked, "", None, "AUTH_TYPE").as_deref(), Some("Basic"));
        assert_eq!(of(&asked, "", None, "REMOTE_USER"), None);
    }

    #[test]
    fn the_server_is_named_as_the_client_named_it() {
        let unix = Local::Unix("/run/x".into());
        let v6 = Local::Tcp("[::1]:8000".parse().unwrap());
        for (host, local, scheme, name, port) in [
            (Some("a.b"), &v6, Scheme::Http, "a.b", "8000"),
            (Some("[::2]:9"), &v6, Scheme::Http, "[::2]", "8000"),
            (Some("[::2]"), &v6, Scheme::Http, "[::2]", "8000"),
            (None, &v6, Scheme::Http, "[::1]", "8000"),
            (Some("a.b:9"), &unix, Scheme::Http, "a.b", "9"),
            (Some("a.b"), &unix, Scheme::Https, "a.b", "443"),
            (None, &unix, Scheme::Http, "localhost", "80"),
        ] {
            let mut asked = request("/x", &[]);
            if let Some(host) = host {
                asked.headers.insert(HOST, HeaderValue::from_static(host));
            }
            asked.peer.local = Arc::new(local.clone());
            asked.peer.scheme = scheme;
            assert_eq!(server(&asked), (name.as_bytes().to_vec(), port.to_owned()), "{host:?}");
            let https = (scheme == Scheme::Https).then_some("on");
            assert_eq!(of(&asked, "", None, "HTTPS").as_deref(), https);
        }
    }

    #[test]
    fn a_query_without_an_equals_sign_becomes_words() {
        for (target, words) in [
            ("/x", &[][..]),
            ("/x?", &[]),
            ("/x?a", &["a"]),
            ("/x?a+b%2Bc+%20", &["a", "b+c", " "]),
            ("/x?a=b", &[]),
            ("/x?a%3Db", &["a=b"]),
            ("/x?-s", &[]),
            ("/x?a+-s", &[]),
            ("/x?a+%2Ds", &[]),
            ("/x?a%00", &[]),
        ] {
            assert_eq!(arguments(&Request::get(target)), words, "{target}");
        }
        let post = Request { method: Method::POST, ..Request::get("/x?a") };
        assert_eq!(arguments(&post), [""; 0]);
    }
}
