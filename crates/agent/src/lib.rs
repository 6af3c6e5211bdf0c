//! The agent: what runs on a VM. It is thin: it carries out orders that were facts before they reached it, each at
//! most once, and tells what became of them.
//!
//! [`run::run`] is the whole agent. The [`engine`] knows orders, windows and reboots but no package manager; a
//! [`back_end::BackEnd`] knows a package manager and nothing else.

pub mod apt;
pub mod back_end;
mod backoff;
pub mod command;
pub mod config;
mod detect;
pub mod dnf;
pub mod doctor;
mod durable;
pub mod engine;
mod findings;
mod host;
mod identity;
pub mod journal;
mod lookout;
pub mod probes;
mod programs;
mod record_lock;
pub mod report;
mod requirements;
mod rpm;
pub mod run;
mod session;
pub mod simulated;
pub mod spool;
pub mod store;
pub mod tonight;
mod units;
pub mod welcomed;
pub mod windows;
mod worker;
pub mod zypper;
