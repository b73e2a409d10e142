//! Options as keywords of a function: a TOML table of them becomes arguments, so that there is one parser.

use std::ffi::OsString;

use salver::StartError;
use toml::de::DeTable;

use super::file::{given, unknown, wanted};
use super::{Refusal, as_arguments, check, command};

/// The command line that says what `table` says; the keys are long names of options, with `-` or `_`.
///
/// ```
/// let arguments = salver_cli::args::keywords("threads = 3\nheader = [\"X-Served\", \"yes\"]").unwrap();
/// assert_eq!(arguments, ["salver", "--header", "X-Served", "yes", "--threads=3"]);
/// ```
///
/// # Errors
/// The first key that is no option, or whose value is none for it.
pub fn keywords(table: &str) -> Result<Vec<OsString>, Refusal> {
    let wrong = |key: &str, why: &str| Refusal::Config(StartError::new(format!("{key}: {why}")));
    let table = DeTable::parse(table).map_err(|error| wrong("keywords", error.message()))?;
    let command = command();
    let mut arguments = vec![OsString::from("salver")];
    for (key, value) in table.get_ref() {
        let (key, name) = (key.get_ref(), key.get_ref().replace('_', "-"));
        let arg = command.get_arguments().find(|arg| arg.get_long() == Some(&name));
        let arg = arg.ok_or_else(|| wrong(key, &unknown(&command, &name)))?;
        let given = given(arg, value.get_ref())
            .ok_or_else(|| wrong(key, &format!("not what it takes; give {}", wanted(arg))))?;
        check(&command, arg, &given).map_err(|why| wrong(key, &why))?;
        arguments.extend(as_arguments(arg, &given));
    }
    Ok(arguments)
}
