//! Planner and coordinator together, with machines and a health-monitor that do as each test says.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what is wrong by panicking"
)]

mod analysis;
mod assessments;
mod bake;
mod catch_up;
mod certificates;
mod changes;
mod explain;
mod halting;
mod health;
mod on_demand;
mod policy;
mod rhythm;
mod trust;
mod turns;
mod world;
