//! Tests across processes: see `tests/`.
