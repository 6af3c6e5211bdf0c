//! How much may fail, and how much may be in flight: the auditor's own arithmetic.

use nightshift_domain::policy::{Budget, Policy};

/// How many of so many VMs may fail: the share, rounded down, or the count, whichever is more.
pub(crate) fn failures(budget: Budget, vms: usize) -> usize {
    let count = usize::try_from(budget.vms).unwrap_or(usize::MAX);
    count.max(percent(vms, budget.percent))
}

/// How many of a subscription's VMs in a region, outside zones and sets, may be in flight at once (rule S5).
pub(crate) fn in_flight(policy: &Policy, registered: usize) -> usize {
    percent(registered, policy.batch_percent).max(1)
}

/// How many of an availability set may be in flight at once, inside one update domain: a fifth, and one of a set of
/// fewer than ten (REQUIREMENTS.md B8).
pub(crate) fn of_set(registered: usize) -> usize {
    if registered < 10 { 1 } else { registered / 5 }
}

fn percent(of: usize, percent: u8) -> usize {
    of.saturating_mul(usize::from(percent)) / 100
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_is_the_larger_of_the_count_and_the_share_rounded_down() {
        let allowed = |vms, percent, of| failures(Budget { percent, vms }, of);
        assert_eq!(allowed(0, 5, 19), 0);
        assert_eq!(allowed(0, 5, 20), 1);
        assert_eq!(allowed(3, 5, 20), 3);
        assert_eq!(allowed(3, 5, 100), 5);
        assert_eq!(allowed(2, 0, 0), 2);
    }

    #[test]
    fn one_vm_may_always_go() {
        let policy = Policy { batch_percent: 20, ..Policy::default() };
        for (registered, at_once) in [(1, 1), (4, 1), (9, 1), (10, 2), (14, 2), (15, 3)] {
            assert_eq!(in_flight(&policy, registered), at_once, "{registered}");
        }
    }

    #[test]
    fn small_sets_go_one_by_one() {
        for (registered, at_once) in [(1, 1), (5, 1), (9, 1), (10, 2), (14, 2), (15, 3), (100, 20)] {
            assert_eq!(of_set(registered), at_once, "{registered}");
        }
    }
}
