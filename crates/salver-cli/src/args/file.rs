//! The config file: TOML whose keys are the long names of options, with `-` or `_`. The only code that knows it.
//!
//! A value is a bool, number or string; an array repeats the option. `--header` takes `[["NAME", "VALUE"], …]` or a table, and
//! so do the options whose value is `KEY=VALUE`. Every message names the file, the line and the key.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::path::Path;

use clap::{Arg, Command};
use salver::StartError;
use toml::de::{DeArray, DeTable, DeValue};

use super::{Given, Refusal, check, is_key, repeats, similar, takes_pairs};
use crate::applications::gunicorn::Settings;

/// What a file gives, by long name, and in which line (of TOML, from 1).
pub(super) type Entries = HashMap<String, (Given, usize)>;

/// Reads the file at `path`, whose keys are options of `command`.
pub(super) fn read(path: &Path, command: &Command) -> Result<Entries, Refusal> {
    let text = fs::read_to_string(path).map_err(|error| {
        let path = path.display();
        Refusal::Config(StartError::new(format!(
            "--config {path}: {error}; name a TOML file that can be read"
        )))
    })?;
    parse(&text, command).map_err(|Wrong { offset, why }| {
        let line = line(&text, offset);
        Refusal::Config(StartError::new(format!("{}:{line}: {why}", path.display())))
    })
}

/// The line, from 1, of what is `offset` bytes from the beginning.
fn line(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

/// Reads what the file at `path` says, which is Python.
pub(super) fn read_settings(settings: &Settings, path: &Path, command: &Command) -> Result<Entries, Refusal> {
    parse(&settings.options, command).map_err(|Wrong { why, .. }| {
        Refusal::Config(StartError::new(format!("--config {}: {why}", path.display())))
    })
}

/// What is wrong, and where in the text.
#[derive(Debug, PartialEq)]
struct Wrong {
    offset: usize,
    why: String,
}

fn parse(text: &str, command: &Command) -> Result<Entries, Wrong> {
    let table = DeTable::parse(text).map_err(|error| Wrong {
        offset: error.span().map_or(0, |span| span.start),
        why: error.message().replace('\n', " "),
    })?;
    let mut pairs: Vec<_> = table.get_ref().iter().collect();
    pairs.sort_by_key(|(key, _)| key.span().start); // so that the first mistake is the one that is told
    let mut entries = Entries::new();
    for (key, value) in pairs {
        let name = key.get_ref().replace('_', "-");
        let wrong = |offset, why: &str| Wrong { offset, why: format!("{}: {why}", key.get_ref()) };
        let arg = command.get_arguments().find(|arg| is_key(arg) && arg.get_long() == Some(&name));
        let Some(arg) = arg else {
            return Err(wrong(key.span().start, &unknown(command, &name)));
        };
        let given = given(arg, value.get_ref()).ok_or_else(|| {
            let kind = value.get_ref().type_str();
            wrong(value.span().start, &format!("{kind} is not what it takes; give {}", wanted(arg)))
        })?;
        check(command, arg, &given).map_err(|why| wrong(value.span().start, &why))?;
        if entries.insert(name, (given, line(text, key.span().start))).is_some() {
            return Err(wrong(key.span().start, "given twice, with `-` and with `_`; leave one out"));
        }
    }
    Ok(entries)
}

/// The value of a key as the option's values; `None` when it has the wrong type.
pub(super) fn given(arg: &Arg, value: &DeValue<'_>) -> Option<Given> {
    match value {
        DeValue::Array(pair) if takes_pairs(arg) && is_pair(pair) => {
            Some(vec![pair.iter().map(|item| scalar(item.get_ref())).collect::<Option<_>>()?])
        }
        DeValue::Array(array) if repeats(arg) => array
            .iter()
            .map(|item| match item.get_ref() {
                DeValue::Array(pair) if takes_pairs(arg) && pair.len() == 2 => {
                    pair.iter().map(|item| scalar(item.get_ref())).collect()
                }
                item if !takes_pairs(arg) => Some(vec![scalar(item)?]),
                _ => None,
            })
            .collect(),
        DeValue::Table(table) if repeats(arg) => table
            .iter()
            .map(|(key, value)| {
                let (key, value) = (key.get_ref(), scalar(value.get_ref())?);
                if takes_pairs(arg) {
                    return Some(vec![OsString::from(&**key), value]);
                }
                let mut pair = OsString::from(format!("{key}="));
                pair.push(value);
                Some(vec![pair])
            })
            .collect(),
        value if !takes_pairs(arg) => Some(vec![vec![scalar(value)?]]),
        _ => None,
    }
}

/// Whether an array is itself a pair, not one of pairs.
fn is_pair(array: &DeArray<'_>) -> bool {
    array.len() == 2 && array.iter().all(|item| matches!(item.get_ref(), DeValue::String(_)))
}

fn scalar(value: &DeValue<'_>) -> Option<OsString> {
    Some(match value {
        DeValue::Boolean(bool) => bool.to_string().into(),
        DeValue::Float(float) => float.as_str().into(),
        DeValue::Integer(integer) => {
            i128::from_str_radix(integer.as_str(), integer.radix()).ok()?.to_string().into()
        }
        DeValue::String(text) => (&**text).into(),
        DeValue::Array(_) | DeValue::Datetime(_) | DeValue::Table(_) => return None,
    })
}

pub(super) fn wanted(arg: &Arg) -> &'static str {
    match (repeats(arg), takes_pairs(arg)) {
        (true, true) => "an array of pairs, [[\"NAME\", \"VALUE\"]], or a table",
        (true, false) => "a value or an array of values",
        (false, _) => "one value",
    }
}

