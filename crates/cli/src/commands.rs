//! One file for each group of commands.

pub(crate) mod audit;
pub(crate) mod compliance;
pub(crate) mod context;
pub(crate) mod events;
pub(crate) mod explain;
pub(crate) mod feature;
pub(crate) mod fleet;
pub(crate) mod forecast;
pub(crate) mod health;
pub(crate) mod manual;
pub(crate) mod nats_users;
pub(crate) mod overview;
pub(crate) mod plan;
pub(crate) mod region;
pub(crate) mod rhythm;
pub(crate) mod rollout;
pub(crate) mod simulate;
pub(crate) mod token;
pub(crate) mod up;
pub(crate) mod vm;
pub(crate) mod webhook;
