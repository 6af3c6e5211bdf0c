//! Runs, drawn from the chains `run.<rollout>` of the regions.

use crate::Record;
use crate::rollouts::Rollouts;
use nightshift_domain::layout::Member;
use nightshift_domain::policy::Policy;
use nightshift_domain::{Event, RegionName, RolloutId};
use std::collections::BTreeMap;

/// A time in which a run may place no order.
pub(crate) struct Hold<'a> {
    /// Every `RunHeld` and `RunHalted` of it.
    pub by: Vec<&'a Record>,
    /// `None` if the run is still on hold.
    pub released: Option<&'a Record>,
    /// The first event of `by` after which no person had the rollout go on before the release.
    pub against: Option<&'a Record>,
}

/// A rollout's run in a region.
#[derive(Default)]
pub(crate) struct Run<'a> {
    started: Option<(&'a Record, &'a Policy)>,
    /// Eligible VMs, as the run saw them; may come in several events.
    pub enlisted: Vec<(&'a Record, &'a [Member])>,
    pub holds: Vec<Hold<'a>>,
}

impl<'a> Run<'a> {
    /// The policy under which the run took up its turn.
    pub fn policy(&self) -> Option<&'a Policy> {
        self.started.map(|(_, policy)| policy)
    }

    /// The event with which the run began.
    pub fn started(&self) -> Option<&'a Record> {
        self.started.map(|(record, _)| record)
    }

    /// What put the run on hold, if it is so at that position.
    pub fn held_at(&self, position: u64) -> Option<&'a Record> {
        let holds = self
            .holds
            .iter()
            .filter(|hold| hold.released.is_none_or(|released| position < released.position));
        holds.filter_map(|hold| hold.by.iter().rfind(|by| by.position < position)).next().copied()
    }

    /// The position of the last release before this one that a person stands behind.
    pub fn released_before(&self, position: u64) -> Option<u64> {
        let backed = self.holds.iter().filter(|hold| hold.against.is_none());
        backed.filter_map(|hold| Some(hold.released?.position)).filter(|released| *released < position).max()
    }
}

/// Every run of every region.
#[derive(Default)]
pub(crate) struct Runs<'a>(BTreeMap<&'a RegionName, BTreeMap<&'a RolloutId, Run<'a>>>);

impl<'a> Runs<'a> {
    /// Draws the runs from the regions' events, in their order.
    pub fn of(regions: &BTreeMap<&'a RegionName, Vec<&'a Record>>, rollouts: &Rollouts<'a>) -> Self {
        let mut runs = Self::default();
        for (region, records) in regions {
            let of_region = runs.0.entry(region).or_default();
            for record in records {
                apply(of_region, record, rollouts);
            }
        }
        runs
    }

    /// A rollout's run in a region.
    pub fn get(&self, region: &RegionName, rollout: &RolloutId) -> Option<&Run<'a>> {
        self.0.get(region)?.get(rollout)
    }

    /// All of them, each with its region and its rollout.
    pub fn all(&self) -> impl Iterator<Item = (&'a RegionName, &'a RolloutId, &Run<'a>)> {
        self.0.iter().flat_map(|(region, runs)| runs.iter().map(|(rollout, run)| (*region, *rollout, run)))
    }
}

fn apply<'a>(runs: &mut BTreeMap<&'a RolloutId, Run<'a>>, record: &'a Record, rollouts: &Rollouts<'a>) {
    match &record.event {
        Event::RunStarted { rollout, policy, .. } => {
            runs.entry(rollout).or_default().started.get_or_insert((record, policy));
        }
        Event::RunEnlisted { rollout, members } => {
            runs.entry(rollout).or_default().enlisted.push((record, members))
        }
        Event::RunHeld { rollout, .. } | Event::RunHalted { rollout, .. } => {
            let holds = &mut runs.entry(rollout).or_default().holds;
            match holds.last_mut().filter(|hold| hold.released.is_none()) {
                Some(open) => open.by.push(record),
                None => holds.push(Hold { by: vec![record], released: None, against: None }),
            }
        }
        Event::RunReleased { rollout } => {
            if let Some(open) =
                runs.entry(rollout).or_default().holds.last_mut().filter(|hold| hold.released.is_none())
            {
                open.released = Some(record);
                open.against = open.by.iter().find(|by| !rollouts.resumed(rollout, by, record.at)).copied();
            }
        }
        _ => {}
    }
}
