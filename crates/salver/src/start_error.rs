//! What keeps the server from starting.

use std::fmt;

/// A fault of the configuration or its surroundings, for the person who starts the program: one line that says what is
/// wrong, where, and the mend. Nothing is bound when it is given.
///
/// ```
/// let error = salver::StartError::new("the folder /srv/www does not exist: create it or name another");
/// assert!(error.to_string().contains("/srv/www"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartError(String);

impl StartError {
    /// An error with this line; a line break in it (a file name may hold one) becomes `\n`.
    pub fn new(line: impl Into<String>) -> Self {
        let line: String = line.into();
        Self(line.replace('\n', "\\n").replace('\r', "\\r"))
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StartError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_one_line_whatever_the_name() {
        assert_eq!(StartError::new("no folder \"a\nb\"").to_string(), "no folder \"a\\nb\"");
    }
}
