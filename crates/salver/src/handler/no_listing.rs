//! No listings: in the place of `listing` where the crate is built without that feature. A folder without an index is 404.

use std::sync::Arc;

use super::Answer;
use crate::error::Error;
use crate::handler::files::resolver::Root;
use crate::handler::files::stored::Stored;
use crate::request::{Request, Target};
use crate::rfc::path::SafePath;
use crate::start_error::StartError;

/// How folders are listed: not at all.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "cli", derive(clap::Args), group(skip))] // every module has an `Options`
pub struct Options {}

/// Lists nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listing {}

/// A folder that is not listed.
#[expect(dead_code, reason = "what a listing would need")]
pub(crate) struct Folder {
    pub(crate) root: Arc<Root>,
    pub(crate) folder: std::os::fd::OwnedFd,
    pub(crate) path: SafePath,
    pub(crate) hidden: bool,
}

pub(crate) fn open(_: &Options) -> Result<Listing, StartError> {
    Ok(Listing {})
}

impl Listing {
    /// Nothing is packed.
    #[expect(clippy::unused_self, reason = "as a listing does")]
    pub(crate) fn packs(&self, _: &Target) -> bool {
        false
    }

    /// As if the folder were not there.
    pub(crate) async fn answer(&self, _: Request, _: Folder) -> Answer {
        Err(Error::not_found())
    }

    /// As if there were nothing to show.
    pub(crate) async fn preview(&self, _: Request, _: &[u8], _: Arc<Stored>) -> Answer {
        Err(Error::not_found())
    }
}
