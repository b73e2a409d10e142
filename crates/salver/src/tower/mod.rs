//! tower's services as handlers, and a site as a tower service.
//!
//! - [`Mounted`]: an axum `Router`, or any other service of `http::Request`, beside files on salver's own engine.
//! - [`SiteService`], by [`Site::into_service`](crate::Site::into_service): salver's files under axum or hyper.
//!
//! Bodies stream both ways. Refused: what an [`http::Uri`] cannot hold (400), and upgrades: nobody here would speak another
//! protocol afterwards.
//!
//! Services know no client address; it travels among the extensions of a request: [`Peer`](crate::Peer) and
//! [`SocketAddr`](std::net::SocketAddr) are put there for a mounted service, and looked for there by a [`SiteService`].

mod mounted;
mod service;

pub use mounted::{Mounted, OriginalUri};
pub use service::SiteService;
