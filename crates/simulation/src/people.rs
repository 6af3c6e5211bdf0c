//! People: they pause and resume, approve, change policies, and change the fleet in the middle of it all.

use chrono::Duration;
use nightshift_domain::fleet::{PatchMode, Vm};
use nightshift_domain::on_demand::InstallWish;
use nightshift_domain::patch::{Classification, RebootSetting};
use nightshift_domain::planner::{Planner, needs_approval};
use nightshift_domain::rollout::{Actor, PhaseState, Status};
use nightshift_domain::window::Window;
use nightshift_domain::{Decision, Refusal, RolloutId, Time};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IteratorRandom as _;

/// After a halt, a pause or a phase that waits for approval, how long until somebody looks.
pub(crate) const PERSON_LOOKS: Duration = Duration::hours(7);

pub(crate) fn actor() -> Actor {
    Actor { name: "simulation".into(), reason: "seeded".into() }
}

/// What a person who looks at this rollout must do for it to go on: resume, approve.
pub(crate) fn duties(planner: &Planner, id: &RolloutId) -> Option<Result<Vec<Decision>, Refusal>> {
    let rollout = planner.rollouts.get(id)?;
    match rollout.status {
        Status::Halted { .. } | Status::Paused => Some(planner.resume(id, actor())),
        Status::Running => {
            let waiting = (0..).zip(&rollout.phases).find(|(_, phase)| phase.state == PhaseState::Waiting);
            let (phase, _) = waiting.filter(|(number, _)| needs_approval(rollout, *number))?;
            Some(planner.approve(id, phase, actor()))
        }
        _ => None,
    }
}

/// Something that a person does to a rollout for no good reason.
pub(crate) fn whim(rng: &mut StdRng, planner: &Planner, id: &RolloutId) -> Result<Vec<Decision>, Refusal> {
    let Some(rollout) = planner.rollouts.get(id) else { return Ok(Vec::new()) };
    match rng.random_range(0..6) {
        0 => planner.pause(id, actor()),
        1 => planner.resume(id, actor()),
        2 | 3 => planner.retry(id, actor()),
        4 => {
            let regions = rollout.turns().map(|(_, region, _)| region).choose(rng);
            regions.map_or(Ok(Vec::new()), |region| planner.skip_region(id, region, actor()))
        }
        _ => {
            let mut policy = rollout.policy.clone();
            policy.bake = Duration::minutes(rng.random_range(0..600));
            policy.max_in_flight = rng.random_bool(0.3).then(|| rng.random_range(1..6));
            planner.change_policy(id, policy, actor())
        }
    }
}

/// Patches that a person wants on one VM, whatever rollouts are under way.
pub(crate) fn install(
    rng: &mut StdRng,
    planner: &Planner,
    number: u32,
    now: Time,
) -> Result<Vec<Decision>, Refusal> {
    let Some(vm) = planner.fleet.vms.keys().choose(rng).cloned() else { return Ok(Vec::new()) };
    let Ok(id) = RolloutId::new(format!("install-{number}")) else { return Ok(Vec::new()) };
    let mut classifications = vec![Classification::Critical, Classification::Security];
    if rng.random_bool(0.3) {
        classifications.push(Classification::Other);
    }
    let wish = InstallWish {
        vm,
        classifications,
        include: Vec::new(),
        exclude: Vec::new(),
        reboot: [RebootSetting::IfRequired, RebootSetting::Never][rng.random_range(0..2)],
        longest_work: Duration::minutes(rng.random_range(20..120)),
        within: Duration::minutes(rng.random_range(10..2_000)),
    };
    planner.install(&id, &wish, actor(), now)
}

/// A change of the fleet; the VM that is new by it, if one is.
pub(crate) fn change_fleet(
    rng: &mut StdRng,
    planner: &Planner,
    changes: u32,
) -> (Result<Vec<Decision>, Refusal>, Option<Vm>) {
    let Some(vm) = planner.fleet.vms.values().choose(rng).cloned() else { return (Ok(Vec::new()), None) };
    let declare = |vm: Vm, topology| planner.declare_fleet(topology, &[], vec![vm]);
    let topology = planner.fleet.topology.clone();
    match rng.random_range(0..6) {
        0 => (planner.remove_vm(&vm.id, None), None),
        1 => {
            let other = match vm.patch_mode {
                PatchMode::ImageDefault => PatchMode::AutomaticByPlatform,
                _ => PatchMode::ImageDefault,
            };
            (declare(Vm { patch_mode: other, ..vm }, topology), None)
        }
        2 => {
            let window = Window::parse("21:00", "05:00").ok();
            (declare(Vm { window, ..vm }, topology), None)
        }
        3 => {
            let placement = planner.fleet.vms.values().filter(|other| other.region == vm.region).choose(rng);
            let placement = placement.map_or(vm.placement.clone(), |other| other.placement.clone());
            (declare(Vm { placement, ..vm }, topology), None)
        }
        4 => {
            // A new pair; the planner refuses it while both hold turns.
            let mut topology = topology;
            let names: Vec<_> = topology.regions.keys().cloned().collect();
            let pair = names.iter().filter(|name| **name != vm.region).choose(rng).cloned();
            topology.regions.get_mut(&vm.region).into_iter().for_each(|region| region.pair.clone_from(&pair));
            (declare(vm, topology), None)
        }
        _ => match nightshift_domain::VmId::new(format!("new-{changes}")) {
            Ok(id) => {
                let new = Vm { id, ..vm };
                (declare(new.clone(), topology), Some(new))
            }
            Err(_) => (Ok(Vec::new()), None),
        },
    }
}
