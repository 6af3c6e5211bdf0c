//! The view as the API shows it.

use crate::view::View;
use nightshift_domain::explain::Reason;
use nightshift_domain::fleet::Vm;
use nightshift_domain::gate::{Condition, ConditionState, Gate, phase_gate};
use nightshift_domain::planner::needs_approval;
use nightshift_domain::rollout::{Ended, Phase, PhaseState, Rollout, Status};
use nightshift_domain::run::{Run, Standing, Work};
use nightshift_domain::{RegionName, RolloutId, Time, VmId};
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::convert::timestamp;

/// Where a VM stands in the newest rollout that knows it; unspecified if none does.
pub(crate) fn standing(view: &View, vm: &Vm) -> api::VmProgress {
    newest_run(view, &vm.id, &vm.region).map(|(_, standing)| progress(standing)).unwrap_or_default()
}

/// One VM with its patch status.
pub(crate) fn vm(view: &View, vm: &Vm) -> api::VmView {
    let fleet = &view.planner.fleet;
    let machine = view.machines.get(&vm.id);
    let newest = newest_run(view, &vm.id, &vm.region);
    let standing = newest.map(|(_, standing)| standing);
    let assessed = machine.and_then(|machine| machine.assessed.as_ref());
    let installed = machine.and_then(|machine| machine.installed.as_ref());
    let failed = machine.and_then(|machine| machine.not_assessed.as_ref());
    api::VmView {
        vm: Some(vm.into()),
        ineligible: fleet.ineligible(vm).map(|refusal| refusal.sentence).unwrap_or_default(),
        window: window(view, vm),
        agent: machine.and_then(|machine| machine.identity.as_ref()).map(Into::into),
        enabled: machine.is_some_and(|machine| machine.enabled),
        assessment: assessed.map(|(_, assessment)| assessment.into()),
        assessed_at: assessed.map(|(at, _)| timestamp(*at)),
        last_installation: installed.map(|(_, report)| report.into()),
        last_installation_at: installed.map(|(at, _)| timestamp(*at)),
        progress: standing.map(progress).unwrap_or_default().into(),
        rollout: newest.map(|(rollout, _)| rollout.to_string()).unwrap_or_default(),
        why: standing.and_then(Standing::why).unwrap_or_default().to_owned(),
        assessment_error: failed.map(|(_, why)| why.clone()).unwrap_or_default(),
        assessment_failed_at: failed.map(|(at, _)| timestamp(*at)),
        requirements: machine.into_iter().flat_map(|machine| &machine.requirements).map(Into::into).collect(),
        assessment_wished_at: machine.and_then(|machine| machine.wished).map(timestamp),
    }
}

/// One rollout and how far it is.
pub(crate) fn rollout(view: &View, id: &RolloutId, rollout: &Rollout, now: Time) -> api::RolloutView {
    let (halted_region, why) = match &rollout.status {
        Status::Halted { region, why } => (region.as_ref(), Some(why)),
        _ => (None, None),
    };
    let phases = || (1..).zip(&rollout.phases);
    let phases: Vec<_> =
        phases().map(|(number, phase)| phase_view(view, id, rollout, number, phase, now)).collect();
    let mut tally = nightshift_domain::rollout::Tally::default();
    rollout.phases.iter().for_each(|phase| tally += running_tally(view, id, phase));
    let over = matches!(rollout.status, Status::Completed { .. });
    let halted = matches!(rollout.status, Status::Halted { .. });
    api::RolloutView {
        rollout: id.to_string(),
        state: state(&rollout.status).into(),
        why: why.cloned().unwrap_or_default(),
        halted_region: halted_region.map(ToString::to_string).unwrap_or_default(),
        evidence: halted.then(|| (&rollout.evidence_of_halt).into()),
        halted_phase: rollout.halted_phase.filter(|_| halted).map_or(0, |phase| phase + 1),
        phases,
        tally: Some((&tally).into()),
        requested_at: Some(timestamp(rollout.requested)),
        ended_at: over.then(|| timestamp(rollout.changed)),
        actor: Some((&rollout.actor).into()),
        policy: Some((&rollout.policy).into()),
        on_demand: rollout.on_demand.as_ref().map(Into::into),
        barred: rollout.barred.iter().map(Into::into).collect(),
        certified: u32::try_from(rollout.certified.len()).unwrap_or(u32::MAX),
        as_of: Some(timestamp(now)),
    }
}

/// How a rollout is, in a word.
pub(crate) fn state(status: &Status) -> api::RolloutState {
    match status {
        Status::Running => api::RolloutState::Running,
        Status::Paused => api::RolloutState::Paused,
        Status::Halted { .. } => api::RolloutState::Halted,
        Status::Cancelled | Status::Completed { ended: Ended::Cancelled } => api::RolloutState::Cancelled,
        Status::Expired | Status::Completed { ended: Ended::Expired } => api::RolloutState::Expired,
        Status::Completed { ended: Ended::Passed } => api::RolloutState::Completed,
    }
}

/// How a phase is, in a word.
pub(crate) fn phase_state(phase: &Phase) -> api::PhaseState {
    match phase.state {
        PhaseState::Waiting => api::PhaseState::Waiting,
        PhaseState::Running if phase.ended().is_some() => api::PhaseState::Baking,
        PhaseState::Running => api::PhaseState::Running,
        PhaseState::Failed => api::PhaseState::Failed,
        PhaseState::Passed => api::PhaseState::Passed,
    }
}

