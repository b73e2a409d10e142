//! Where options come from: command line, environment, config file, default; the earlier wins.
//!
//! One parser: whatever the source, an option becomes arguments as they would be typed, and clap reads the lot. So types,
//! defaults and messages exist once, and a new option needs no line here. A repeatable option is not put together from several
//! sources: the one that wins replaces the others.

use std::error::Error as _;
use std::ffi::{OsStr, OsString};
use std::num::{IntErrorKind, ParseIntError};
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, CommandFactory as _, FromArgMatches as _};
use salver::{Site, StartError};

use crate::applications::gunicorn::{self, FindPython, Settings};
use crate::applications::with_salver;
use crate::events;
use crate::options::Options as All;
use crate::targets::Mount;

mod environment;
mod file;
mod keywords;
mod places;
mod print;

use environment::Environment;
pub use keywords::keywords;
pub use places::Places;
pub use print::as_toml;

/// Where options come from.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Options {
    /// Read options from this TOML file, or what of a gunicorn.conf.py has a meaning here
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Say what is wrong with the configuration, and exit
    #[arg(long)]
    pub check_config: bool,

    /// Print the effective configuration as TOML, and exit
    #[arg(long)]
    pub print_config: bool,

    /// Print this help
    #[arg(short, long, action = ArgAction::HelpShort)]
    help: Option<bool>,

    /// Print the version
    #[arg(short = 'V', long, action = ArgAction::Version)]
    version: Option<bool>,
}

/// Options of every source, read.
#[derive(Debug)]
pub struct Parsed {
    /// The options.
    pub options: All,
    /// The same as they would be typed, whatever their source; for a process that is to have the same options.
    pub arguments: Vec<OsString>,
    /// What was ignored: to be told once events are logged.
    pub warnings: Vec<String>,
    /// Where those stand that were not typed.
    pub places: Places,
    /// The same as clap keeps them.
    matches: ArgMatches,
}

/// Why there are no options.
#[derive(Debug)]
pub enum Refusal {
    /// `--help` or `--version`: the text that was asked for.
    Shown(String),
    /// Wrong use of the command line: one line.
    Usage(String),
    /// Something wrong in the environment or the config file: one line.
    Config(StartError),
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Shown(message) | Self::Usage(message) => f.write_str(message),
        }
    }
}

/// An option as one source gives it: the values of each time it is given.
type Given = Vec<Vec<OsString>>;

/// An option with the source that counts for it.
type Setting<'a> = (Source, &'a Arg, Given);

/// Where an option comes from; the later wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    File,
    Environment,
    CommandLine,
}

