//! The pure rules of HTTP, a file a rule: bytes in, values out. No IO, no clock, no allocation a client could make large.
//!
//! Each file cites the section it obeys and has a table of cases and a fuzz target.

pub mod path;
