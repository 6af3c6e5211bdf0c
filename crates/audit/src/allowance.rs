//! How much may fail, and how much may be in flight: the auditor's own arithmetic.

use nightshift_domain::policy::Policy;

/// How many of the VMs that were ordered may fail in a step or a phase: the absolute number, or the share of those
/// ordered, rounded down, whichever is more (the fields' words in `Policy`).
pub(crate) fn failures(policy: &Policy, ordered: usize) -> usize {
    let share = percent(ordered, policy.failure_budget_percent);
    usize::try_from(policy.failure_budget).unwrap_or(usize::MAX).max(share)
}

/// How many of a subscription's VMs in a region, outside zones and sets, may be in flight at once (rule S5).
pub(crate) fn in_flight(policy: &Policy, registered: usize) -> usize {
    percent(registered, policy.batch_percent).max(1)
}

fn percent(of: usize, percent: u8) -> usize {
    of.saturating_mul(usize::from(percent)) / 100
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_is_the_larger_of_the_number_and_the_share_rounded_down() {
        let policy = |failure_budget, failure_budget_percent| Policy {
            failure_budget,
            failure_budget_percent,
            ..Policy::default()
        };
        assert_eq!(failures(&policy(0, 5), 19), 0);
        assert_eq!(failures(&policy(0, 5), 20), 1);
        assert_eq!(failures(&policy(3, 5), 20), 3);
        assert_eq!(failures(&policy(3, 5), 100), 5);
        assert_eq!(failures(&policy(2, 0), 0), 2);
    }

    #[test]
    fn one_vm_may_always_go() {
        let policy = Policy { batch_percent: 20, ..Policy::default() };
        for (registered, at_once) in [(1, 1), (4, 1), (9, 1), (10, 2), (14, 2), (15, 3)] {
            assert_eq!(in_flight(&policy, registered), at_once, "{registered}");
        }
    }
}
