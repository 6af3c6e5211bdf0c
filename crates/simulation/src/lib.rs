//! A seeded world around the same minds that run in production, on a virtual clock: a fleet, its agents, people, faults.
//!
//! One seed is one history, always the same: whatever breaks can be seen again. There are two worlds:
//!
//! - [`world`] is as hostile as we could make it: several instances of each service, each with its own late view of the
//!   log, killed between any two facts, appends that come second or of which nothing is known, machines that vanish,
//!   lie and repeat themselves, people who pause and change things. It is for small fleets.
//! - [`big`] has one instance of each service, which hears of every fact at once, and is as fast as the minds are: for
//!   forecasts and for what-if questions over a million machines. Its machines can fail as well.
//!
//! Both end with an [`Outcome`], in which the auditor has the last word.

mod attention;
pub mod big;
pub mod faults;
mod fleet;
pub mod forecast;
pub mod harm;
mod machines;
pub mod outcome;
mod people;
mod service;
mod synthetic;
mod tape;
pub mod timeline;
pub mod world;

pub use faults::Faults;
pub use fleet::random_fleet;
pub use outcome::Outcome;
pub use synthetic::synthetic_fleet;
pub use tape::Tape;
