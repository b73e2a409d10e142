//! When a worker has done enough. The one place that knows `--max-requests` and `--max-rss`.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

use salver::{Seconds, ServerOptions};

/// When a worker is replaced, and how long it then has.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    requests: u64,
    jitter: u64,
    rss: Option<u64>,
    grace: Seconds,
}

impl Limits {
    pub(super) fn new(options: &super::Options, server: &ServerOptions) -> Self {
        Self {
            requests: options.max_requests,
            jitter: options.max_requests_jitter,
            rss: options.max_rss,
            grace: server.graceful_timeout,
        }
    }

    /// After how many requests the next worker is replaced: not all of them at the same time.
    pub(super) fn most_requests(&self) -> Option<u64> {
        let random = RandomState::new().build_hasher().finish();
        (self.requests > 0).then(|| self.requests + random % (self.jitter + 1))
    }

    /// Why a worker with so much memory is to be replaced.
    pub(super) fn too_large(&self, rss: u64) -> Option<String> {
        let most = self.rss.filter(|most| rss > *most)?;
        Some(format!("it takes {rss} bytes of memory, and --max-rss is {most}"))
    }

    /// Whether memory has to be looked at.
    pub(super) fn counts_memory(&self) -> bool {
        self.rss.is_some()
    }

    pub(super) fn grace(&self) -> Duration {
        self.grace.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(requests: u64, jitter: u64, rss: Option<u64>) -> Limits {
        Limits { requests, jitter, rss, grace: 1.into() }
    }

    #[test]
    fn a_worker_s_share_of_the_jitter_is_its_own() {
        assert_eq!(limits(0, 5, None).most_requests(), None);
        assert_eq!(limits(7, 0, None).most_requests(), Some(7));
        let found: std::collections::BTreeSet<_> =
            (0..200).filter_map(|_| limits(100, 9, None).most_requests()).collect();
        assert!(found.len() > 1 && found.iter().all(|most| (100..=109).contains(most)), "{found:?}");
    }

    #[test]
    fn memory_counts_only_where_it_is_limited() {
        assert_eq!(limits(0, 0, None).too_large(u64::MAX), None);
        assert_eq!(limits(0, 0, Some(10)).too_large(10), None);
        assert!(limits(0, 0, Some(10)).too_large(11).is_some());
    }
}
