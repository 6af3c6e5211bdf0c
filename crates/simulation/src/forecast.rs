//! The calendar of a rollout before it starts, by the very minds that will decide it.

use crate::big::{BadPatch, Big};
use crate::outcome::{PhaseOutcome, RolloutOutcome};
use crate::{Faults, Tape};
use chrono::{Duration, NaiveDate};
use nightshift_domain::policy::Policy;
use nightshift_domain::rollout::Rollout;
use nightshift_domain::{Event, Fact, Refusal, RegionName, RolloutId, Time, VmId};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What is to be expected if nothing goes wrong, and what a bad patch could do at most.
#[derive(Debug, Clone, Serialize)]
pub struct Expectation {
    /// From when.
    pub from: Time,
    /// When nothing new starts any more.
    pub deadline: Time,
    /// Whether every eligible VM is patched by the deadline.
    pub suffices: bool,
    /// Eligible VMs that are not, with the reason.
    pub late: BTreeMap<VmId, String>,
    /// VMs that the rollout leaves alone, with the reason.
    pub left_alone: BTreeMap<VmId, String>,
    /// In order.
    pub phases: Vec<Phase>,
    /// VMs of each region by the day (UTC) on which they are ordered.
    pub calendar: BTreeMap<RegionName, BTreeMap<NaiveDate, u32>>,
    /// When each VM is ordered first.
    pub vms: BTreeMap<VmId, Time>,
}

/// A phase to come.
#[derive(Debug, Clone, Serialize)]
pub struct Phase {
    /// From 1.
    pub number: u32,
    /// Its regions.
    pub regions: Vec<RegionName>,
    /// As planned.
    pub vms: u32,
    /// When its first turn starts.
    pub from: Option<Time>,
    /// When its last first turn ends.
    pub to: Option<Time>,
    /// VMs that a patch which breaks every machine of this phase and the later ones would reach before the halt.
    pub blast_radius: usize,
}

/// What the forecast begins with.
pub struct Before {
    /// From when.
    pub from: Time,
    /// Which rollout.
    pub rollout: RolloutId,
    /// How far it is.
    pub state: State,
}

/// How far the rollout is.
pub enum State {
    /// It has not started: the fleet's facts, and the policy it would have.
    #[allow(missing_docs, reason = "the fields are the words of the sentence above")]
    NotStarted { fleet: Vec<Event>, policy: Box<Policy> },
    /// It is under way: every fact of the log.
    #[allow(missing_docs, reason = "the fields are the words of the sentence above")]
    UnderWay { facts: Vec<Fact> },
}

fn world(before: &Before, bad_patch: Option<BadPatch>) -> Result<Big, Refusal> {
    let mut world = match &before.state {
        State::NotStarted { fleet, policy } => {
            let tape = Tape::counting();
            let world = Big::new(0, before.from, fleet.clone(), Faults::none(), tape);
            let mut world = world.remembering_vms().with_bad_patch(bad_patch);
            world.start(&before.rollout, (**policy).clone())?;
            world
        }
        State::UnderWay { facts } => {
            Big::continuing(0, before.from, facts).remembering_vms().with_bad_patch(bad_patch)
        }
    };
    let rollout = world.planner().rollouts.get(&before.rollout);
    let until = rollout.map_or(before.from, Rollout::deadline) + Duration::days(2);
    world.run(until, |_| {});
    Ok(world)
}

/// Lives through the rollout once as it should be, and once for each phase with a patch that breaks every machine.
///
/// # Errors
/// If the rollout is refused, or is not known.
pub fn forecast(before: &Before) -> Result<Expectation, Refusal> {
    let good = world(before, None)?;
    let outcome = of_rollout(&good, before)?;
    let planner = good.planner();
    let rollout = planner.rollouts.get(&before.rollout);
    let deadline = rollout.map_or(before.from, Rollout::deadline);
    let began = match &before.state {
        State::NotStarted { .. } => BTreeMap::new(),
        State::UnderWay { facts } => ordered_so_far(facts, &before.rollout),
    };
    let none = BTreeSet::new();
    let ordered = |region: &RegionName| began.get(region).unwrap_or(&none);
    let mut left_alone = BTreeMap::new();
    let mut late = BTreeMap::new();
    for vm in planner.fleet.vms.values() {
        if let Some(refusal) = planner.fleet.ineligible(vm) {
            left_alone.insert(vm.id.clone(), refusal.sentence);
        } else if !good.first_orders().contains_key(&vm.id) && !ordered(&vm.region).contains(&vm.id) {
            let left = outcome.left.get(&vm.id).cloned();
            let why = left.unwrap_or_else(|| "its turn does not come before the deadline".to_owned());
            late.insert(vm.id.clone(), why);
        }
    }
    let mut phases = Vec::new();
    for phase in outcome.phases {
        let so_far = |phase: &PhaseOutcome| -> usize {
            phase.regions.iter().map(|region| ordered(region).len()).sum()
        };
        // What is patched already is patched: a bad patch reaches those that come after this moment.
        let bad = BadPatch { percent: 100, from_phase: phase.number };
        let reached = of_rollout(&world(before, Some(bad))?, before)?.phases;
        let reached = reached.iter().filter(|other| other.number >= phase.number);
        let reached = reached.map(|phase| (phase.ordered as usize).saturating_sub(so_far(phase))).sum();
        phases.push(Phase {
            number: phase.number,
            regions: phase.regions,
            vms: phase.vms,
            from: phase.started,
            to: phase.ended,
            blast_radius: reached,
        });
    }
    let vms = good.first_orders().clone();
    let calendar = good.outcome(0).calendar;
    let from = before.from;
    Ok(Expectation { from, deadline, suffices: late.is_empty(), late, left_alone, phases, calendar, vms })
}

fn of_rollout(world: &Big, before: &Before) -> Result<RolloutOutcome, Refusal> {
    let mut rollouts = world.outcome(0).rollouts.into_iter();
    let found = rollouts.find(|rollout| rollout.rollout == before.rollout);
    let unknown = || Refusal::new("RolloutNotFound", format!("rollout \"{}\" is not known", before.rollout));
    found.ok_or_else(unknown)
}

/// VMs of each region that the rollout ordered already.
fn ordered_so_far(facts: &[Fact], rollout: &RolloutId) -> BTreeMap<RegionName, BTreeSet<VmId>> {
    let mut vms: BTreeMap<RegionName, BTreeSet<VmId>> = BTreeMap::new();
    for fact in facts {
        if let (Some(region), Event::OrderPlaced { order }) = (fact.region(), &fact.event)
            && order.rollout == *rollout
        {
            vms.entry(region.clone()).or_default().insert(order.vm.clone());
        }
    }
    vms
}
