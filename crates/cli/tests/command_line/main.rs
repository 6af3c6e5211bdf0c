//! The command line as people and scripts have it: the real program, at a real installation.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what is wrong by panicking"
)]

mod colors;
mod contexts;
mod docs;
mod exit_codes;
mod export;
mod halted;
mod installation;
mod live_view;
mod manual;
mod methods;
mod output;
mod pty;
mod recorder;
