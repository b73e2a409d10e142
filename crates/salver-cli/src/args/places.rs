//! Where an option stands that was not typed: an error that names it then says the file and the line, or the variable.

use std::collections::HashMap;
use std::path::Path;

use salver::StartError;

use crate::applications::gunicorn;

/// Options by their long names, with their places.
#[derive(Clone, Debug, Default)]
pub struct Places(HashMap<String, String>);

impl Places {
    pub(super) fn in_environment(&mut self, name: &str, variable: Option<String>) {
        self.0.extend(variable.map(|variable| (name.into(), variable)));
    }

    pub(super) fn in_file(&mut self, name: &str, path: &Path, line: usize) {
        let (path, is_python, key) = (path.display(), gunicorn::is_python(path), name.replace('-', "_"));
        let place =
            if is_python { format!("--config {path}: {key}") } else { format!("{path}:{line}: {key}") };
        self.0.insert(name.into(), place);
    }

    /// The same error with its place, if it begins with an option that has one.
    pub(crate) fn tell(&self, error: StartError) -> StartError {
        let text = error.to_string();
        let Some(named) = text.strip_prefix("--") else { return error };
        let end =
            named.find(|char: char| !char.is_ascii_alphanumeric() && char != '-').unwrap_or(named.len());
        let (name, rest) = named.split_at(end);
        self.0.get(name).map_or(error, |place| StartError::new(format!("{place}{rest}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_where_its_option_stands() {
        let mut places = Places::default();
        places.in_file("tls-cert", Path::new("a.toml"), 3);
        places.in_file("user", Path::new("gunicorn.conf.py"), 1);
        places.in_environment("access-log", Some("SALVER_ACCESS_LOG".into()));
        for (text, want) in [
            ("--tls-cert /x: not there; name a file", "a.toml:3: tls_cert /x: not there; name a file"),
            ("--user nobody: no such user", "--config gunicorn.conf.py: user nobody: no such user"),
            ("--user: Operation not permitted", "--config gunicorn.conf.py: user: Operation not permitted"),
            ("--access-log /x: is a folder", "SALVER_ACCESS_LOG /x: is a folder"),
            ("--tls-key /x: not there", "--tls-key /x: not there"),
            ("port 80 is taken", "port 80 is taken"),
            ("--", "--"),
        ] {
            assert_eq!(places.tell(StartError::new(text)).to_string(), want);
        }
    }
}
