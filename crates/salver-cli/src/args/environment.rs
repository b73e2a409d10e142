//! Options from variables: `SALVER_` and the key in upper case, `SALVER_KEEP_ALIVE=5`. The only code that knows their spelling.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Arg, Command};
use salver::StartError;

use super::{Given, check, is_bool, is_key, repeats, similar, takes_pairs};
use crate::supervisor::inherit;

/// The variables that may be meant for us, by name.
pub(super) struct Environment(BTreeMap<String, OsString>);

impl Environment {
    /// Keeps what is ours of `variables`. An empty one is how a parent takes one back.
    pub(super) fn new(variables: impl Iterator<Item = (OsString, OsString)>) -> Self {
        let ours = variables.filter_map(|(name, value)| {
            let name = name.into_string().ok().filter(|name| name.starts_with(PREFIX))?;
            let keep = !value.is_empty()
                && !is_kubernetes(&name, &value)
                && !inherit::VARIABLES.contains(&name.as_str());
            keep.then_some((name, value))
        });
        Self(ours.collect())
    }

    /// The config file that is named here.
    pub(super) fn config(&self) -> Option<&OsString> {
        self.0.get("SALVER_CONFIG")
    }

    /// The interpreter that is named here.
    pub(super) fn python(&self) -> Option<PathBuf> {
        self.0.get("SALVER_PYTHON").map(PathBuf::from)
    }

    /// What to say of each variable that is no option of `command`.
    pub(super) fn unknown(&self, command: &Command) -> Vec<String> {
        let known = |name: &str| {
            command.get_arguments().any(|arg| is_key(arg) && variable(arg).as_deref() == Some(name))
        };
        let unknown = self.0.keys().filter(|name| *name != "SALVER_CONFIG" && !known(name));
        unknown
            .map(|name| {
                let long = name.trim_start_matches(PREFIX).to_lowercase().replace('_', "-");
                if command.get_arguments().any(|arg| arg.get_long() == Some(&long)) {
                    return format!("{name}: an option of the command line alone; ignored");
                }
                let mend = match similar(command, &long) {
                    Some(close) => format!("did you mean {PREFIX}{}?", close.to_uppercase()),
                    None => "`salver --help` names them all".into(),
                };
                format!("{name}: no such option; ignored; {mend}")
            })
            .collect()
    }

    /// The values for `arg`; those of a repeatable option are split as a shell does.
    pub(super) fn given(&self, command: &Command, arg: &Arg) -> Result<Option<Given>, StartError> {
        let found = variable(arg).and_then(|name| self.0.get_key_value(&name));
        let Some((name, value)) = found else { return Ok(None) };
        let wrong = |why: &str| StartError::new(format!("{name}: {why}"));
        let given = if repeats(arg) {
            let text = value.to_str().ok_or_else(|| wrong("not UTF-8; write it in UTF-8"))?;
            let words =
                shlex::split(text).ok_or_else(|| wrong("a quote is not closed; quote as in a shell"))?;
            let size = if takes_pairs(arg) { 2 } else { 1 };
            words.chunks(size).map(|words| words.iter().map(OsString::from).collect()).collect()
        } else if is_bool(arg) {
            let bool = match value.to_string_lossy().to_ascii_lowercase().as_str() {
                "1" | "on" | "true" | "yes" => "true".into(),
                "0" | "false" | "no" | "off" => "false".into(),
                _ => value.clone(),
            };
            vec![vec![bool]]
        } else {
            vec![vec![value.clone()]]
        };
        check(command, arg, &given).map_err(|why| wrong(&why))?;
        Ok(Some(given))
    }
}

pub(super) fn variable(arg: &Arg) -> Option<String> {
    Some(format!("{PREFIX}{}", arg.get_long()?.replace('-', "_").to_uppercase()))
}

/// Kubernetes tells every container of a service of our name: `SALVER_PORT=tcp://…`, `SALVER_SERVICE_HOST`, `SALVER_PORT_80_TCP`.
fn is_kubernetes(name: &str, value: &OsString) -> bool {
    let address =
        ["tcp:", "udp:", "sctp:"].iter().any(|it| value.as_encoded_bytes().starts_with(it.as_bytes()));
    (name == "SALVER_PORT" && address)
        || name.starts_with("SALVER_SERVICE_")
        || name.starts_with("SALVER_PORT_")
}

const PREFIX: &str = "SALVER_";
