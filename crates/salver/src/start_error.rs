//! Why a program does not start: for the person at the terminal, not for a client.

/// What keeps a server from starting, in one line: what is wrong, where, and the mend.
///
/// ```
/// let error = salver::StartError::new("--symlinks: 'maybe' is not one of inside, follow, never");
/// assert!(error.to_string().starts_with("--symlinks"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct StartError(String);

impl StartError {
    /// An error with these words.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}
