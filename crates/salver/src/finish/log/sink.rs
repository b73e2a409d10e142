//! Where finished log lines go: a bounded buffer that a thread of its own writes out to an [`Output`].
//!
//! Appending costs a lock and a copy. The writer sleeps while nothing comes, writes at once when the first line does, and then
//! looks again every 30 ms by itself, so that under load appending needs no system call to wake it. A slow or full disk never
//! holds up a request: the buffer fills, lines are dropped, and their number is logged when writing goes on.

use std::fs::File;
use std::io;
use std::mem;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use super::output::{Output, Stream, open};
use super::system::SystemLog;
use crate::start_error::StartError;

/// A stream of lines: a file, standard error, standard output or the system's log. Lines of several writers never mix.
#[derive(Debug)]
pub struct Sink(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// What it is called in messages.
    name: String,
    /// The file to open anew when logs are rotated; `None` for what is no file.
    path: Option<PathBuf>,
    state: Mutex<State>,
    /// The writer waits here.
    wake: Condvar,
    /// Who flushes waits here.
    written: Condvar,
    output: Mutex<Output>,
    /// The last batch could not be written.
    failing: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    lines: Vec<u8>,
    /// Lines lost since the last that could be written.
    dropped: usize,
    /// Bytes ever taken into `lines`.
    taken: u64,
    /// Bytes of those that were written or given up.
    settled: u64,
    writer: Writer,
    /// Somebody waits, or the buffer is half full: do not wait for the next look.
    hurry: bool,
    reopen: bool,
    closing: bool,
}

/// What the writer thread does just now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Writer {
    /// Not started: a process may still drop its privileges, which must come before any thread.
    #[default]
    Absent,
    /// Waiting for a line.
    Asleep,
    /// Writing, or about to look again by itself.
    Awake,
}

impl Sink {
    /// The process's standard error, one for all who write to it.
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn stderr() -> Result<Arc<Self>, StartError> {
        static SINK: OnceLock<Arc<Sink>> = OnceLock::new();
        Self::stream(&SINK, io::stderr().as_fd(), "standard error")
    }

    /// The process's standard output, one for all who write to it.
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn stdout() -> Result<Arc<Self>, StartError> {
        static SINK: OnceLock<Arc<Sink>> = OnceLock::new();
        Self::stream(&SINK, io::stdout().as_fd(), "standard output")
    }

    /// Opens the file at `path` to add lines to it; it is made if it is not there.
    ///
    /// # Errors
    /// The file cannot be opened for writing.
    pub fn file(path: &Path) -> Result<Arc<Self>, StartError> {
        let file = open(path).map_err(|error| {
            let path = path.display();
            StartError::new(format!("log file {path}: {error}; name a file in a folder you may write to"))
        })?;
        let name = path.display().to_string();
        Ok(Arc::new(Self::new(name, Some(path.to_owned()), Output::Stream(Stream::new(file)))))
    }

    /// The system's log.
    ///
    /// # Errors
    /// Nobody listens there.
    pub fn system(log: &SystemLog) -> Result<Arc<Self>, StartError> {
        Ok(Arc::new(Self::new(log.to_string(), None, Output::System(log.open()?))))
    }

    /// Takes whole lines, each with its `\n`; when the buffer is full they are dropped and counted.
    pub fn append(&self, lines: &[u8]) {
        let mut state = self.0.lock();
        if state.lines.len() + lines.len() > CAPACITY {
            state.dropped += count_lines(lines);
            return;
        }
        state.lines.extend_from_slice(lines);
        state.taken += lines.len() as u64;
        if state.lines.len() > CAPACITY / 2 && !state.hurry {
            state.hurry = true;
            self.0.wake.notify_one();
        }
        self.rouse(state);
    }

