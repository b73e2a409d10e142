//! The event log: what happens beside requests, one line an event on standard error, spelled as gunicorn does.
//!
//! `[2026-11-23 06:27:00 +0000] [4711] [WARNING] what happened key=value`. It shares its sink with the access log, so that lines
//! do not mix, and escapes control characters, so that an event stays one line whatever it quotes.

use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use salver::StartError;
use salver::finish::log::Sink;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::output;

/// What is logged beside requests.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Options {
    /// The least an event must be to be logged on standard error
    #[arg(long, value_name = "L", value_enum, default_value_t)]
    pub log_level: LogLevel,
}

/// How grave an event is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogLevel {
    /// Something failed
    Error,
    /// Something may fail
    #[value(alias = "warn")]
    Warning,
    /// Something to know
    #[default]
    Info,
    /// Something for the search of a fault
    Debug,
}

/// Logs events from now on, whatever thread they come from.
///
/// # Errors
/// Standard error cannot be used.
pub fn start(options: &Options) -> Result<(), StartError> {
    begin(options, Output::Sink(Sink::stderr()?));
    Ok(())
}

/// How far this machine's zone is ahead of UTC at a moment (seconds since 1970).
pub fn seconds_ahead_of_utc(moment: i64) -> i32 {
    Timestamp::from_second(moment).map_or(0, |moment| TimeZone::system().to_offset(moment).seconds())
}

/// The same without a thread that writes: for a process that must have only one. What standard error cannot take at once is lost
/// and counted: a reader that stalls must not hold up the process.
pub(crate) fn start_directly(options: &Options) {
    begin(options, Output::Direct(AtomicUsize::new(0)));
}

/// Logs what is as grave as `options` say from now on.
pub(crate) fn set_level(options: &Options) {
    MOST.store(options.log_level as u8, Ordering::Relaxed);
    tracing::callsite::rebuild_interest_cache();
}

fn begin(options: &Options, output: Output) {
    MOST.store(options.log_level as u8, Ordering::Relaxed);
    // Refused only where the program around us has a log of its own, which it then prefers.
    let _ = tracing::subscriber::set_global_default(EventLog { output });
}

/// Writes out what was logged; the last thing a process does.
pub fn flush() {
    if let Ok(sink) = Sink::stderr() {
        sink.flush();
    }
}

/// The least grave level that is logged.
fn most() -> Level {
    match MOST.load(Ordering::Relaxed) {
        level if level == LogLevel::Error as u8 => Level::ERROR,
        level if level == LogLevel::Warning as u8 => Level::WARN,
        level if level == LogLevel::Debug as u8 => Level::DEBUG,
        _ => Level::INFO,
    }
}

/// The [`LogLevel`] of the process.
static MOST: AtomicU8 = AtomicU8::new(LogLevel::Info as u8);

struct EventLog {
    output: Output,
}

/// Where events go.
enum Output {
    /// Through the sink that access lines may take too.
    Sink(Arc<Sink>),
    /// To standard error itself; how many were lost.
    Direct(AtomicUsize),
}

impl Output {
    fn append(&self, line: &str) {
        match self {
            Self::Sink(sink) => sink.append(line.as_bytes()),
            Self::Direct(lost) => {
                let stderr = std::io::stderr();
                let mut fds = [PollFd::new(&stderr, PollFlags::OUT)];
                let ready = poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
                if ready != Ok(1) {
                    lost.fetch_add(1, Ordering::Relaxed);
                    return;
                }
                let missing = match lost.swap(0, Ordering::Relaxed) {
                    0 => String::new(),
                    count => format!("{count} events were lost while standard error could not be written\n"),
                };
                output::event(&format!("{missing}{}", line.trim_end()));
            }
        }
    }
}

/// Spans are not logged: salver opens none.
impl Subscriber for EventLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= most()
    }

    fn max_level_hint(&self) -> Option<tracing::level_filters::LevelFilter> {
        Some(tracing::level_filters::LevelFilter::DEBUG) // it may change
    }

    fn event(&self, event: &Event<'_>) {
        let now = Timestamp::now().to_zoned_datetime(TimeZone::system());
        let mut text = Text::default();
        event.record(&mut text);
        let line = line(&now.strftime("%Y-%m-%d %H:%M:%S %z").to_string(), *event.metadata().level(), &text);
        self.output.append(&line);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// An event as text.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
    /// What an application printed of its fault: the one field that may be lines, indented below the event.
    traceback: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let written = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            "traceback" => write!(self.traceback, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
        written.expect("writing to memory does not fail");
    }
}

fn line(time: &str, level: Level, text: &Text) -> String {
    let level = if level == Level::WARN { "WARNING" } else { level.as_str() };
    let pid = std::process::id();
    let mut line = format!("[{time}] [{pid}] [{level}] ");
    line.push_str(&escaped(&text.message));
    line.push_str(&escaped(&text.fields));
    line.push('\n');
    for part in text.traceback.lines() {
        line.push_str("    ");
        line.push_str(&escaped(part));
        line.push('\n');
    }
    line
}

/// `text` in one line.
pub(crate) fn escaped(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            // SECURITY: it quotes what clients sent; C1 controls command terminals, too.
            char if char.is_control() => line.extend(char.escape_unicode()),
            char => line.push(char),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line() {
        let text =
            Text { message: "a\nb\u{1b}[2J\u{9b}é".into(), fields: " key=\"v\"".into(), ..Text::default() };
        let want = "[WARNING] a\\u{a}b\\u{1b}[2J\\u{9b}é key=\"v\"\n";
        let line = line("T", Level::WARN, &text);
        assert!(line.starts_with("[T] [") && line.ends_with(want), "{line}");
    }

    #[test]
    fn a_traceback_follows_its_event_indented_and_escaped() {
        let text = Text {
            message: "it raised".into(),
            traceback: "Traceback:\n  x\u{1b}\n".into(),
            ..Text::default()
        };
        let line = line("T", Level::ERROR, &text);
        assert!(line.ends_with("[ERROR] it raised\n    Traceback:\n      x\\u{1b}\n"), "{line}");
    }
}
