//! The agent with real apt, dnf and zypper on sandboxed machines.
//!
//! Needs root and what `cargo xtask tools` installs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod bad_input;
mod deaths;
mod locks;
mod machine;
mod native;
mod rpm;
mod sources;
