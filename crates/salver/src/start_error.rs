//! What keeps the program from starting, told to the person who starts it.

use std::fmt;

/// Why nothing can be served: one line that says what is wrong, where, and the mend.
///
/// ```
/// let error = salver::StartError::new("port 80: permission denied; take a port above 1023");
/// assert_eq!(error.to_string(), "port 80: permission denied; take a port above 1023");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartError(String);

impl StartError {
    /// An error that is printed as `message`.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StartError {}