/// Reads the options of every source; `argv` begins with the program's name.
///
/// # Errors
/// The first thing that is wrong, and where.
pub fn parse(
    argv: impl Iterator<Item = OsString>,
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Parsed, Refusal> {
    parse_with(argv, variables, &with_salver)
}

/// The same; `python` finds whom to ask for a configuration in Python.
pub(crate) fn parse_with(
    argv: impl Iterator<Item = OsString>,
    variables: impl Iterator<Item = (OsString, OsString)>,
    python: &FindPython<'_>,
) -> Result<Parsed, Refusal> {
    let mut command = command();
    let typed = command.try_get_matches_from_mut(argv).map_err(refuse)?;
    let environment = Environment::new(variables);
    let words = Words::read(&typed)?;
    let config = typed.get_one::<PathBuf>("config").cloned();
    let config = config.or_else(|| environment.config().map(PathBuf::from));
    let mut warnings = environment.unknown(&command);
    let mut file = match &config {
        Some(path) if gunicorn::is_python(path) => {
            let named = typed.get_one::<PathBuf>("python").cloned();
            let python =
                python(named.or_else(|| environment.python()).as_deref()).map_err(Refusal::Config)?;
            let settings = Settings::read(path, &python).map_err(Refusal::Config)?;
            warnings.extend(settings.warning(path));
            file::read_settings(&settings, path, &command)?
        }
        Some(path) => file::read(path, &command)?,
        None => file::Entries::new(),
    };
    let mut settings = Vec::new();
    let mut places = Places::default();
    for arg in command.get_arguments() {
        let Some(name) = arg.get_long() else { continue };
        if let Some(given) = on_command_line(&typed, arg).or_else(|| words.get(name)) {
            settings.push((Source::CommandLine, arg, given));
            continue;
        }
        if !is_key(arg) {
            continue;
        }
        match environment.given(&command, arg).map_err(Refusal::Config)? {
            Some(given) => {
                places.in_environment(name, environment::variable(arg));
                settings.push((Source::Environment, arg, given));
            }
            None => {
                if let (Some((given, line)), Some(path)) = (file.remove(name), &config) {
                    places.in_file(name, path, line);
                    settings.push((Source::File, arg, given));
                }
            }
        }
    }
    let counted = settings.iter().filter(|setting| !is_overruled(setting, &settings));
    let arguments: Vec<_> = counted.flat_map(|(_, arg, given)| as_arguments(arg, given)).collect();
    let mut parsed = parse_typed(arguments)?;
    parsed.warnings = warnings;
    parsed.places = places;
    Ok(parsed)
}

/// Reads options from arguments alone, without the program's name before them: those of [`Parsed::arguments`].
///
/// # Errors
/// As [`parse`].
pub fn parse_typed(arguments: Vec<OsString>) -> Result<Parsed, Refusal> {
    let words = std::iter::once(OsString::from("salver")).chain(arguments.iter().cloned());
    let matches = command().try_get_matches_from(words).map_err(refuse)?;
    let options = read(&matches).map_err(Refusal::Usage)?;
    Ok(Parsed { options, arguments, warnings: Vec::new(), places: Places::default(), matches })
}

/// Every option, ready to be read. A value may be negative, so that its parser says what is wrong with it.
fn command() -> Command {
    let negative = |arg: Arg| {
        let is_value = arg.get_long().is_some() && arg.get_action().takes_values();
        if is_value { arg.allow_negative_numbers(true) } else { arg }
    };
    let mut command = All::command().mut_args(negative);
    command.build();
    command
}

/// TARGET and PORT, which are `--target` and `--port` without their names.
#[derive(Debug, Default, PartialEq)]
struct Words {
    target: Option<OsString>,
    port: Option<OsString>,
}

impl Words {
    fn read(typed: &ArgMatches) -> Result<Self, Refusal> {
        let first: Option<&OsString> = typed.get_one("first");
        let second: Option<&u16> = typed.get_one("second");
        let words = match (first, second) {
            (Some(port), None) if is_digits(port) => Self { target: None, port: Some(port.clone()) },
            (target, port) => {
                Self { target: target.cloned(), port: port.map(|port| port.to_string().into()) }
            }
        };
        let root = typed
            .get_many::<Mount>("mount")
            .is_some_and(|mut mounts| mounts.any(|mount| mount.prefix == "/"));
        let typed = |id| typed.value_source(id) == Some(ValueSource::CommandLine);
        let twice = [
            (root && words.target.is_some(), "TARGET and --mount /"),
            (root && typed("directory"), "--directory and --mount /"),
            (words.port.is_some() && typed("port"), "PORT and --port"),
            (words.target.is_some() && typed("target"), "TARGET and --target"),
            (words.target.is_some() && typed("directory"), "TARGET and --directory"),
        ];
        match twice.into_iter().find(|(twice, _)| *twice) {
            Some((_, both)) => {
                Err(Refusal::Usage(format!("{both} say the same thing; leave one of them out")))
            }
            None => Ok(words),
        }
    }

    fn get(&self, name: &str) -> Option<Given> {
        let word = match name {
            "target" => &self.target,
            "port" => &self.port,
            _ => return None,
        };
        word.clone().map(|word| vec![vec![word]])
    }
}

/// Whether an option may stand in the environment and in a file: all but those about the options themselves.
fn is_key(arg: &Arg) -> bool {
    let about_options = ["config", "check_config", "print_config", "help", "version"];
    arg.get_long().is_some() && !about_options.contains(&arg.get_id().as_str())
}

fn repeats(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Append)
}

/// Whether the option takes its values two by two, as `--header NAME VALUE` does.
fn takes_pairs(arg: &Arg) -> bool {
    arg.get_num_args().is_some_and(|count| count.min_values() == 2)
}

fn is_bool(arg: &Arg) -> bool {
    arg.get_possible_values().iter().map(|value| value.get_name()).eq(["true", "false"])
}

fn is_digits(word: &OsStr) -> bool {
    let bytes = word.as_encoded_bytes();
    !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit)
}

/// `--directory` and TARGET say the same thing: a `target` in a file does not stand against a `-d` that is typed.
fn is_overruled((source, arg, _): &Setting<'_>, settings: &[Setting<'_>]) -> bool {
    arg.get_long() == Some("target")
        && settings.iter().any(|(other, arg, _)| arg.get_long() == Some("directory") && other > source)
}

