//! One rollout on one page, however large the fleet.

mod cells;
mod installs;
mod live;

pub(crate) use live::{Watcher, watch};

use crate::view::View;
use crate::views;
use cells::Counts;
use chrono::Duration;
use nightshift_domain::fleet::Vm;
use nightshift_domain::gate::phase_gate;
use nightshift_domain::layout::Member;
use nightshift_domain::planner::needs_approval;
use nightshift_domain::rollout::{Phase, Rollout, Status};
use nightshift_domain::topology::Region;
use nightshift_domain::{RegionName, RolloutId, Time};
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::convert::timestamp;
use nightshift_runtime::access::Caller;
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Rollouts that are named beside the one that is shown.
const NAMED: usize = 24;

/// Regions as they were when they were last looked at: only those are folded anew that changed since.
#[derive(Clone, Default)]
pub(crate) struct Kept(Arc<Mutex<Looks>>);

#[derive(Default)]
struct Looks {
    /// Rises whenever a region looks different from before.
    version: u64,
    known: BTreeMap<(Option<RolloutId>, RegionName), Known>,
}

#[derive(Clone)]
struct Known {
    /// How many facts there were.
    looked: u64,
    /// The version that it has looked so since.
    since: u64,
    region: Arc<api::RegionOverview>,
}

/// Everything about a rollout that fits on a page.
pub(crate) struct Overview {
    pub(crate) head: api::Overview,
    /// Each with the version that it has looked so since.
    pub(crate) regions: Vec<(u64, Arc<api::RegionOverview>)>,
    /// The newest version.
    pub(crate) version: u64,
}

impl Overview {
    /// With what people have installed on machines that the caller may see, and without what it says of any that may be
    /// another's.
    pub(crate) fn seen_by(mut self, caller: &Caller, view: &View, now: Time) -> Self {
        // Whose a machine was that has left the fleet is not known any more.
        let sees = |vm: Option<&Vm>| vm.map_or_else(|| caller.sees_all(), |vm| caller.sees(&vm.subscription));
        let installs = installs::open(view, sees);
        self.head.all_installs = u32::try_from(installs.len()).unwrap_or(u32::MAX);
        self.head.installs = installs::shown(&installs, view, now);
        if !caller.sees_all() {
            self.head.evidence = None;
        }
        self
    }
}

/// The rollout that people look at if they name none: the newest that is under way, else the newest; what somebody has
/// installed on one VM is looked at by its name.
pub(crate) fn newest(view: &View) -> Option<RolloutId> {
    let open = |rollout: &Rollout| !matches!(rollout.status, Status::Completed { .. });
    let rollouts = view.planner.rollouts.iter().filter(|(_, rollout)| rollout.on_demand.is_none());
    let newest = rollouts.max_by_key(|(id, rollout)| (open(rollout), rollout.requested, *id));
    newest.map(|(id, _)| id.clone())
}

/// The rollout of this name, or the newest; `None` if there is none of this name.
pub(crate) fn overview(view: &View, named: Option<&RolloutId>, now: Time, kept: &Kept) -> Option<Overview> {
    let id = named.cloned().or_else(|| newest(view));
    let rollout = match &id {
        Some(id) => Some(view.planner.rollouts.get(id)?),
        None => None,
    };
    let (version, regions) = regions(view, id.as_ref().zip(rollout), now, kept);
    let mut head = head(view, id.as_ref().zip(rollout), now);
    let mut all = Counts::default();
    for phase in &mut head.phases {
        let mut counts = Counts::default();
        let of_phase = regions.iter().filter(|(_, region)| region.phase == phase.number);
        of_phase.for_each(|(_, region)| cells::add(&mut counts, &region.counts));
        cells::add(&mut all, &counts);
        phase.counts = counts.to_vec();
    }
    head.counts = all.to_vec();
    Some(Overview { head, regions, version })
}

fn head(view: &View, shown: Option<(&RolloutId, &Rollout)>, now: Time) -> api::Overview {
    let of_fleet = view.planner.rollouts.iter().filter(|(_, rollout)| rollout.on_demand.is_none());
    let mut names: Vec<(&RolloutId, &Rollout)> = of_fleet.collect();
    names.sort_by_key(|(id, rollout)| std::cmp::Reverse((rollout.requested, *id)));
    let named = names.iter().take(NAMED).map(|(id, rollout)| api::RolloutName {
        rollout: id.to_string(),
        state: views::state(&rollout.status).into(),
        requested_at: Some(timestamp(rollout.requested)),
    });
    let head = api::Overview {
        as_of: Some(timestamp(now)),
        rollouts: named.collect(),
        next: view.planner.rhythm.as_ref().and_then(|rhythm| rhythm.next(now)).map(timestamp),
        vms: u32::try_from(view.planner.fleet.vms.len()).unwrap_or(u32::MAX),
        ..Default::default()
    };
    let Some((id, rollout)) = shown else { return head };
    let (halted_region, why) = match &rollout.status {
        Status::Halted { region, why } => (region.as_ref(), Some(why)),
        _ => (None, None),
    };
    let over = matches!(rollout.status, Status::Completed { .. });
    let phases = (1..).zip(&rollout.phases).map(|(number, phase)| phase_head(rollout, number, phase, now));
    api::Overview {
        rollout: id.to_string(),
        state: views::state(&rollout.status).into(),
        why: why.cloned().unwrap_or_default(),
        halted_region: halted_region.map(ToString::to_string).unwrap_or_default(),
        halted_phase: rollout.halted_phase.filter(|_| why.is_some()).map_or(0, |phase| phase + 1),
        evidence: why.is_some().then(|| (&rollout.evidence_of_halt).into()),
        actor: Some((&rollout.actor).into()),
        requested_at: Some(timestamp(rollout.requested)),
        ended_at: over.then(|| timestamp(rollout.changed)),
        deadline: Some(timestamp(rollout.deadline())),
        phases: phases.collect(),
        deeds: view.deeds.of(id),
        ..head
    }
}