fn phase_view(
    view: &View,
    id: &RolloutId,
    rollout: &Rollout,
    number: u32,
    phase: &Phase,
    now: Time,
) -> api::PhaseView {
    let regions = phase.planned.regions.iter().map(|planned| {
        let turn = phase.turns.get(&planned.region);
        let mut region = api::RegionView {
            region: planned.region.to_string(),
            why: planned.why.clone(),
            vms: planned.vms,
            turn: turn.is_some_and(|turn| turn.is_held()),
            round: turn.map_or(0, |turn| turn.round),
            skipped_by: turn.and_then(|turn| turn.skipped.as_ref()).map(|(actor, _)| actor.into()),
            ..Default::default()
        };
        if let Some(run) = run(view, id, &planned.region) {
            add_run(&mut region, run);
            let ask = view.coordinator.ask(id, &planned.region);
            region.gates = ask.map(|ask| run.gates(&ask)).unwrap_or_default().into_iter().map(gate).collect();
        }
        region
    });
    api::PhaseView {
        number,
        state: phase_state(phase).into(),
        regions: regions.collect(),
        tally: Some((&running_tally(view, id, phase)).into()),
        gate: gate_of(rollout, number - 1, phase, now),
        approval_needed: phase.state == PhaseState::Waiting && needs_approval(rollout, number - 1),
    }
}

/// What the phase waits for; of one VM on demand nothing, as nothing comes after it.
fn gate_of(rollout: &Rollout, number: u32, phase: &Phase, now: Time) -> Vec<api::Condition> {
    if rollout.on_demand.is_some() {
        return Vec::new();
    }
    phase_gate(rollout, number, phase, now).into_iter().map(condition).collect()
}

fn add_run(region: &mut api::RegionView, run: &Run) {
    region.vms = 0;
    for (vm, standing) in run.standings() {
        region.vms += 1;
        match progress(standing) {
            api::VmProgress::Waiting => region.waiting += 1,
            api::VmProgress::InFlight => region.in_flight += 1,
            api::VmProgress::Soaking => region.soaking += 1,
            _ => {}
        }
        if let Some(why) = standing.why() {
            let (vm, why) = (vm.to_string(), why.to_owned());
            region.exceptions.push(api::Exception { vm, progress: progress(standing).into(), why });
        }
    }
    region.stage = run.current_stage().map(ToString::to_string).unwrap_or_default();
    region.tally = Some((&run.tally()).into());
}

fn running_tally(view: &View, id: &RolloutId, phase: &Phase) -> nightshift_domain::rollout::Tally {
    let mut sum = nightshift_domain::rollout::Tally::default();
    let runs = phase.planned.regions.iter().filter_map(|planned| run(view, id, &planned.region));
    runs.for_each(|run| sum += run.tally());
    sum
}

/// What a rollout does in a region; `None` before its coordinator has taken up the turn.
pub(crate) fn run<'a>(view: &'a View, id: &RolloutId, region: &RegionName) -> Option<&'a Run> {
    view.coordinator.runs.get(region)?.get(id)
}

/// The run that knows the VM and was asked for last.
fn newest_run<'a>(view: &'a View, vm: &VmId, region: &RegionName) -> Option<(&'a RolloutId, &'a Standing)> {
    let runs = view.coordinator.runs.get(region)?.iter();
    let known = runs.filter_map(|(rollout, run)| Some((rollout, run.standing(vm)?)));
    known.max_by_key(|(rollout, _)| {
        let rollout = view.planner.rollouts.get(*rollout);
        // What somebody has installed on it speaks for the VM while it lasts.
        let counts = rollout.is_some_and(|rollout| {
            rollout.on_demand.is_none() || !matches!(rollout.status, Status::Completed { .. })
        });
        (counts, rollout.map(|rollout| rollout.requested))
    })
}

pub(crate) fn progress(standing: &Standing) -> api::VmProgress {
    match standing {
        Standing::Waiting | Standing::Called { .. } | Standing::Baselined { .. } => api::VmProgress::Waiting,
        Standing::InFlight(flight) if matches!(flight.work, Work::Soaking { .. }) => api::VmProgress::Soaking,
        Standing::InFlight(_) => api::VmProgress::InFlight,
        Standing::Settled { .. } if standing.has_failed() => api::VmProgress::Failed,
        Standing::Settled { .. } => api::VmProgress::Healthy,
        Standing::Skipped { .. } => api::VmProgress::Skipped,
        Standing::Deferred { .. } => api::VmProgress::Deferred,
    }
}

/// The window that counts and where it comes from (REQUIREMENTS.md F1).
fn window(view: &View, vm: &Vm) -> String {
    let fleet = &view.planner.fleet;
    let window = fleet.window(vm);
    let whose = |own: bool, other: &str| if own { "its own".to_owned() } else { other.to_owned() };
    let zone = fleet.time_zone(vm).map(|zone| zone.name().to_owned()).unwrap_or_default();
    format!(
        "{}–{} ({}) {zone} ({})",
        window.start_text(),
        window.end_text(),
        whose(vm.window.is_some(), "the fleet's"),
        whose(vm.time_zone.is_some(), "its region's"),
    )
}

pub(crate) fn gate(Gate { whole, conditions }: Gate) -> api::Gate {
    api::Gate { whole, conditions: conditions.into_iter().map(condition).collect() }
}

pub(crate) fn condition(Condition { state, reason }: Condition) -> api::Condition {
    let state = match state {
        ConditionState::Met => api::ConditionState::Met,
        ConditionState::Waits => api::ConditionState::Waits,
        ConditionState::Closed => api::ConditionState::Closed,
    };
    let Reason { code, sentence, until, .. } = reason;
    api::Condition { code, state: state.into(), sentence, until: until.map(timestamp) }
}

/// One link of an explanation.
pub(crate) fn reason(reason: Reason) -> api::Reason {
    let Reason { code, sentence, until, is_transient } = reason;
    api::Reason { code, sentence, until: until.map(timestamp), is_transient }
}
