//! One region run.
