//! For each rule a clean log and logs that break it and nothing else.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "all of this is tests")]

mod bake;
mod cases;
mod catch_up;
mod changes;
mod compared;
mod count;
mod files;
mod holds;
mod labels;
mod minds;
mod on_demand;
mod orders;
mod placement;
mod rollouts;
mod spoil;
mod steps;
mod story;
mod verdict;
mod windows;
mod wishes;
mod world;
