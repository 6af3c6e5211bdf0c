//! Commands on their callers' terms: keys that count across deaths and instances, deadlines that are kept.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what is wrong by panicking"
)]

mod deadlines;
mod keys;
mod world;
