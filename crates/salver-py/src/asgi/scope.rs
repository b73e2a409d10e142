//! Scopes (ASGI, "HTTP Connection Scope", "WebSocket Connection Scope"): a copy of a dict that holds what all requests that came the
//! same way have in common, and what this one adds.

use std::net::SocketAddr;

use http::{HeaderMap, Method, Version};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};
use salver::{Local, Request, Scheme, Target};

use crate::template::{self, Templates};

/// What makes the scopes of one mount.
pub(crate) struct Scopes {
    /// What `--root-path` says, and the mount.
    root_path: String,
    /// The lifespan's state, which each request has a copy of.
    state: Py<PyDict>,
    methods: Vec<(Method, Py<PyString>)>,
    templates: Templates<Kind>,
}

/// A request as a message of the log names it.
pub(crate) struct Shown(Method, Target);

impl Shown {
    pub(crate) fn of(request: &Request) -> Self {
        Self(request.method.clone(), request.target.clone())
    }
}

impl std::fmt::Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.0, self.1.as_bytes().escape_ascii())
    }
}

/// Of which protocol a scope is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Http,
    WebSocket,
}

impl Scopes {
    pub(crate) fn new(py: Python<'_>, before: &str, mount: &str, state: Py<PyDict>) -> Self {
        let methods = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE, Method::PATCH];
        let methods = methods.map(|method| (method.clone(), PyString::intern(py, method.as_str()).unbind()));
        let root_path = [before, mount].map(|part| part.trim_end_matches('/')).concat();
        Self { root_path, state, methods: methods.into(), templates: Templates::default() }
    }

    /// The scope of `request`; `path_info` is its path below the mount, decoded.
    pub(crate) fn of<'py>(
        &self,
        py: Python<'py>,
        kind: Kind,
        request: &Request,
        path_info: &[u8],
    ) -> PyResult<Bound<'py, PyDict>> {
        let scope =
            self.templates.copy(py, request, kind, |local, scheme| self.common(py, kind, local, scheme))?;
        for name in [intern!(py, "asgi"), intern!(py, "extensions")] {
            if let Some(shared) = scope.get_item(name)? {
                scope.set_item(name, shared.cast::<PyDict>()?.copy()?)?;
            }
        }
        if kind == Kind::Http {
            match self.methods.iter().find(|(method, _)| *method == request.method) {
                Some((_, name)) => scope.set_item(intern!(py, "method"), name)?,
                None => scope.set_item(intern!(py, "method"), request.method.as_str())?,
            }
        }
        if request.version != Version::HTTP_11 {
            let version = if request.version == Version::HTTP_2 { "2" } else { "1.0" };
            scope.set_item(intern!(py, "http_version"), version)?;
        }
        let raw = request.target.path();
        let below = String::from_utf8_lossy(path_info);
        let whole = match (raw, self.root_path.as_str()) {
            (b"*", _) | (_, "") => below,
            (_, root) => format!("{root}{below}").into(),
        };
        scope.set_item(intern!(py, "path"), PyString::new(py, &whole))?;
        scope.set_item(intern!(py, "raw_path"), PyBytes::new(py, raw))?;
        let query = PyBytes::new(py, request.target.query().unwrap_or_default());
        scope.set_item(intern!(py, "query_string"), query)?;
        scope.set_item(intern!(py, "headers"), fields(py, &request.headers)?)?;
        let address = |remote: SocketAddr| (template::address(py, remote.ip().to_canonical()), remote.port());
        let client = request.peer.remote.map(address);
        scope.set_item(intern!(py, "client"), client)?;
        scope.set_item(intern!(py, "state"), self.state.bind(py).copy()?)?;
        if kind == Kind::Http
            && !request.interim.is_heard()
            && let Some(extensions) = scope.get_item(intern!(py, "extensions"))?
        {
            extensions.del_item(EARLY_HINT)?;
        }
        if let Some(tls) = &request.peer.tls
            && let Some(extensions) = scope.get_item(intern!(py, "extensions"))?
        {
            extensions.set_item("tls", self::tls(py, tls)?)?;
        }
        Ok(scope)
    }

    /// What all requests that came the same way have in common, and places for what each of them says.
    fn common<'py>(
        &self,
        py: Python<'py>,
        kind: Kind,
        local: &Local,
        scheme: Scheme,
    ) -> PyResult<Bound<'py, PyDict>> {
        let (name, scheme, extensions) = match (kind, scheme) {
            (Kind::Http, Scheme::Http) => ("http", "http", HTTP_EXTENSIONS),
            (Kind::Http, Scheme::Https) => ("http", "https", HTTP_EXTENSIONS),
            (Kind::WebSocket, Scheme::Http) => ("websocket", "ws", WEBSOCKET_EXTENSIONS),
            (Kind::WebSocket, Scheme::Https) => ("websocket", "wss", WEBSOCKET_EXTENSIONS),
        };
        let dict = PyDict::new(py);
        dict.set_item(intern!(py, "type"), PyString::intern(py, name))?;
        let asgi = PyDict::new(py);
        asgi.set_item("version", "3.0")?;
        asgi.set_item("spec_version", SPEC_VERSION)?;
        dict.set_item(intern!(py, "asgi"), asgi)?;
        dict.set_item(intern!(py, "http_version"), "1.1")?;
        dict.set_item(intern!(py, "scheme"), PyString::intern(py, scheme))?;
        dict.set_item(intern!(py, "root_path"), &self.root_path)?;
        dict.set_item(intern!(py, "server"), server(py, local)?)?;
        let offered = PyDict::new(py);
        for extension in extensions {
            offered.set_item(extension, PyDict::new(py))?;
        }
        dict.set_item(intern!(py, "extensions"), offered)?;
        let said = ["path", "raw_path", "query_string", "headers", "client", "state"];
        for name in said.into_iter().chain((kind == Kind::Http).then_some("method")) {
            dict.set_item(PyString::intern(py, name), py.None())?;
        }
        Ok(dict)
    }
}

