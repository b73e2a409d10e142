//! Numbers as options give them: without them clap would quote the parser of integers, which knows no mend.

use crate::start_error::StartError;

/// Reads a number of bytes.
///
/// # Errors
/// It is none, or too large.
pub fn bytes<T: TryFrom<usize>>(text: &str) -> Result<T, StartError> {
    read(text, "a number of bytes without a unit, as 1048576")
}

/// The same where none at all would refuse every request.
///
/// # Errors
/// As [`bytes()`], or it is 0.
pub fn some_bytes<T: TryFrom<usize>>(text: &str) -> Result<T, StartError> {
    not_zero(text)?;
    bytes(text)
}

/// Reads how many, where none at all would refuse every request.
///
/// # Errors
/// It is no number, too large, or 0.
pub fn some<T: TryFrom<usize>>(text: &str) -> Result<T, StartError> {
    not_zero(text)?;
    read(text, "a whole number, as 100")
}

fn not_zero(text: &str) -> Result<(), StartError> {
    match text.parse() {
        Ok(0_usize) => Err(StartError::new("with 0 every request would be refused; give at least 1")),
        _ => Ok(()),
    }
}

fn read<T: TryFrom<usize>>(text: &str, what: &str) -> Result<T, StartError> {
    let number = text.parse::<usize>().ok().and_then(|number| T::try_from(number).ok());
    number.ok_or_else(|| StartError::new(format!("give {what}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_is_refused_with_the_mend() {
        assert_eq!(bytes::<u64>("0"), Ok(0));
        assert_eq!(some_bytes::<usize>("8190"), Ok(8190));
        for (read, text, want) in [
            (bytes::<usize> as fn(&str) -> Result<usize, StartError>, "1g", "give a number of bytes"),
            (bytes, "-1", "give a number of bytes"),
            (bytes, "", "give a number of bytes"),
            (some_bytes, "0", "with 0 every request would be refused"),
            (some_bytes, "1k", "give a number of bytes"),
            (some, "00", "with 0 every request would be refused"),
            (some, "x", "give a whole number"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.starts_with(want), "{text}: {error}");
        }
    }
}
