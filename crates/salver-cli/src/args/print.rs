//! `--print-config`: the effective options as a config file that says the same.

use std::ffi::OsStr;
use std::fmt::Write as _;

use clap::{Arg, CommandFactory as _};
use salver::StartError;
use toml::Value;

use super::{Parsed, is_key, repeats, takes_pairs};
use crate::options::Options as All;

/// Writes every option that has a value, also those by default.
///
/// # Errors
/// A value that is not UTF-8 cannot stand in TOML.
pub fn as_toml(parsed: &Parsed) -> Result<String, StartError> {
    let mut command = All::command();
    command.build();
    let mut toml = String::new();
    for arg in command.get_arguments().filter(|arg| is_key(arg)) {
        let Some(name) = arg.get_long() else { continue };
        let Some(given) = parsed.matches.get_raw_occurrences(arg.get_id().as_str()) else { continue };
        let given = given.map(|values| values.map(OsStr::to_str).collect::<Option<Vec<_>>>());
        let given = given.collect::<Option<Vec<_>>>();
        let given = given
            .ok_or_else(|| StartError::new(format!("--{name}: not UTF-8, and a config file must be")))?;
        if let Some(value) = value(arg, &given) {
            writeln!(toml, "{} = {value}", name.replace('-', "_")).expect("writing to memory does not fail");
        }
    }
    Ok(toml)
}

fn value(arg: &Arg, given: &[Vec<&str>]) -> Option<Value> {
    let text = |text: &&str| Value::String((*text).to_owned());
    if takes_pairs(arg) {
        return Some(Value::Array(
            given.iter().map(|pair| Value::Array(pair.iter().map(text).collect())).collect(),
        ));
    }
    if repeats(arg) {
        return Some(Value::Array(given.iter().flatten().map(text).collect()));
    }
    let last = given.last()?.last()?;
    Some(match last.parse::<i64>() {
        // `007` is a name, not a number: only what is spelled as TOML would read back the same.
        Ok(number) if number.to_string() == *last => Value::Integer(number),
        _ => last.parse::<bool>().map_or_else(|_| text(last), Value::Boolean),
    })
}