fn server<'py>(py: Python<'py>, local: &Local) -> PyResult<Bound<'py, PyTuple>> {
    match local {
        Local::Tcp(SocketAddr::V4(address)) => (address.ip().to_string(), address.port()).into_pyobject(py),
        Local::Tcp(SocketAddr::V6(address)) => {
            (address.ip().to_canonical().to_string(), address.port()).into_pyobject(py)
        }
        Local::Unix(path) => (path.to_string_lossy(), py.None()).into_pyobject(py),
    }
}

fn fields<'py>(py: Python<'py>, headers: &HeaderMap) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    for (name, value) in headers {
        let pair = (PyBytes::new(py, name.as_str().as_bytes()), PyBytes::new(py, value.as_bytes()));
        list.append(pair.into_pyobject(py)?)?;
    }
    Ok(list)
}

/// The extension `tls` (ASGI, "TLS Extension"), as far as the handshake tells.
fn tls<'py>(py: Python<'py>, session: &salver::tls::Session) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    let mut chain: Vec<String> = Vec::new();
    let (mut name, mut version) = (None, None);
    for (variable, value) in session.variables() {
        match variable {
            "SSL_CLIENT_CERT" => chain.push(value.into_owned()),
            "SSL_CLIENT_S_DN" => name = Some(value.into_owned()),
            "SSL_PROTOCOL" => version = Some(if value == "TLSv1.3" { 0x0304 } else { 0x0303 }),
            _ => {}
        }
    }
    dict.set_item("server_cert", py.None())?;
    dict.set_item("client_cert_chain", chain)?;
    dict.set_item("client_cert_name", name)?;
    dict.set_item("client_cert_error", py.None())?;
    dict.set_item("tls_version", version)?;
    dict.set_item("cipher_suite", py.None())?;
    Ok(dict)
}

const EARLY_HINT: &str = "http.response.early_hint";
const HTTP_EXTENSIONS: &[&str] = &["http.response.pathsend", EARLY_HINT];
const WEBSOCKET_EXTENSIONS: &[&str] = &["websocket.http.response"];
/// From 2.4 on, sending to a client that has left raises `OSError`.
const SPEC_VERSION: &str = "2.4";
