//! The phases as places in the list of regions, with what bounded each and what held each region back.

use super::Sized;
use super::conflicts::Conflicts;

/// What decided how much a phase may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Bound {
    /// A phase of canaries.
    Canaries,
    /// The share of all VMs that may have been touched when it ends, in percent.
    Share {
        percent: u8,
        /// Shares before it that no region left fitted.
        passed_over: Vec<u8>,
        /// The smallest region alone is more.
        exceeded: bool,
    },
}

/// A region that would have fitted into an earlier phase, but for its geo-pair there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HeldBack {
    pub(super) region: usize,
    /// The earlier phase, from 0.
    pub(super) phase: usize,
    pub(super) pair: usize,
}

#[derive(Debug)]
pub(super) struct DraftPhase {
    pub(super) bound: Bound,
    /// The smallest first.
    pub(super) regions: Vec<usize>,
    /// Of the regions of this phase.
    pub(super) held_back: Vec<HeldBack>,
}

/// A plan as it grows.
pub(super) struct Draft<'a> {
    regions: &'a [Sized<'a>],
    conflicts: &'a Conflicts,
    total: u64,
    touched: u64,
    waiting: Vec<usize>,
    held_back: Vec<HeldBack>,
    pub(super) phases: Vec<DraftPhase>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(regions: &'a [Sized<'a>], conflicts: &'a Conflicts, shares: &[u8]) -> Self {
        let total = regions.iter().map(|region| u64::from(region.vms)).sum();
        let (canaries, waiting) = (0..regions.len()).partition::<Vec<_>, _>(|&region| regions[region].canary);
        let phases = Vec::new();
        let mut draft =
            Self { regions, conflicts, total, touched: 0, waiting, held_back: Vec::new(), phases };
        draft.part(&canaries, &Bound::Canaries);
        let mut passed_over = Vec::new();
        for &percent in shares.iter().take_while(|percent| **percent < 100) {
            let (taken, exceeded) = draft.take(percent);
            if taken.is_empty() {
                passed_over.push(percent);
            } else {
                let passed_over = std::mem::take(&mut passed_over);
                draft.push(Bound::Share { percent, passed_over, exceeded }, taken);
            }
        }
        let rest = std::mem::take(&mut draft.waiting);
        draft.part(&rest, &Bound::Share { percent: 100, passed_over, exceeded: false });
        draft
    }

    /// What waits and fits under the share, and whether it exceeds it.
    fn take(&mut self, percent: u8) -> (Vec<usize>, bool) {
        let mut taken = Vec::new();
        let waiting = std::mem::take(&mut self.waiting);
        for region in waiting {
            let after = self.touched + u64::from(self.regions[region].vms);
            let fits = after * 100 <= self.total * u64::from(percent);
            let pair = self.conflicts.among(region, &taken);
            if let Some(pair) = pair.filter(|_| fits) {
                self.held_back.push(HeldBack { region, phase: self.phases.len(), pair });
            }
            if fits && pair.is_none() {
                self.touched = after;
                taken.push(region);
            } else {
                self.waiting.push(region);
            }
        }
        if taken.is_empty() && self.phases.is_empty() && !self.waiting.is_empty() {
            let smallest = self.waiting.remove(0);
            self.touched += u64::from(self.regions[smallest].vms);
            return (vec![smallest], true);
        }
        (taken, false)
    }

    /// All these regions in as few phases as their pairs allow.
    fn part(&mut self, members: &[usize], bound: &Bound) {
        let first = self.phases.len();
        for group in self.conflicts.fewest_groups(members) {
            for &region in &group {
                let earlier = (first..).zip(&self.phases[first..]);
                let pairs = earlier.filter_map(|(phase, before)| {
                    let pair = self.conflicts.among(region, &before.regions)?;
                    Some(HeldBack { region, phase, pair })
                });
                self.held_back.extend(pairs);
            }
            self.touched += group.iter().map(|&region| u64::from(self.regions[region].vms)).sum::<u64>();
            self.push(bound.clone(), group);
        }
    }

    fn push(&mut self, bound: Bound, regions: Vec<usize>) {
        let held_back = std::mem::take(&mut self.held_back);
        let (here, later) = held_back.into_iter().partition(|held| regions.contains(&held.region));
        self.held_back = later;
        self.phases.push(DraftPhase { bound, regions, held_back: here });
    }
}
