//! The real binary, asked by a raw HTTP client.
// A test says that it failed by panicking.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod cgi;
mod command;
mod https;
mod listing;
mod support;
