//! What every service shares: configuration, telemetry, lifecycle, and the loop log -> mind -> log.

pub mod access;
pub mod config;
pub mod crypto;
pub mod host;
pub mod lifecycle;
pub mod local_tls;
pub mod page;
pub mod service;
pub mod serving;
pub mod signals;
pub mod snapshot;
pub mod status;
pub mod telemetry;
pub mod terms;

pub use access::Access;
pub use host::{CommandError, Host};
pub use nightshift_clock::Clock;
pub use page::Page;
pub use service::{Context, Service};
pub use signals::Signals;
pub use terms::Terms;