fn phase_head(rollout: &Rollout, number: u32, phase: &Phase, now: Time) -> api::PhaseOverview {
    let waiting = phase.state == nightshift_domain::rollout::PhaseState::Waiting;
    api::PhaseOverview {
        number,
        state: views::phase_state(phase).into(),
        regions: phase.planned.regions.iter().map(|region| region.region.to_string()).collect(),
        approval_needed: waiting && needs_approval(rollout, number - 1),
        gate: phase_gate(rollout, number - 1, phase, now).into_iter().map(views::condition).collect(),
        counts: Vec::new(),
    }
}

fn regions(
    view: &View,
    shown: Option<(&RolloutId, &Rollout)>,
    now: Time,
    kept: &Kept,
) -> (u64, Vec<(u64, Arc<api::RegionOverview>)>) {
    let mut looks = kept.0.lock().unwrap_or_else(PoisonError::into_inner);
    let members = OnceCell::new();
    let mut regions = Vec::new();
    for region in view.planner.fleet.topology.regions.values() {
        let key = (shown.map(|(id, _)| id.clone()), region.name.clone());
        let facts = view.changes.of(&region.name);
        let before = looks.known.get(&key).cloned();
        // A night that is over is followed by another, without any fact.
        let is_over = |known: &Known| known.region.closes_at.is_some_and(|at| at.seconds <= now.timestamp());
        let known = match before {
            Some(before) if before.looked >= facts && !is_over(&before) => before,
            before => {
                let of_fleet = || cells::members(&view.planner.fleet);
                let folded = region_overview(view, shown, region, now, || members.get_or_init(of_fleet));
                match before.filter(|before| *before.region == folded) {
                    Some(before) => Known { looked: facts, ..before },
                    None => {
                        looks.version += 1;
                        Known { looked: facts, since: looks.version, region: Arc::new(folded) }
                    }
                }
            }
        };
        regions.push((known.since, known.region.clone()));
        looks.known.insert(key, known);
    }
    (looks.version, regions)
}

fn region_overview<'a>(
    view: &View,
    shown: Option<(&RolloutId, &Rollout)>,
    region: &Region,
    now: Time,
    members: impl FnOnce() -> &'a BTreeMap<RegionName, Vec<Member>>,
) -> api::RegionOverview {
    let window = view.planner.fleet.topology.window;
    let opening = window.next_fit(region.time_zone, now, Duration::zero(), |_| false);
    let mut overview = api::RegionOverview {
        region: region.name.to_string(),
        time_zone: region.time_zone.name().to_owned(),
        window: Some((&window).into()),
        opens_at: opening.map(|opening| timestamp(opening.opens)),
        closes_at: opening.map(|opening| timestamp(opening.closes)),
        pair: region.pair.as_ref().map(ToString::to_string).unwrap_or_default(),
        ..Default::default()
    };
    let Some((id, rollout)) = shown else { return overview };
    let phases = (1..).zip(&rollout.phases);
    let mut planned = phases.flat_map(|(number, phase)| {
        phase.planned.regions.iter().map(move |planned| (number, phase, planned))
    });
    let Some((number, phase, planned)) = planned.find(|(_, _, planned)| planned.region == region.name) else {
        return overview;
    };
    let turn = phase.turns.get(&region.name);
    overview.phase = number;
    overview.why = planned.why.clone();
    overview.turn = turn.is_some_and(|turn| turn.is_held());
    overview.round = turn.map_or(0, |turn| turn.round);
    let skipped = turn.and_then(|turn| turn.skipped.as_ref());
    overview.skipped_by = skipped.map(|(actor, _)| actor.into());
    let (stages, counts) = match view.coordinator.runs.get(&region.name).and_then(|runs| runs.get(id)) {
        Some(run) => {
            overview.enlisted = true;
            let ask = view.coordinator.ask(id, &region.name);
            let gates = ask.map(|ask| run.gates(&ask)).unwrap_or_default();
            overview.gates = gates.into_iter().map(views::gate).collect();
            cells::of_run(run, views::progress)
        }
        None => {
            let members = members().get(&region.name).map_or(&[][..], Vec::as_slice);
            cells::as_planned(members, rollout.policy.batch_percent)
        }
    };
    overview.stages = stages;
    overview.counts = counts.to_vec();
    overview
}
