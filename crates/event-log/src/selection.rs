//! What of a partition is asked for, and the two ways in which a reader can ask in vain.

use crate::ReadError;
use nightshift_domain::{Follow, Partition};
use nightshift_protocol::envelope::Envelope;

/// Whether the event is among what is followed.
pub(crate) fn selects(follow: &Follow, envelope: &Envelope) -> bool {
    let Some(kind) = follow.kind else { return true };
    kind_of(&follow.partition, &envelope.subject) == Some(kind)
}

/// The aggregate's kind in `nightshift.v1.<partition>.<kind>.<id>`.
fn kind_of<'a>(partition: &Partition, subject: &'a str) -> Option<&'a str> {
    let tokens_before = match partition {
        Partition::Fleet | Partition::Rollout => 3,
        Partition::Region(_) => 4,
    };
    subject.split('.').nth(tokens_before)
}

/// The reader has seen more than there is: history was lost.
pub(crate) fn went_back(partition: &Partition, newest: u64, seen: u64) -> ReadError {
    ReadError::WentBack { partition: partition.clone(), newest, seen }
}

pub(crate) fn damaged(partition: &Partition, position: u64, cause: impl Into<String>) -> ReadError {
    ReadError::Damaged { partition: partition.clone(), position, cause: cause.into() }
}

pub(crate) fn unavailable(partition: &Partition, cause: impl Into<String>) -> ReadError {
    ReadError::Unavailable { partition: partition.clone(), cause: cause.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nightshift_domain::RegionName;

    #[test]
    fn the_kind_stands_behind_the_partition() {
        let region = Partition::Region(RegionName::new("west").unwrap());
        assert_eq!(kind_of(&region, "nightshift.v1.region.west.agent.vm-1"), Some("agent"));
        assert_eq!(kind_of(&Partition::Fleet, "nightshift.v1.fleet.vm.vm-1"), Some("vm"));
        assert_eq!(kind_of(&Partition::Fleet, "nightshift.v1"), None);
    }
}
