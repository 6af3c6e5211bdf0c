//! How far a bad patch gets before it is halted: its blast radius.

use crate::big::{BadPatch, Big};
use crate::faults::Faults;
use crate::tape::Tape;
use chrono::Duration;
use nightshift_domain::policy::Policy;
use nightshift_domain::rollout::Status;
use nightshift_domain::{Event, Refusal, RolloutId, Time};
use serde::Serialize;

/// One history with a patch that makes a share of the machines ill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct BlastRadius {
    /// Whether the rollout halted; if not, it went through the fleet.
    pub halted: bool,
    /// The phase (from 1) that it came to, of so many.
    pub phase: u32,
    /// See there.
    pub phases: u32,
    /// VMs that got the patch.
    pub patched: u32,
    /// Of them, those that it made ill.
    pub harmed: u32,
}

/// Lets a rollout of such a patch run until it halts, and what is in flight then settles, or until it ends.
///
/// # Errors
/// The planner's refusal of the policy.
pub fn blast_radius(
    seed: u64,
    start: Time,
    fleet: Vec<Event>,
    policy: Policy,
    percent: u32,
) -> Result<BlastRadius, Refusal> {
    let id = RolloutId::new("simulated").map_err(|error| Refusal::new("InvalidId", error.to_string()))?;
    let days = i64::from(policy.deadline_days) + 2;
    let mut world = Big::new(seed, start, fleet, Faults::none(), Tape::counting())
        .remembering_vms()
        .with_bad_patch(Some(BadPatch { percent, from_phase: 1 }));
    world.start(&id, policy)?;
    let mut settles = false;
    for day in 1..=days {
        world.run(start + Duration::days(day), |_| {});
        let rollout = world.planner().rollouts.get(&id);
        let ended = rollout.is_some_and(|rollout| matches!(rollout.status, Status::Completed { .. }));
        if ended || settles {
            break;
        }
        settles = world.is_halted(&id);
    }
    let outcome = world.outcome(seed);
    let of_it = outcome.rollouts.iter().find(|rollout| rollout.rollout == id);
    let phases = of_it.map_or(&[][..], |rollout| rollout.phases.as_slice());
    let begun = phases.iter().filter(|phase| phase.started.is_some());
    let count = |vms: usize| u32::try_from(vms).unwrap_or(u32::MAX);
    Ok(BlastRadius {
        halted: world.is_halted(&id),
        phase: begun.map(|phase| phase.number).max().unwrap_or(0),
        phases: u32::try_from(phases.len()).unwrap_or(u32::MAX),
        patched: count(world.first_orders().len()),
        harmed: count(world.harmed()),
    })
}
