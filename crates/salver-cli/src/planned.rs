//! What the contract of the command line names and this version has not: said in one line instead of being misunderstood.

/// An option to come.
pub(crate) struct Planned {
    pub(crate) long: &'static str,
    /// What has to be there first.
    what: &'static str,
}

/// The options to come. One that is built leaves this table.
pub(crate) const OPTIONS: &[Planned] = &[planned("preload", WORKERS)];

/// What to say of `option`, spelled as typed (`--reload`, `-w`), as a key (`max_requests`) or as a variable.
pub(crate) fn refusal(option: &str) -> Option<String> {
    let name = option.strip_prefix("SALVER_").map_or_else(|| option.to_owned(), str::to_lowercase);
    let name = name.trim_start_matches('-');
    let name = name.split_once('=').map_or(name, |(name, _)| name).replace('_', "-");
    let planned = OPTIONS.iter().find(|planned| planned.long == name)?;
    Some(format!("{option}: not in this version yet; it comes with {}", planned.what))
}

const fn planned(long: &'static str, what: &'static str) -> Planned {
    Planned { long, what }
}

const WORKERS: &str = "worker processes";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_recognised() {
        for (option, known) in [
            ("--preload", true),
            ("--preload=x", true),
            ("preload", true),
            ("SALVER_PRELOAD", true),
            ("SALVER_HIDDEN", false),
            ("--hidden", false),
            ("-x", false),
            ("", false),
        ] {
            assert_eq!(refusal(option).is_some(), known, "{option}");
        }
    }
}
