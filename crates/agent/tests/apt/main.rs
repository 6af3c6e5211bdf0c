//! The agent with real apt and real dpkg, on a private root.
//!
//! Needs apt, dpkg-dev (`dpkg-scanpackages`) and util-linux; `cargo xtask setup` installs them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod archive;
mod assessment;
mod doctor;
mod interruptions;
mod machine;
mod orders;
