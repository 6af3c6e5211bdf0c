//! The agent with real dnf, real zypper and real rpm, on sandboxed machines.
//!
//! Needs root and what `cargo xtask tools` installs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod dnf;
mod machine;
mod zypper;
