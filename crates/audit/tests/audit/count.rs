//! Counts what the events of a story come to, so that a case that changes what happens need not count again.

use nightshift_domain::event::Outcome;
use nightshift_domain::layout::StepKey;
use nightshift_domain::rollout::Tally;
use nightshift_domain::{Event, Partition, RegionName, RolloutId, Time, VmId};
use std::collections::BTreeMap;

/// How each VM last ended, if it has in this round; and what it counts as if it does not.
type Standings = BTreeMap<VmId, (Option<Tally>, Tally)>;

/// Puts the right number into every tally.
pub fn count(entries: &mut [(Partition, Time, Event)]) {
    let mut standings = BTreeMap::<(Partition, RolloutId), Standings>::new();
    let mut steps = BTreeMap::<(Partition, RolloutId, StepKey), Vec<VmId>>::new();
    let mut runs = BTreeMap::<(RegionName, RolloutId, u32), Tally>::new();
    for (partition, _, event) in entries.iter_mut() {
        let key = |rollout: &RolloutId| (partition.clone(), rollout.clone());
        match event {
            Event::RunEnlisted { rollout, members } => {
                let of_run = standings.entry(key(rollout)).or_default();
                for member in members {
                    let before = of_run.get(&member.vm).map(|(ended, unreached)| ended.unwrap_or(*unreached));
                    let skipped = Tally { skipped: 1, ..Tally::default() };
                    of_run.insert(member.vm.clone(), (None, before.unwrap_or(skipped)));
                }
            }
            Event::StepStarted { rollout, step, vms } => {
                steps.insert((partition.clone(), rollout.clone(), step.clone()), vms.clone());
            }
            Event::VmDeferred { rollout, vm, .. } => {
                stand(&mut standings, key(rollout), vm, Tally { deferred: 1, ..Tally::default() });
            }
            Event::VmSkipped { rollout, vm, .. } => {
                stand(&mut standings, key(rollout), vm, Tally { skipped: 1, ..Tally::default() });
            }
            Event::VmSettled { rollout, vm, outcome, .. } => {
                let healthy = u32::from(*outcome == Outcome::Healthy);
                let ended = Tally { healthy, failed: 1 - healthy, ..Tally::default() };
                stand(&mut standings, key(rollout), vm, ended);
            }
            Event::StepEnded { rollout, step, tally, .. } => {
                let vms = steps.get(&(partition.clone(), rollout.clone(), step.clone()));
                let of_run = standings.get(&key(rollout));
                let of_step = vms.into_iter().flatten().filter_map(|vm| of_run?.get(vm)?.0);
                *tally = sum(of_step);
            }
            Event::RunCompleted { rollout, round, tally, .. } => {
                let Partition::Region(region) = &*partition else { continue };
                let all = standings.entry(key(rollout)).or_default();
                *tally = sum(all.values().map(|(ended, unreached)| ended.unwrap_or(*unreached)));
                runs.insert((region.clone(), rollout.clone(), *round), *tally);
            }
            _ => {}
        }
    }
    let mut turns = BTreeMap::<RolloutId, BTreeMap<RegionName, (u32, Tally, Tally)>>::new();
    for (.., event) in entries {
        match event {
            Event::TurnEnded { rollout, region, phase, round, tally, .. } => {
                let run = (region.clone(), rollout.clone(), *round);
                *tally = runs.get(&run).copied().unwrap_or_else(|| {
                    let standings = standings.get(&(Partition::Region(region.clone()), rollout.clone()));
                    sum(standings.into_iter().flat_map(BTreeMap::values).filter_map(|(ended, _)| *ended))
                });
                let turns = turns.entry(rollout.clone()).or_default();
                turns.entry(region.clone()).or_insert((*phase, *tally, *tally)).2 = *tally;
            }
            Event::PhasePassed { rollout, phase, tally }
            | Event::PhaseFailed { rollout, phase, tally, .. } => {
                let turns = turns.entry(rollout.clone()).or_default().values();
                *tally = sum(turns.filter(|(of, ..)| of == phase).map(|(_, first, _)| *first));
            }
            Event::RolloutCompleted { rollout, tally } => {
                *tally = sum(turns.entry(rollout.clone()).or_default().values().map(|(.., newest)| *newest));
            }
            _ => {}
        }
    }
}

fn stand(
    standings: &mut BTreeMap<(Partition, RolloutId), Standings>,
    key: (Partition, RolloutId),
    vm: &VmId,
    ended: Tally,
) {
    if let Some(standing) = standings.entry(key).or_default().get_mut(vm) {
        standing.0 = Some(ended);
    }
}

fn sum(tallies: impl Iterator<Item = Tally>) -> Tally {
    let mut sum = Tally::default();
    tallies.for_each(|tally| sum += tally);
    sum
}
