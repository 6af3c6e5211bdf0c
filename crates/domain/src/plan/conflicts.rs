//! Which regions may not share a phase, and how to part them into the fewest groups.

use crate::id::RegionName;
use crate::topology::Topology;
use std::collections::{BTreeMap, VecDeque};

/// The geo-pairs among the regions of a plan, as a graph. A region is its place in the list of the plan's regions,
/// the smallest first.
#[derive(Debug)]
pub(super) struct Conflicts {
    neighbours: Vec<Vec<usize>>,
}

/// A group for each region; regions that are not asked for have none.
type Groups = Vec<Option<usize>>;

impl Conflicts {
    /// The pairs among these regions, in whichever direction they are declared.
    pub(super) fn new(topology: &Topology, names: &[&RegionName]) -> Self {
        let places: BTreeMap<_, _> = names.iter().enumerate().map(|(place, name)| (*name, place)).collect();
        let mut neighbours = vec![Vec::new(); names.len()];
        for (one, name) in names.iter().enumerate() {
            let pair = topology.regions.get(*name).and_then(|region| region.pair.as_ref());
            if let Some(&other) = pair.and_then(|pair| places.get(pair))
                && other != one
            {
                neighbours[one].push(other);
                neighbours[other].push(one);
            }
        }
        for list in &mut neighbours {
            list.sort_unstable();
            list.dedup();
        }
        Self { neighbours }
    }

    /// The smallest of `others` that the region is paired with.
    pub(super) fn among(&self, region: usize, others: &[usize]) -> Option<usize> {
        self.neighbours[region].iter().copied().find(|neighbour| others.contains(neighbour))
    }

    /// Parts the members (ascending) into the fewest groups without a pair. A member is in the earliest group that
    /// its neighbours leave open to it.
    ///
    /// The fewest there can be: a region names at most one pair, so what hangs together has at most one ring. Two
    /// groups do for a tree or an even ring, three for an odd one; first-fit may need more, and then a colouring in
    /// two from a root, or first-fit in an order in which each has at most two neighbours before it, takes its place.
    pub(super) fn fewest_groups(&self, members: &[usize]) -> Vec<Vec<usize>> {
        let mut groups: Groups = vec![None; self.neighbours.len()];
        for part in self.parts(members) {
            let best = self.best_of(&part);
            part.iter().for_each(|&region| groups[region] = best[region]);
        }
        let mut parted = Vec::new();
        for &region in members {
            let group = groups[region].unwrap_or_default();
            if parted.len() <= group {
                parted.resize(group + 1, Vec::new());
            }
            parted[group].push(region);
        }
        parted
    }

    /// The fewest groups for what hangs together; of several ways the one in which the smallest choose first.
    fn best_of(&self, part: &[usize]) -> Groups {
        let first_fit = self.first_fit(part.iter().copied());
        if last_group(&first_fit) < Some(2) {
            return first_fit;
        }
        let others = [self.alternate(part), self.first_fit(self.loose_ends_last(part))];
        let best = others
            .into_iter()
            .fold(first_fit, |best, other| if last_group(&other) < last_group(&best) { other } else { best });
        self.moved_forward(part, best)
    }

    /// What hangs together, each part ascending.
    fn parts(&self, members: &[usize]) -> Vec<Vec<usize>> {
        let mut open = vec![false; self.neighbours.len()];
        members.iter().for_each(|&region| open[region] = true);
        let mut parts = Vec::new();
        for &root in members {
            if !std::mem::take(&mut open[root]) {
                continue;
            }
            let mut part = vec![root];
            let mut next = 0;
            while let Some(&region) = part.get(next) {
                part.extend(
                    self.neighbours[region].iter().filter(|&&other| std::mem::take(&mut open[other])),
                );
                next += 1;
            }
            part.sort_unstable();
            parts.push(part);
        }
        parts
    }

    /// Each in turn into the first group without a neighbour.
    fn first_fit(&self, order: impl IntoIterator<Item = usize>) -> Groups {
        let mut groups: Groups = vec![None; self.neighbours.len()];
        for region in order {
            groups[region] = Some(self.first_open(region, &groups));
        }
        groups
    }

    fn first_open(&self, region: usize, groups: &Groups) -> usize {
        let taken: Vec<_> = self.neighbours[region].iter().filter_map(|&other| groups[other]).collect();
        (0..).find(|group| !taken.contains(group)).unwrap_or(taken.len())
    }

    /// From the smallest region on by turns; where that meets an odd ring, first-fit decides on.
    fn alternate(&self, part: &[usize]) -> Groups {
        let mut inside = vec![false; self.neighbours.len()];
        part.iter().for_each(|&region| inside[region] = true);
        let mut order = Vec::with_capacity(part.len());
        let mut queue: VecDeque<usize> = part.first().copied().into_iter().collect();
        while let Some(region) = queue.pop_front() {
            if std::mem::take(&mut inside[region]) {
                order.push(region);
                queue.extend(self.neighbours[region].iter().filter(|&&other| inside[other]));
            }
        }
        self.first_fit(order)
    }

    /// An order that ends with those that have fewest neighbours among what is before them.
    fn loose_ends_last(&self, part: &[usize]) -> Vec<usize> {
        let mut left = part.to_vec();
        let mut order = Vec::with_capacity(part.len());
        while !left.is_empty() {
            let degree = |region: usize| {
                self.neighbours[region].iter().filter(|other| left.binary_search(other).is_ok()).count()
            };
            let last = (0..left.len()).rev().min_by_key(|&place| degree(left[place])).unwrap_or_default();
            order.push(left.remove(last));
        }
        order.reverse();
        order
    }

    /// Moves regions to earlier groups until none can.
    fn moved_forward(&self, part: &[usize], mut groups: Groups) -> Groups {
        loop {
            let mut moved = false;
            for &region in part {
                let open = self.first_open(region, &groups);
                if groups[region].is_some_and(|group| open < group) {
                    groups[region] = Some(open);
                    moved = true;
                }
            }
            if !moved {
                return groups;
            }
        }
    }
}

fn last_group(groups: &Groups) -> Option<usize> {
    groups.iter().max().copied().flatten()
}
