//! The environ dict (PEP 3333, "environ Variables"): a copy of a dict that holds what all requests of a mount have in common, and
//! what this one adds.
//!
//! Names are strings that were made once; a name that a client chose is never interned. Values are latin-1.

use std::net::SocketAddr;
use std::sync::Arc;

use http::header::{self, CONTENT_LENGTH, CONTENT_TYPE, COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};
use salver::{Local, Request, Scheme};

use super::error_stream::ErrorStream;
use super::file::FileWrapper;
use super::hints::EarlyHints;
use super::input::Input;
use crate::exchange::Exchange;
use crate::template::{self, Templates};
use crate::text::latin1;

/// What makes the environs of one mount.
pub(crate) struct Environ {
    names: Names,
    /// The name of each usual field, as `HTTP_ACCEPT`.
    fields: HeaderMap<Py<PyString>>,
    methods: Vec<(Method, Py<PyString>)>,
    script_name: String,
    multithread: bool,
    errors: Py<ErrorStream>,
    empty: Py<Input>,
    templates: Templates<()>,
}

/// Names of variables that every request sets.
struct Names {
    content_length: Py<PyString>,
    content_type: Py<PyString>,
    early_hints: Py<PyString>,
    input: Py<PyString>,
    path_info: Py<PyString>,
    query_string: Py<PyString>,
    remote_addr: Py<PyString>,
    remote_port: Py<PyString>,
    request_method: Py<PyString>,
    request_uri: Py<PyString>,
    server_protocol: Py<PyString>,
}

impl Names {
    fn new(py: Python<'_>) -> Self {
        let name = |text| PyString::intern(py, text).unbind();
        Self {
            content_length: name("CONTENT_LENGTH"),
            content_type: name("CONTENT_TYPE"),
            early_hints: name("wsgi.early_hints"),
            input: name("wsgi.input"),
            path_info: name("PATH_INFO"),
            query_string: name("QUERY_STRING"),
            remote_addr: name("REMOTE_ADDR"),
            remote_port: name("REMOTE_PORT"),
            request_method: name("REQUEST_METHOD"),
            request_uri: name("REQUEST_URI"),
            server_protocol: name("SERVER_PROTOCOL"),
        }
    }
}