    /// Waits until what was taken so far is written, two seconds at most: a reader that stalls must not hold up the end.
    pub fn flush(&self) {
        let mut state = self.0.lock();
        let goal = state.taken;
        if state.settled >= goal {
            return;
        }
        state.hurry = true;
        self.0.wake.notify_one();
        let waiting = self.0.written.wait_timeout_while(state, FLUSH_WAIT, |state| state.settled < goal);
        drop(waiting);
    }

    /// Opens the file anew, as after a rotation; one that cannot be opened leaves the old one in use. No-op for a stream.
    pub fn reopen(&self) {
        if self.0.path.is_none() {
            return;
        }
        let mut state = self.0.lock();
        state.reopen = true;
        state.hurry = true;
        self.0.wake.notify_one();
        self.rouse(state);
    }

    /// Makes `user` and `group` own the file; no-op for a stream and for what is no regular file, as /dev/null.
    pub(crate) fn give_to(&self, user: Option<u32>, group: Option<u32>) -> io::Result<()> {
        let output = self.0.output.lock().unwrap_or_else(PoisonError::into_inner);
        match &*output {
            Output::Stream(Stream { file, .. }) if self.0.path.is_some() && file.metadata()?.is_file() => {
                std::os::unix::fs::fchown(file, user, group)
            }
            _ => Ok(()),
        }
    }

    fn stream(sink: &OnceLock<Arc<Self>>, stream: impl AsFd, name: &str) -> Result<Arc<Self>, StartError> {
        if let Some(sink) = sink.get() {
            return Ok(sink.clone());
        }
        let descriptor = stream.as_fd().try_clone_to_owned().map_err(|error| {
            StartError::new(format!("{name}: {error}; raise the limit of open files (ulimit -n)"))
        })?;
        let stream = Output::Stream(Stream::new(File::from(descriptor)));
        Ok(sink.get_or_init(|| Arc::new(Self::new(name.to_owned(), None, stream))).clone())
    }

    fn new(name: String, path: Option<PathBuf>, output: Output) -> Self {
        Self(Arc::new(Shared {
            name,
            path,
            state: Mutex::default(),
            wake: Condvar::new(),
            written: Condvar::new(),
            output: Mutex::new(output),
            failing: AtomicBool::new(false),
        }))
    }

