//! A rollout before it starts: what is planned, and what the very minds that will decide it make of it on a virtual clock.

use crate::view::View;
use nightshift_domain::plan::plan;
use nightshift_domain::policy::Policy;
use nightshift_domain::{Event, Refusal, RolloutId, Time};
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::convert::timestamp;
use nightshift_runtime::Host;
use nightshift_runtime::status::{failed, id, refused, required};
use nightshift_simulation::forecast::{Before, Expectation, State, forecast};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::Mutex;
use tonic::Status;

/// Machines that are named.
const NAMED: usize = 50;

/// One simulation at a time: each takes a processor.
#[derive(Clone, Default)]
pub(crate) struct Previews(Arc<Mutex<()>>);

impl Previews {
    /// What a rollout by this policy would do if it began now.
    pub(crate) async fn preview(
        &self,
        host: &Host<View>,
        request: api::PreviewRolloutRequest,
    ) -> Result<api::PreviewRolloutResponse, Status> {
        let policy = request
            .policy
            .map(|policy| required::<_, Policy>(Some(policy), "policy"))
            .transpose()?
            .unwrap_or_default();
        let planned = {
            let policy = policy.clone();
            host.look(move |view, _| planned(view, &policy)).await?
        };
        if !request.simulate || planned.phases.is_empty() {
            return Ok(planned);
        }
        let (from, fleet) = host.look(|view, now| (now, facts(view))).await?;
        let _one_at_a_time = self.0.lock().await;
        let lived =
            tokio::task::spawn_blocking(move || simulate(from, fleet.map_err(|r| refused(&r))?, policy));
        let expected = lived.await.map_err(failed)??;
        Ok(with_forecast(planned, &expected))
    }
}

fn planned(view: &View, policy: &Policy) -> api::PreviewRolloutResponse {
    let fleet = &view.planner.fleet;
    let phases = plan(fleet, &policy.phase_shares, &policy.canaries);
    let eligible: u32 = phases.iter().flat_map(|phase| &phase.regions).map(|region| region.vms).sum();
    let phase = |(number, phase): (u32, nightshift_domain::plan::PlannedPhase)| api::PreviewPhase {
        number,
        vms: phase.regions.iter().map(|region| region.vms).sum(),
        regions: phase.regions.iter().map(Into::into).collect(),
        ..Default::default()
    };
    api::PreviewRolloutResponse {
        left_alone: u32::try_from(fleet.vms.len()).unwrap_or(u32::MAX).saturating_sub(eligible),
        phases: (1..).zip(phases).map(phase).collect(),
        forecast: None,
        policy: Some(policy.into()),
    }
}

/// The fleet as it is, as facts.
fn facts(view: &View) -> Result<Vec<Event>, Refusal> {
    let fleet = &view.planner.fleet;
    let features: Vec<_> = fleet.features.keys().cloned().collect();
    let vms = fleet.vms.values().cloned().collect();
    let mut events =
        nightshift_domain::fleet::Fleet::default().declare(fleet.topology.clone(), &features, vms)?;
    let providers = fleet.providers.iter();
    events.extend(
        providers.map(|subscription| Event::ProviderRegistered { subscription: subscription.clone() }),
    );
    Ok(events)
}

fn simulate(from: Time, fleet: Vec<Event>, policy: Policy) -> Result<Expectation, Status> {
    let rollout = id::<RolloutId>("preview", "rollout")?;
    let state = State::NotStarted { fleet, policy: Box::new(policy) };
    forecast(&Before { from, rollout, state }).map_err(|refusal| refused(&refusal))
}

fn with_forecast(
    planned: api::PreviewRolloutResponse,
    expected: &Expectation,
) -> api::PreviewRolloutResponse {
    let phases = planned.phases.into_iter().map(|phase| {
        let lived = expected.phases.iter().find(|lived| lived.number == phase.number);
        api::PreviewPhase {
            from: lived.and_then(|lived| lived.from).map(timestamp),
            to: lived.and_then(|lived| lived.to).map(timestamp),
            blast_radius: lived.map_or(0, |lived| u32::try_from(lived.blast_radius).unwrap_or(u32::MAX)),
            ..phase
        }
    });
    let ends: Option<Vec<Time>> = expected.phases.iter().map(|phase| phase.to).collect();
    let nights: BTreeSet<_> = expected.calendar.values().flat_map(|days| days.keys()).collect();
    let late = expected.late.iter().take(NAMED).map(|(vm, why)| api::LateVm {
        vm: vm.to_string(),
        why: why.clone(),
        ..Default::default()
    });
    let forecast = api::Forecast {
        from: Some(timestamp(expected.from)),
        deadline: Some(timestamp(expected.deadline)),
        to: ends.and_then(|ends| ends.into_iter().max()).map(timestamp),
        nights: u32::try_from(nights.len()).unwrap_or(u32::MAX),
        suffices: expected.suffices,
        all_late: u32::try_from(expected.late.len()).unwrap_or(u32::MAX),
        late: late.collect(),
    };
    api::PreviewRolloutResponse { phases: phases.collect(), forecast: Some(forecast), ..planned }
}
