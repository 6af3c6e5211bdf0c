//! What every service shares: clock, configuration, telemetry, lifecycle, and the loop log -> mind -> log.

pub mod clock;
