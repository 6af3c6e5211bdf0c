//! The main job with everything real: agents on sandboxed machines, apt, TLS, and the services once in one process on
//! sled, once as five processes on nats-server, once more with every one of them killed on the way.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what is wrong by panicking"
)]

mod assess;
mod consumers;
mod demo;
mod doors;
mod five;
#[path = "../../benches/fleet/mod.rs"]
mod fleet;
mod health;
mod identity;
mod nats_users;
mod operation;
mod real_run;
mod replay;
mod webhooks;
