//! The console's page, as people use it: in a real Chromium, at the real services. `cargo xtask tools` fetches what is needed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what is wrong by panicking"
)]

mod large;
mod looks;
mod rollout;
mod script;