/// What to say of a key that is no option: what is meant, perhaps.
pub(super) fn unknown(command: &Command, name: &str) -> String {
    match similar(command, name) {
        Some(close) => format!("no such option; {close} is one"),
        None => "no such option; `salver --help` names them all".into(),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::options::Options;

    fn read(text: &str) -> Result<Entries, Wrong> {
        let mut command = Options::command();
        command.build();
        parse(text, &command)
    }

    #[test]
    fn every_kind_of_value_becomes_the_values_of_an_option() {
        for (text, name, want) in [
            ("hidden = true", "hidden", vec![vec!["true"]]),
            ("keep_alive = 5", "keep-alive", vec![vec!["5"]]),
            ("keep-alive = 0.5", "keep-alive", vec![vec!["0.5"]]),
            ("limit_body = 0x1_000", "limit-body", vec![vec!["4096"]]),
            ("limit_body = 1_000", "limit-body", vec![vec!["1000"]]),
            ("bind = '::1'", "bind", vec![vec!["::1"]]),
            ("bind = ['127.0.0.1', '::1']", "bind", vec![vec!["127.0.0.1"], vec!["::1"]]),
            ("bind = []", "bind", vec![]),
            ("header = [['A', 'b c'], ['D', '1']]", "header", vec![vec!["A", "b c"], vec!["D", "1"]]),
            ("[header]\nA = 'b'\nD = 1", "header", vec![vec!["A", "b"], vec!["D", "1"]]),
            ("[mount]\n'/a' = 'x'", "mount", vec![vec!["/a=x"]]),
        ] {
            let entries = read(text).unwrap();
            let want: Given =
                want.into_iter().map(|times| times.into_iter().map(OsString::from).collect()).collect();
            assert_eq!(entries.get(name).map(|(given, _)| given), Some(&want), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (text, offset, part) in [
            ("hidden = true\nhiden = true", 14, "hiden: no such option; hidden is one"),
            ("zzz = 1", 0, "zzz: no such option; `salver --help`"),
            ("config = 'x'", 0, "config: no such option"),
            ("hidden = 1", 9, "hidden: invalid value '1'"),
            ("hidden = [true]", 9, "hidden: array is not what it takes; give one value"),
            ("keep_alive = 1979-05-27", 13, "keep_alive: datetime is not"),
            ("header = 'A: b'", 9, "header: string is not what it takes; give an array of pairs"),
            ("header = ['A']", 9, "header: array is not"),
            ("keep_alive = 1\nkeep-alive = 2", 15, "given twice"),
            ("a = ", 4, ""),
        ] {
            let wrong = read(text).unwrap_err();
            assert_eq!(wrong.offset, offset, "{text}: {}", wrong.why);
            assert!(wrong.why.contains(part) && !wrong.why.contains('\n'), "{text}: {}", wrong.why);
        }
    }
}
