//! The mind of rollout-planner.
