//! A seeded world around the same minds that run in production, on a virtual clock: a fleet, its agents, faults.
//!
//! One seed is one history, always the same: whatever breaks can be seen again. Thin as yet: one log in memory, minds
//! that are killed and read it anew, machines that go silent, fail, fall ill or never come back.

mod fleet;
mod machines;
mod world;

pub use fleet::random_fleet;
pub use machines::Faults;
pub use world::{Record, World};
