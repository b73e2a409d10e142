//! What HTTP/2 can be told.

/// HTTP/2.
///
/// ```
/// let options = salver::http2::Options { http2_streams: 10, ..Default::default() };
/// assert!(options.http2);
/// ```
#[derive(Clone, Debug)]
#[cfg_attr(feature = "cli", derive(clap::Args), group(skip))] // every module has an `Options`
pub struct Options {
    /// Speak HTTP/2 with clients that want it, over TLS and, with those that know, in the clear
    #[cfg_attr(feature = "cli", arg(long, value_name = "BOOL", action = clap::ArgAction::Set, num_args = 0..=1,
        require_equals = true, default_value = "true", default_missing_value = "true"))]
    pub http2: bool,
    /// How many requests an HTTP/2 connection may have under way at once
    #[cfg_attr(feature = "cli", arg(long, value_name = "N", value_parser = crate::number::some::<u32>,
        default_value_t = Self::default().http2_streams))]
    pub http2_streams: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { http2: true, http2_streams: 128 }
    }
}

impl Options {
    /// Whether it is spoken at all.
    pub(crate) fn is_spoken(&self) -> bool {
        self.http2
    }
}