    /// Sees to it that the writer will find what was put into `state`.
    fn rouse(&self, mut state: MutexGuard<'_, State>) {
        match state.writer {
            Writer::Awake => {}
            Writer::Asleep => {
                state.writer = Writer::Awake;
                self.0.wake.notify_one();
            }
            Writer::Absent => {
                let shared = self.0.clone();
                // Without a thread to spare the next line tries again; until then the buffer holds what comes.
                if thread::Builder::new().name("log".into()).spawn(move || shared.run()).is_ok() {
                    state.writer = Writer::Awake;
                }
            }
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.flush();
        self.0.lock().closing = true;
        self.0.wake.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The writer thread.
    fn run(&self) {
        let mut batch = Vec::new();
        while let Some(work) = self.next(&mut batch) {
            if work.reopen {
                self.reopen();
            }
            self.write(&batch, work.dropped);
            self.lock().settled += batch.len() as u64;
            self.written.notify_all();
            batch.clear();
            // The pause that saves appending its wake-ups.
            let waiting =
                self.wake.wait_timeout_while(self.lock(), PAUSE, |state| !state.hurry && !state.closing);
            drop(waiting);
        }
    }

    /// Waits for lines and takes them into `batch`, which is empty; `None` when the sink is gone.
    fn next(&self, batch: &mut Vec<u8>) -> Option<Work> {
        let mut state = self.lock();
        while state.lines.is_empty() && !state.reopen {
            if state.closing {
                return None;
            }
            state.hurry = false;
            state.writer = Writer::Asleep;
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.writer = Writer::Awake;
        state.hurry = false;
        mem::swap(&mut state.lines, batch);
        Some(Work { dropped: mem::take(&mut state.dropped), reopen: mem::take(&mut state.reopen) })
    }

    fn write(&self, batch: &[u8], dropped: usize) {
        let name = &self.name;
        let put = self.output.lock().unwrap_or_else(PoisonError::into_inner).put(batch);
        match put {
            Ok(()) => {
                self.failing.store(false, Ordering::Relaxed);
                if dropped > 0 {
                    tracing::warn!(
                        "log {name}: {dropped} lines were dropped while it could not be written fast enough"
                    );
                }
            }
            Err((error, lost)) => {
                if !self.failing.swap(true, Ordering::Relaxed) {
                    tracing::error!(
                        "log {name}: {error}; its lines are dropped until it can be written again"
                    );
                }
                // Told with the first batch that gets through.
                self.lock().dropped += dropped + count_lines(lost);
            }
        }
    }

    fn reopen(&self) {
        let Some(path) = &self.path else { return };
        match open(path) {
            Ok(file) => {
                let file = Output::Stream(Stream::new(file));
                *self.output.lock().unwrap_or_else(PoisonError::into_inner) = file;
                self.failing.store(false, Ordering::Relaxed);
            }
            Err(error) => tracing::error!("log {}: {error}; the old file stays in use", self.name),
        }
    }
}

/// What the writer has to do beside writing its batch.
struct Work {
    dropped: usize,
    reopen: bool,
}

fn count_lines(lines: &[u8]) -> usize {
    memchr::memchr_iter(b'\n', lines).count()
}

/// The buffer of a sink, in bytes.
const CAPACITY: usize = 1024 * 1024;
/// Between two looks of the writer while lines keep coming.
const PAUSE: Duration = Duration::from_millis(30);
const FLUSH_WAIT: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};
    use std::io::Read as _;

    use super::*;

    fn to(file: File) -> Sink {
        Sink::new("test".into(), None, Output::Stream(Stream::new(file)))
    }

    #[test]
    fn lines_are_written_in_order_and_all_of_them_by_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let sink = Sink::file(&path).unwrap();
        let mut want = String::new();
        for number in 0..20_000 {
            let line = format!("line {number}\n");
            sink.append(line.as_bytes());
            want.push_str(&line);
        }
        drop(sink);
        assert_eq!(fs::read_to_string(&path).unwrap(), want);
    }

    #[test]
    fn a_rotated_file_is_opened_anew_and_loses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (path, old) = (folder.path().join("log"), folder.path().join("log.1"));
        let sink = Sink::file(&path).unwrap();
        sink.append(b"one\n");
        sink.flush();
        fs::rename(&path, &old).unwrap();
        sink.reopen();
        sink.append(b"two\n");
        drop(sink);
        assert_eq!(fs::read_to_string(&old).unwrap(), "one\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "two\n");
    }

    #[test]
    fn a_reader_that_stalls_costs_lines_and_nothing_else() {
        let (mut reader, writer) = io::pipe().unwrap();
        let file = File::from(std::os::fd::OwnedFd::from(writer));
        let sink = to(file);
        let line = [&[b'x'; 1023][..], b"\n"].concat();
        for _ in 0..4096 {
            sink.append(&line);
        }
        let reading = thread::spawn(move || {
            let mut read = Vec::new();
            reader.read_to_end(&mut read).unwrap();
            read
        });
        drop(sink);
        let read = reading.join().unwrap();
        assert!(read.len() > 64 * 1024 && read.len() < 4096 * 1024, "{}", read.len());
        assert!(read.chunks(1024).all(|chunk| chunk == line), "every line is whole");
    }

    #[test]
    fn what_a_full_disk_does_not_take_is_counted() {
        let sink = to(OpenOptions::new().write(true).open("/dev/full").unwrap());
        sink.append(b"one\ntwo\n");
        sink.flush();
        assert_eq!(sink.0.lock().dropped, 2);
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_one_line() {
        let error = Sink::file(Path::new("/nonexistent/log")).unwrap_err().to_string();
        assert!(error.starts_with("log file /nonexistent/log: "), "{error}");
        assert!(!error.contains('\n'));
    }
}
