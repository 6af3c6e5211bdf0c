//! The gRPC of rollout-planner: people's wishes for the fleet and for rollouts.

use nightshift_domain::fleet::{Feature, Vm};
use nightshift_domain::planner::Planner;
use nightshift_domain::policy::Policy;
use nightshift_domain::rollout::Actor;
use nightshift_domain::topology::Topology;
use nightshift_domain::{Decision, Refusal, RolloutId, SubscriptionId};
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::api::v1::fleet_service_server::{FleetService, FleetServiceServer};
use nightshift_protocol::api::v1::rollout_service_server::{RolloutService, RolloutServiceServer};
use nightshift_protocol::convert::DecodeError;
use nightshift_runtime::Host;
use nightshift_runtime::status::invalid;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

/// A fleet of 100,000 VMs is declared in one request.
const LARGEST_REQUEST: usize = 64 * 1024 * 1024;

pub(crate) fn routes(host: Host<Planner>) -> Routes {
    let fleet = FleetServiceServer::new(Planning(host.clone())).max_decoding_message_size(LARGEST_REQUEST);
    Routes::new(fleet).add_service(RolloutServiceServer::new(Planning(host)))
}

struct Planning(Host<Planner>);

#[tonic::async_trait]
impl FleetService for Planning {
    async fn declare_fleet(
        &self,
        request: Request<api::DeclareFleetRequest>,
    ) -> Result<Response<api::DeclareFleetResponse>, Status> {
        let request = request.into_inner();
        let topology = required::<_, Topology>(request.topology, "topology")?;
        let features: Vec<_> =
            request.features.into_iter().map(feature).collect::<Result<_, _>>().map_err(invalid)?;
        let vms: Vec<Vm> =
            request.vms.into_iter().map(Vm::try_from).collect::<Result<_, _>>().map_err(invalid)?;
        let declare =
            move |planner: &Planner, _| planner.declare_fleet(topology.clone(), &features, vms.clone());
        let changes = self.0.command(declare).await?;
        Ok(Response::new(api::DeclareFleetResponse { changes: u32::try_from(changes).unwrap_or(u32::MAX) }))
    }
}

#[tonic::async_trait]
impl RolloutService for Planning {
    async fn start_rollout(
        &self,
        request: Request<api::StartRolloutRequest>,
    ) -> Result<Response<api::StartRolloutResponse>, Status> {
        let request = request.into_inner();
        let id = rollout_id(request.rollout)?;
        let policy = required::<_, Policy>(request.policy, "policy")?;
        let actor = required::<_, Actor>(request.actor, "actor")?;
        let started = id.clone();
        self.0.command(move |planner, _| planner.start(&started, policy.clone(), actor.clone())).await?;
        let planned = move |planner: &Planner| {
            let phases = planner.rollouts.get(&id).map(|rollout| &rollout.phases);
            phases.into_iter().flatten().map(|phase| (&phase.planned).into()).collect()
        };
        let phases = self.0.look(move |planner, _| planned(planner)).await?;
        Ok(Response::new(api::StartRolloutResponse { phases }))
    }

    async fn pause_rollout(
        &self,
        request: Request<api::PauseRolloutRequest>,
    ) -> Result<Response<api::PauseRolloutResponse>, Status> {
        let request = request.into_inner();
        self.wish(request.rollout, request.actor, Planner::pause).await?;
        Ok(Response::new(api::PauseRolloutResponse {}))
    }

    async fn resume_rollout(
        &self,
        request: Request<api::ResumeRolloutRequest>,
    ) -> Result<Response<api::ResumeRolloutResponse>, Status> {
        let request = request.into_inner();
        self.wish(request.rollout, request.actor, Planner::resume).await?;
        Ok(Response::new(api::ResumeRolloutResponse {}))
    }

    async fn cancel_rollout(
        &self,
        request: Request<api::CancelRolloutRequest>,
    ) -> Result<Response<api::CancelRolloutResponse>, Status> {
        let request = request.into_inner();
        self.wish(request.rollout, request.actor, Planner::cancel).await?;
        Ok(Response::new(api::CancelRolloutResponse {}))
    }
}

type Wish = fn(&Planner, &RolloutId, Actor) -> Result<Vec<Decision>, Refusal>;

impl Planning {
    async fn wish(
        &self,
        rollout: String,
        actor: Option<nightshift_protocol::events::v1::Actor>,
        wish: Wish,
    ) -> Result<(), Status> {
        let id = rollout_id(rollout)?;
        let actor = required::<_, Actor>(actor, "actor")?;
        self.0.command(move |planner, _| wish(planner, &id, actor.clone())).await?;
        Ok(())
    }
}

fn rollout_id(text: String) -> Result<RolloutId, Status> {
    RolloutId::new(text).map_err(invalid)
}

fn required<P, D: TryFrom<P, Error = DecodeError>>(value: Option<P>, field: &str) -> Result<D, Status> {
    let value = value.ok_or_else(|| invalid(format!("{field}: missing")))?;
    D::try_from(value).map_err(|error| invalid(format!("{field}.{error}")))
}

fn feature(registration: api::FeatureRegistration) -> Result<(SubscriptionId, Feature), String> {
    let subscription = SubscriptionId::new(registration.subscription).map_err(|error| error.to_string())?;
    let feature =
        nightshift_protocol::convert::feature(registration.feature).map_err(|error| error.to_string())?;
    Ok((subscription, feature))
}
