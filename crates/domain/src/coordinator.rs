//! The mind of region-coordinator.