impl Environ {
    pub(crate) fn open(py: Python<'_>, prefix: &str, multithread: bool) -> PyResult<Self> {
        let mut fields = HeaderMap::with_capacity(USUAL.len());
        for name in USUAL {
            let variable = PyString::intern(py, &variable(&name)).unbind();
            fields.insert(name, variable);
        }
        let methods = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE];
        let methods = methods.map(|method| (method.clone(), PyString::intern(py, method.as_str()).unbind()));
        Ok(Self {
            names: Names::new(py),
            fields,
            methods: methods.into(),
            script_name: if prefix == "/" { String::new() } else { prefix.to_owned() },
            multithread,
            errors: Py::new(py, ErrorStream::new())?,
            empty: Py::new(py, Input::empty())?,
            templates: Templates::default(),
        })
    }

    /// The environ of `request`; without `input` it has no body.
    pub(crate) fn of<'py>(
        &self,
        py: Python<'py>,
        request: &Request,
        path_info: &[u8],
        input: Option<Input>,
        exchange: &Arc<Exchange>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let names = &self.names;
        let environ = self.templates.copy(py, request, (), |local, scheme| self.common(py, local, scheme))?;
        match self.methods.iter().find(|(method, _)| *method == request.method) {
            Some((_, name)) => environ.set_item(&names.request_method, name)?,
            None => environ.set_item(&names.request_method, request.method.as_str())?,
        }
        environ.set_item(&names.path_info, latin1(py, path_info))?;
        environ.set_item(&names.request_uri, latin1(py, request.target.as_bytes()))?;
        if let Some(query) = request.target.query() {
            environ.set_item(&names.query_string, latin1(py, query))?;
        }
        if request.version != Version::HTTP_11 {
            let protocol = if request.version == Version::HTTP_2 { "HTTP/2.0" } else { "HTTP/1.0" };
            environ.set_item(&names.server_protocol, protocol)?;
        }
        if let Some(remote) = request.peer.remote {
            environ.set_item(&names.remote_addr, template::address(py, remote.ip()))?;
            environ.set_item(&names.remote_port, itoa::Buffer::new().format(remote.port()))?;
        }
        for (name, value) in request.peer.tls.iter().flat_map(|session| session.variables()) {
            environ.set_item(name, latin1(py, value.as_bytes()))?;
        }
        if let Some(input) = input {
            environ.set_item(&names.input, Bound::new(py, input)?)?;
        }
        if exchange.hears_hints() {
            let hints = EarlyHints::new(Arc::clone(exchange));
            environ.set_item(&names.early_hints, Bound::new(py, hints)?)?;
        }
        self.add_fields(&environ, &request.headers)?;
        Ok(environ)
    }

    fn add_fields(&self, environ: &Bound<'_, PyDict>, headers: &HeaderMap) -> PyResult<()> {
        let py = environ.py();
        let mut fields = headers.iter().peekable();
        while let Some((name, value)) = fields.next() {
            let mut joined = None;
            while let Some((_, more)) = fields.next_if(|(next, _)| *next == name) {
                join(joined.get_or_insert_with(|| value.as_bytes().to_vec()), name, more);
            }
            let value = latin1(py, joined.as_deref().unwrap_or_else(|| value.as_bytes()));
            match name {
                name if *name == CONTENT_TYPE => environ.set_item(&self.names.content_type, value)?,
                name if *name == CONTENT_LENGTH => environ.set_item(&self.names.content_length, value)?,
                // SECURITY: `HTTP_PROXY` is a setting of many libraries.
                name if name.as_str() == "proxy" => {}
                name => match self.fields.get(name) {
                    Some(variable) => environ.set_item(variable, value)?,
                    None => environ.set_item(variable(name), value)?,
                },
            }
        }
        Ok(())
    }

    /// What all requests that came the same way have in common, with room for what they add.
    fn common<'py>(&self, py: Python<'py>, local: &Local, scheme: Scheme) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        let (url_scheme, default_port) =
            if scheme == Scheme::Https { ("https", "443") } else { ("http", "80") };
        let (server_name, server_port) = match local {
            Local::Tcp(SocketAddr::V4(address)) => (address.ip().to_string(), address.port().to_string()),
            Local::Tcp(SocketAddr::V6(address)) => {
                (format!("[{}]", address.ip()), address.port().to_string())
            }
            Local::Unix(_) => ("localhost".to_owned(), default_port.to_owned()),
        };
        for (name, value) in [
            ("SERVER_NAME", server_name.as_str()),
            ("SERVER_PORT", &server_port),
            ("SERVER_PROTOCOL", "HTTP/1.1"),
            ("SERVER_SOFTWARE", concat!("salver/", env!("CARGO_PKG_VERSION"))),
            ("SCRIPT_NAME", &self.script_name),
            ("QUERY_STRING", ""),
            ("REMOTE_ADDR", ""),
            ("wsgi.url_scheme", url_scheme),
        ] {
            let value = latin1_of(py, value);
            dict.set_item(PyString::intern(py, name), value)?;
        }
        if scheme == Scheme::Https {
            dict.set_item("HTTPS", "on")?;
        }
        dict.set_item("wsgi.version", PyTuple::new(py, [1, 0])?)?;
        dict.set_item("wsgi.multithread", self.multithread)?;
        dict.set_item("wsgi.multiprocess", false)?;
        dict.set_item("wsgi.run_once", false)?;
        dict.set_item("wsgi.input_terminated", true)?;
        dict.set_item("wsgi.errors", &self.errors)?;
        dict.set_item("wsgi.file_wrapper", py.get_type::<FileWrapper>())?;
        dict.set_item(&self.names.input, &self.empty)?;
        dict.set_item(&self.names.early_hints, Bound::new(py, EarlyHints::default())?)?;
        for each in [&self.names.request_method, &self.names.path_info, &self.names.request_uri] {
            dict.set_item(each, "")?;
        }
        template::give_room(&dict)?;
        Ok(dict)
    }
}

/// A prefix is UTF-8 on the command line, and its bytes are what a path is compared with.
fn latin1_of<'py>(py: Python<'py>, text: &str) -> Bound<'py, PyString> {
    latin1(py, text.as_bytes())
}

/// All values of a field as one (RFC 9110 §5.3, RFC 6265 §5.4).
fn join(joined: &mut Vec<u8>, name: &HeaderName, more: &HeaderValue) {
    joined.extend_from_slice(if *name == COOKIE { b"; " } else { b", " });
    joined.extend_from_slice(more.as_bytes());
}

fn variable(name: &HeaderName) -> String {
    format!("HTTP_{}", name.as_str().to_ascii_uppercase().replace('-', "_"))
}

/// Fields that clients usually send.
const USUAL: [HeaderName; 40] = [
    header::ACCEPT,
    header::ACCEPT_CHARSET,
    header::ACCEPT_ENCODING,
    header::ACCEPT_LANGUAGE,
    header::ACCESS_CONTROL_REQUEST_HEADERS,
    header::ACCESS_CONTROL_REQUEST_METHOD,
    header::AUTHORIZATION,
    header::CACHE_CONTROL,
    header::CONNECTION,
    header::CONTENT_ENCODING,
    header::COOKIE,
    header::DNT,
    header::EXPECT,
    header::FORWARDED,
    header::FROM,
    header::HOST,
    header::IF_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_NONE_MATCH,
    header::IF_RANGE,
    header::IF_UNMODIFIED_SINCE,
    header::MAX_FORWARDS,
    header::ORIGIN,
    header::PRAGMA,
    header::RANGE,
    header::REFERER,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::UPGRADE_INSECURE_REQUESTS,
    header::USER_AGENT,
    header::VIA,
    HeaderName::from_static("priority"),
    HeaderName::from_static("sec-fetch-dest"),
    HeaderName::from_static("sec-fetch-mode"),
    HeaderName::from_static("sec-fetch-site"),
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("x-requested-with"),
];
