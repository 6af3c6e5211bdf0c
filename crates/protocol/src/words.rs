//! What people read where programs have an enum: the same words on the command line, on the page and in exports.

use crate::api::v1 as api;

/// Where a VM stands; nothing if no rollout knows it.
pub fn progress(progress: api::VmProgress) -> Option<&'static str> {
    match progress {
        api::VmProgress::Unspecified => None,
        api::VmProgress::Waiting => Some("waiting"),
        api::VmProgress::InFlight => Some("in flight"),
        api::VmProgress::Soaking => Some("soaking"),
        api::VmProgress::Healthy => Some("healthy"),
        api::VmProgress::Failed => Some("failed"),
        api::VmProgress::Skipped => Some("skipped"),
        api::VmProgress::Deferred => Some("deferred"),
    }
}
