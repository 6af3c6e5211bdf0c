//! What every service shares: clock, configuration, telemetry, lifecycle, and the loop log -> mind -> log.

pub mod clock;
pub mod config;
pub mod host;
pub mod lifecycle;
pub mod service;
pub mod signals;
pub mod snapshot;
pub mod status;
pub mod telemetry;

pub use clock::Clock;
pub use host::{CommandError, Host};
pub use service::{Context, Service};
pub use signals::Signals;
