//! The stores as their users see them: what all must do, and what a crash, a fault or a damage makes of each.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;
mod conformance;
mod crash;
mod nats_faults;
mod sled_folder;
