//! gRPC as programs meet it: all services in one process, and clients that know nothing but the contract.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what is wrong by panicking"
)]

mod errors;
mod examples;
mod keys;
mod pages;
mod reflection;
mod streams;
mod world;
