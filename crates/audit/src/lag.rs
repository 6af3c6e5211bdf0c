//! How far one partition may be behind another.

use chrono::Duration;
use nightshift_domain::Time;

/// How long a fact of partition `fleet` or `rollout` may take until a coordinator acts by it.
///
/// A coordinator's events are in the partition of its region, and nothing forbids it to append there while a fact of
/// another partition is on its way to it. What it does within this time of such a fact (a VM removed, a policy
/// changed, a version barred, a rollout halted) may therefore be right by what it knew; later it is not.
pub const LAG: Duration = Duration::minutes(5);

/// The earliest moment whose knowledge may still be acted by at `at`.
pub(crate) fn known_since(at: Time) -> Time {
    at.checked_sub_signed(LAG).unwrap_or(at)
}
