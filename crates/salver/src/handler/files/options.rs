//! The options of served files.

use http::HeaderValue;

use crate::handler::listing;
#[cfg(feature = "cli")]
use crate::start_error::StartError;

/// What is served of a folder, and how.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "cli", derive(clap::Args), group(skip))] // every module has an `Options`
pub struct Options {
    /// Serve and list names that begin with a dot (`.well-known` always is served)
    #[cfg_attr(feature = "cli", arg(long, value_name = "BOOL", action = clap::ArgAction::Set, num_args = 0..=1,
        require_equals = true, default_value = "false", default_missing_value = "true"))]
    pub hidden: bool,

    /// Which symbolic links are followed
    #[cfg_attr(feature = "cli", arg(long, value_enum, value_name = "WHICH", default_value = "inside"))]
    pub symlinks: Symlinks,

    /// The Content-Type of a file whose extension says nothing
    #[cfg_attr(feature = "cli", arg(long, value_name = "TYPE", value_parser = media_type,
        default_value = "application/octet-stream"))]
    pub content_type: HeaderValue,

    /// How folders are listed.
    #[cfg_attr(feature = "cli", command(flatten))]
    pub listing: listing::Options,
}

/// Which symbolic links are followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Symlinks {
    /// Those that lead to what lies beneath the root
    #[default]
    Inside,
    /// All, also out of the root
    Follow,
    /// None
    Never,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            hidden: false,
            symlinks: Symlinks::Inside,
            content_type: HeaderValue::from_static("application/octet-stream"),
            listing: listing::Options::default(),
        }
    }
}

/// Reads a media type (RFC 9110 §8.3.1), whose parameters are the user's business.
#[cfg(feature = "cli")]
fn media_type(text: &str) -> Result<HeaderValue, StartError> {
    let token = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
    };
    let (essence, _) = text.split_once(';').unwrap_or((text, ""));
    let is_type = essence.trim_end().split_once('/').is_some_and(|(kind, sub)| token(kind) && token(sub));
    let value = HeaderValue::from_str(text).ok().filter(|_| is_type);
    value.ok_or_else(|| {
        StartError::new("no media type; give one such as text/plain or text/html; charset=utf-8")
    })
}

#[cfg(all(test, feature = "cli"))]
#[allow(clippy::unwrap_used)] // a helper of tests
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        options: Options,
    }

    fn parse(args: &[&str]) -> Options {
        Command::try_parse_from(["salver"].iter().chain(args)).unwrap().options
    }

    #[test]
    fn the_command_has_the_defaults_of_the_library() {
        assert_eq!(format!("{:?}", parse(&[])), format!("{:?}", Options::default()));
    }

    #[test]
    fn a_switch_is_set_by_its_name_or_a_value() {
        for (args, hidden) in
            [(&["--hidden"][..], true), (&["--hidden=true"], true), (&["--hidden=false"], false)]
        {
            assert_eq!(parse(args).hidden, hidden, "{args:?}");
        }
        assert_eq!(parse(&["--symlinks", "never"]).symlinks, Symlinks::Never);
        assert_eq!(parse(&["--content-type", "text/plain"]).content_type, "text/plain");
        for wrong in ["", "a\nb", "text", "text/", "/x", "a b/c", "text/x\r\nA: b", "text/x;\r\nA: b"] {
            assert!(Command::try_parse_from(["salver", "--content-type", wrong]).is_err(), "{wrong:?}");
        }
        assert_eq!(parse(&["--content-type", "text/x; charset=utf-8"]).content_type, "text/x; charset=utf-8");
    }
}
