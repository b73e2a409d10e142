//! Which handler answers: the longest mount prefix, on whole segments.
//!
//! Paths are compared decoded and normalised, so no spelling of a path slips past a mount.

use std::sync::Arc;

use http::StatusCode;

use crate::error::Error;
use crate::handler::Handler;
use crate::request::Request;
use crate::rfc::path::SafePath;
use crate::start_error::StartError;

/// The mounts of a site.
#[derive(Default)]
pub(crate) struct Routes {
    /// The longest prefix first, so that the first match is the right one.
    mounts: Vec<Mount>,
}

/// Who answers a request.
pub(crate) struct Found<'s> {
    pub(crate) handler: &'s dyn Handler,
    /// The path below its mount.
    pub(crate) rest: SafePath,
    /// The place of its mount among the prefixes.
    pub(crate) place: usize,
}

struct Mount {
    prefix: SafePath,
    handler: Arc<dyn Handler>,
}

impl Routes {
    /// Serves `handler` below `prefix`.
    pub(crate) fn mount(&mut self, prefix: &str, handler: Arc<dyn Handler>) -> Result<(), StartError> {
        let wrong = |why: &str| StartError::new(format!("mount '{prefix}': {why}"));
        if !prefix.starts_with('/') {
            return Err(wrong("a prefix begins with /; give /path"));
        }
        let parsed = SafePath::parse(prefix.as_bytes()).map_err(|error| wrong(&error.to_string()))?;
        if self.mounts.iter().any(|mount| mount.prefix.as_bytes() == parsed.as_bytes()) {
            return Err(wrong("mounted twice; keep one of the two"));
        }
        self.mounts.push(Mount { prefix: parsed, handler });
        self.mounts.sort_by_key(|mount| std::cmp::Reverse(mount.prefix.as_bytes().len()));
        Ok(())
    }

    /// The prefixes, in the order of the places that [`Routes::find`] gives.
    pub(crate) fn prefixes(&self) -> Vec<String> {
        let text = |mount: &Mount| format!("/{}", String::from_utf8_lossy(mount.prefix.as_bytes()));
        self.mounts.iter().map(text).collect()
    }

    /// The handler of a request, the path below its mount, and the place of that mount.
    pub(crate) fn find(&self, request: &Request) -> Result<Found<'_>, Error> {
        let path = SafePath::parse(request.target.path())
            .map_err(|error| Error::new(StatusCode::BAD_REQUEST, "Bad request path").because(error))?;
        for (place, Mount { prefix, handler }) in self.mounts.iter().enumerate() {
            if prefix.is_root() {
                // All is below the root, as it stands: nothing is to be cut off, or copied.
                return Ok(Found { handler: &**handler, rest: path, place });
            }
            if let Some(rest) = path.below(prefix) {
                return Ok(Found { handler: &**handler, rest, place });
            }
        }
        Err(Error::not_found())
    }
}

impl std::fmt::Debug for Routes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.mounts.iter().map(|mount| &mount.prefix)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handler::{Reply, Response};

    struct Named(&'static str);

    impl Handler for Named {
        fn handle(&self, _: Request, _: SafePath) -> Reply<'_> {
            Reply::ready(Ok(Response::new(self.0.into())))
        }
    }

    fn routes(prefixes: &[&'static str]) -> Routes {
        let mut routes = Routes::default();
        for prefix in prefixes {
            routes.mount(prefix, Arc::new(Named(prefix))).unwrap();
        }
        routes
    }

    fn found(routes: &Routes, target: &'static str) -> Option<(String, String)> {
        let request = Request::get(target);
        let Found { handler, rest, .. } = routes.find(&request).ok()?;
        let Reply::Ready(Some(Ok(response))) = handler.handle(request, rest.clone()) else { panic!() };
        let crate::Body::Bytes(name) = response.into_body() else { panic!() };
        Some((String::from_utf8_lossy(&name).into(), String::from_utf8_lossy(rest.as_bytes()).into()))
    }

    #[test]
    fn the_longest_prefix_wins_on_whole_segments() {
        let routes = routes(&["/", "/api", "/api/v1", "/a b"]);
        for (target, prefix, rest) in [
            ("/", "/", ""),
            ("/apix", "/", "apix"),
            ("/api", "/api", ""),
            ("/api/", "/api", ""),
            ("/api/x?api/v1", "/api", "x"),
            ("/api/v1/x/y", "/api/v1", "x/y"),
            ("/api/v10", "/api", "v10"),
            ("//api/x", "/api", "x"),
            ("/%61pi/x", "/api", "x"),
            ("/x/../api/y", "/api", "y"),
            ("/api%2Fv1/z", "/api/v1", "z"),
            ("/a%20b/c", "/a b", "c"),
            ("/../../api", "/api", ""),
        ] {
            assert_eq!(found(&routes, target), Some((prefix.into(), rest.into())), "{target}");
        }
    }

    #[test]
    fn without_a_mount_nothing_is_found() {
        let routes = routes(&["/api"]);
        assert_eq!(found(&routes, "/"), None);
        assert_eq!(found(&routes, "/api%00"), None);
    }

    #[test]
    fn a_mount_that_cannot_be_is_refused() {
        let mut routes = routes(&["/api"]);
        for prefix in ["api", "", "/api/", "/x/../api", "/%00"] {
            let error = routes.mount(prefix, Arc::new(Named(""))).expect_err(prefix);
            assert!(error.to_string().starts_with("mount '"), "{error}");
        }
    }
}
