//! `--reload`: new code is served once it imports; until then the old code is, and the fault is shown to whoever uses a browser.
//!
//! A worker watches the folders of the code and asks its supervisor to reload; the supervisor replaces it as for HUP. What
//! cannot be imported never replaces what serves: the supervisor passes the fault on to the workers that stay. Without any
//! that serve, at the first start, a worker serves the fault itself, and watches for the mend.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::thread;
use std::time::Duration;

use http::header::{ACCEPT, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use notify::{Event, RecursiveMode, Watcher as _};
use salver::rfc::accept;
use salver::{Error, Handler, Reply, Request, Response, SafePath, StartError};

use super::{Host, Options};
use crate::output;
use crate::worker::Worker;

/// An application whose code may change; without one the fault is all there is.
struct Reloaded(Option<Arc<dyn Handler>>);

/// What is wrong with the code as it is now: a traceback, and the line that says what to mend.
static FAULT: Mutex<Option<Arc<str>>> = Mutex::new(None);
/// Whether there is one: what every request asks.
static IS_FAULTY: AtomicBool = AtomicBool::new(false);

/// From now on `text` is what is wrong with the code.
pub(crate) fn show(text: &str) {
    *FAULT.lock().unwrap_or_else(PoisonError::into_inner) = Some(text.into());
    IS_FAULTY.store(true, Ordering::Release);
}

fn fault() -> Option<Arc<str>> {
    IS_FAULTY.load(Ordering::Acquire).then(|| FAULT.lock().unwrap_or_else(PoisonError::into_inner).clone())?
}

/// Serves what was opened, or its fault where nobody serves older code.
///
/// # Errors
/// It could not be opened, and older code is served; the workers that do so are told.
pub(crate) fn reloaded(
    opened: Result<Arc<dyn Handler>, StartError>,
    host: &dyn Host,
) -> Result<Arc<dyn Handler>, StartError> {
    let error = match opened {
        Ok(handler) => return Ok(Arc::new(Reloaded(Some(handler)))),
        Err(error) => error,
    };
    let text = format!("{}{error}", host.traceback().unwrap_or_default());
    match Worker::current() {
        Some(worker) if worker.takes_over() => {
            worker.is_broken(&text);
            Err(error)
        }
        _ => {
            output::error_line(&error);
            show(&text);
            Ok(Arc::new(Reloaded(None)))
        }
    }
}

impl Handler for Reloaded {
    fn handle(&self, request: Request, rest: SafePath) -> Reply<'_> {
        let fault = fault();
        let is_browser = || {
            let preferred = accept::prefer(&request.headers, &["text/plain", "text/html"]);
            request.headers.contains_key(ACCEPT) && preferred == Some(1)
        };
        match (&self.0, fault) {
            (_, Some(fault)) if is_browser() => Reply::ready(Ok(page(&fault))),
            (Some(handler), _) => handler.handle(request, rest),
            (None, _) => {
                let message = "The application could not be imported; the terminal shows why";
                Reply::ready(Err(Error::new(StatusCode::INTERNAL_SERVER_ERROR, message)))
            }
        }
    }
}

/// The fault as a page, which looks for the mend by itself.
fn page(fault: &str) -> Response {
    let text = fault.replace('&', "&amp;").replace('<', "&lt;");
    let page = format!(
        "<!DOCTYPE html><html lang=\"en\"><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"2\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>The code cannot be imported</title>\
         <style>body {{ font: 1rem/1.5 system-ui, sans-serif; margin: 2rem }} pre {{ white-space: pre-wrap }}</style>\
         <h1>The code cannot be imported</h1><pre>{text}</pre><p>This page goes when the code is mended.</p></html>"
    );
    let mut response = Response::new(page.into());
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    let policy = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'");
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    response
}

/// Asks the supervisor to reload whenever code changes, from now on and until the process ends.
///
/// # Errors
/// A folder cannot be watched.
pub(crate) fn watch(options: &Options) -> Result<(), StartError> {
    static ONCE: Once = Once::new();
    let Some(worker) = Worker::current() else { return Ok(()) };
    let mut watching = Ok(());
    ONCE.call_once(|| watching = start(options, worker));
    watching
}

fn start(options: &Options, worker: &'static Worker) -> Result<(), StartError> {
    let cannot = |folder: &Path, error: &dyn std::fmt::Display| {
        let shown = folder.display();
        StartError::new(format!(
            "--reload: {shown} cannot be watched: {error}; name a folder with --reload-dir"
        ))
    };
    let (send, changes) = mpsc::channel();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        if event.is_ok_and(|event| is_change(&event)) {
            let _ = send.send(()); // nobody listens: the process ends
        }
    })
    .map_err(|error| cannot(&options.app_dir, &error))?;
    let folders = match options.reload_dir.as_slice() {
        [] => std::slice::from_ref(&options.app_dir),
        folders => folders,
    };
    for folder in folders {
        watcher.watch(folder, RecursiveMode::Recursive).map_err(|error| cannot(folder, &error))?;
    }
    let listen = move || {
        let _watcher = watcher; // it lives as long as we listen
        while changes.recv().is_ok() {
            // An editor writes a file in several steps, and a checkout many files.
            while let Ok(()) = changes.recv_timeout(SETTLED) {}
            worker.please_reload();
        }
    };
    let started = thread::Builder::new().name("reload".into()).spawn(listen);
    started.map(drop).map_err(|error| cannot(&options.app_dir, &error))
}

/// Whether code has changed: reading it is no change, and neither is what the interpreter caches of it.
fn is_change(event: &Event) -> bool {
    let is_code = |path: &Path| path.extension().is_some_and(|extension| extension == "py");
    !event.kind.is_access() && event.paths.iter().any(|path| is_code(path))
}

/// For how long nothing must change before the change is taken for complete.
const SETTLED: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use notify::EventKind;
    use notify::event::{AccessKind, CreateKind};

    use super::*;

    #[test]
    fn a_change_is_a_change_of_code() {
        for (kind, path, is) in [
            (EventKind::Create(CreateKind::File), "/a/b.py", true),
            (EventKind::Create(CreateKind::File), "/a/__pycache__/b.cpython-313.pyc", false),
            (EventKind::Access(AccessKind::Read), "/a/b.py", false),
            (EventKind::Any, "/a/b.txt", false),
        ] {
            assert_eq!(is_change(&Event::new(kind).add_path(path.into())), is, "{kind:?} {path}");
        }
    }

    #[test]
    fn a_fault_is_text() {
        let salver::Body::Bytes(page) = page("<b>&</b>").into_body() else { panic!("a page") };
        assert!(page.windows(23).any(|part| part == b"<pre>&lt;b>&amp;&lt;/b>"), "{page:?}");
    }
}
