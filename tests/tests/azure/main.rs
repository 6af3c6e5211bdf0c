//! People's door as Azure's clients use it: REST over HTTP at the real services, and the clients themselves.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what is wrong by panicking"
)]

mod access;
mod az;
mod contract;
mod door;
#[path = "../../benches/fleet/mod.rs"]
mod fleet;
mod paging;
mod refusals;
mod rest;
mod sdk;