fn on_command_line(typed: &ArgMatches, arg: &Arg) -> Option<Given> {
    let id = arg.get_id().as_str();
    let is_typed =
        typed.try_contains_id(id).is_ok() && typed.value_source(id) == Some(ValueSource::CommandLine);
    let occurrences = is_typed.then(|| typed.get_raw_occurrences(id)).flatten()?;
    Some(occurrences.map(|values| values.map(OsStr::to_owned).collect()).collect())
}

/// What would be typed for `given`.
fn as_arguments(arg: &Arg, given: &Given) -> Vec<OsString> {
    let Some(long) = arg.get_long() else { return Vec::new() };
    let option = OsString::from(format!("--{long}"));
    let mut arguments = Vec::new();
    for values in given {
        match (values.as_slice(), arg.get_action()) {
            ([value], ArgAction::SetTrue) if value == "true" => arguments.push(option.clone()),
            (_, ArgAction::SetTrue) => {}
            ([value], _) => {
                let mut whole = option.clone();
                whole.push("=");
                whole.push(value);
                arguments.push(whole);
            }
            (values, _) => {
                arguments.push(option.clone());
                arguments.extend_from_slice(values);
            }
        }
    }
    arguments
}

/// Lets clap read one option alone, so that what is wrong with it can be told with its place.
fn check(command: &Command, arg: &Arg, given: &Given) -> Result<(), String> {
    let arguments = std::iter::once("salver".into()).chain(as_arguments(arg, given));
    let matches = command.clone().try_get_matches_from(arguments).map_err(one_line)?;
    read(&matches).map(drop)
}

/// The options of `matches`, with what clap cannot check.
fn read(matches: &ArgMatches) -> Result<All, String> {
    let options = All::from_arg_matches(matches).map_err(one_line)?;
    Site::new().headers(&options.headers).map_err(|error| error.to_string())?;
    Ok(options)
}

/// The key that is spelled most like `long`.
fn similar(command: &Command, long: &str) -> Option<String> {
    let error = command.clone().try_get_matches_from(["salver".to_owned(), format!("--{long}")]).err()?;
    match error.get(ContextKind::SuggestedArg) {
        Some(ContextValue::String(close)) => Some(close.trim_start_matches('-').replace('-', "_")),
        _ => None,
    }
}

pub(crate) fn refuse(error: clap::Error) -> Refusal {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Refusal::Shown(error.render().to_string()),
        _ => Refusal::Usage(one_line(error)),
    }
}

/// clap's message without its usage and its line ends.
fn one_line(mut error: clap::Error) -> String {
    if error.kind() == ErrorKind::InvalidUtf8 {
        return "a value is not UTF-8; write it in UTF-8".into();
    }
    if let (ErrorKind::ValueValidation, Some(why)) = (error.kind(), error.source())
        && let (Some(arg), Some(value)) =
            (error.get(ContextKind::InvalidArg), error.get(ContextKind::InvalidValue))
    {
        let why = why.downcast_ref::<ParseIntError>().map_or_else(|| why.to_string(), mend_of_number);
        return format!("invalid value '{value}' for '{arg}': {why}");
    }
    // What was typed may hold line ends of its own.
    let quoted = |(kind, value): (_, &ContextValue)| match value {
        ContextValue::String(text) => Some((kind, ContextValue::String(events::escaped(text)))),
        _ => None,
    };
    for (kind, value) in error.context().filter_map(quoted).collect::<Vec<_>>() {
        error.insert(kind, value);
    }
    let text = error.render().to_string();
    let mut line = String::new();
    for part in text.lines().map(str::trim).take_while(|part| !part.starts_with("Usage:")) {
        if part.is_empty() || part.starts_with("For more information") {
            continue;
        }
        if !line.is_empty() {
            line.push_str(if part.starts_with('[') { " " } else { "; " });
        }
        line.push_str(part.strip_prefix("error: ").unwrap_or(part));
    }
    line
}

/// What to give in the place of what is no whole number, or one that does not count.
fn mend_of_number(error: &ParseIntError) -> String {
    match error.kind() {
        IntErrorKind::Zero => "give at least 1",
        IntErrorKind::PosOverflow => "that is too much; give a smaller number",
        _ => "give a whole number, without a sign or a unit",
    }
    .into()
}

#[cfg(test)]
mod tests;
