//! The fleet's gRPC.

use super::{Planning, required};
use nightshift_domain::fleet::{Feature, Registration, Vm, Wished};
use nightshift_domain::planner::Planner;
use nightshift_domain::topology::Topology;
use nightshift_domain::{Refusal, SubscriptionId, VmId};
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::api::v1::fleet_service_server::FleetService;
use nightshift_runtime::access::{Caller, Role};
use nightshift_runtime::status::{invalid, refused};
use tonic::{Request, Response, Status};

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

    async fn remove_vm(
        &self,
        request: Request<api::RemoveVmRequest>,
    ) -> Result<Response<api::RemoveVmResponse>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let vm = VmId::new(request.vm).map_err(invalid)?;
        self.check_owner(&caller, &vm).await?;
        let seen = request.seen.map(|seen| required::<_, Vm>(Some(seen), "seen")).transpose()?;
        self.0.command(move |planner, _| planner.remove_vm(&vm, seen.as_ref())).await?;
        Ok(Response::new(api::RemoveVmResponse {}))
    }

    async fn put_vm(
        &self,
        request: Request<api::PutVmRequest>,
    ) -> Result<Response<api::PutVmResponse>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let wished = Wished {
            vm: required(request.vm, "vm")?,
            seen: request.seen.map(|seen| required(Some(seen), "seen")).transpose()?,
            any_update_domain: request.any_update_domain,
        };
        // What is there is what the caller saw, or the planner refuses: neither may be somebody else's.
        for model in [Some(&wished.vm), wished.seen.as_ref()].into_iter().flatten() {
            caller.check(Role::Operator, &model.subscription)?;
        }
        let id = wished.vm.id.clone();
        self.0.command(move |planner, _| planner.put_vm(wished.clone())).await?;
        let now = self.0.look(move |planner, _| planner.fleet.vms.get(&id).map(Into::into)).await?;
        Ok(Response::new(api::PutVmResponse { vm: now }))
    }

    async fn register_provider(
        &self,
        request: Request<api::RegisterProviderRequest>,
    ) -> Result<Response<api::RegisterProviderResponse>, Status> {
        let caller = Caller::of(&request)?;
        let subscription = SubscriptionId::new(request.into_inner().subscription).map_err(invalid)?;
        caller.check(Role::Admin, &subscription)?;
        self.0.command(move |planner, _| Ok(planner.register_provider(&subscription))).await?;
        Ok(Response::new(api::RegisterProviderResponse {}))
    }

    async fn register_feature(
        &self,
        request: Request<api::RegisterFeatureRequest>,
    ) -> Result<Response<api::RegisterFeatureResponse>, Status> {
        let caller = Caller::of(&request)?;
        let (subscription, feature) = registration(request.into_inner().registration)?;
        caller.check(Role::Admin, &subscription)?;
        self.0.command(move |planner, _| Ok(planner.register_feature(&subscription, feature))).await?;
        Ok(Response::new(api::RegisterFeatureResponse {}))
    }

    async fn unregister_feature(
        &self,
        request: Request<api::UnregisterFeatureRequest>,
    ) -> Result<Response<api::UnregisterFeatureResponse>, Status> {
        let caller = Caller::of(&request)?;
        let (subscription, feature) = registration(request.into_inner().registration)?;
        caller.check(Role::Admin, &subscription)?;
        self.0.command(move |planner, _| Ok(planner.unregister_feature(&subscription, feature))).await?;
        Ok(Response::new(api::UnregisterFeatureResponse {}))
    }

    async fn list_features(
        &self,
        request: Request<api::ListFeaturesRequest>,
    ) -> Result<Response<api::ListFeaturesResponse>, Status> {
        let caller = Caller::of(&request)?;
        let wanted = request.into_inner().subscription;
        let list = move |planner: &Planner, _| {
            let features = planner.fleet.features.iter();
            let wanted = |subscription: &SubscriptionId| {
                (wanted.is_empty() || subscription.as_str() == wanted) && caller.sees(subscription)
            };
            let of_it = features.filter(|((subscription, _), _)| wanted(subscription));
            of_it
                .map(|((subscription, feature), state)| feature_state(subscription, *feature, *state))
                .collect()
        };
        Ok(Response::new(api::ListFeaturesResponse { features: self.0.look(list).await? }))
    }
}

impl Planning {
    /// Refuses to touch another's VM: to whom does not see it, it is not there.
    pub(super) async fn check_owner(&self, caller: &Caller, vm: &VmId) -> Result<(), Status> {
        let unknown = || refused(&Refusal::new("VmNotFound", format!("VM \"{vm}\" is not in the fleet")));
        let id = vm.clone();
        let owner = move |planner: &Planner, _| planner.fleet.vms.get(&id).map(|vm| vm.subscription.clone());
        let owner = self.0.look(owner).await?.filter(|owner| caller.sees(owner)).ok_or_else(unknown)?;
        Ok(caller.check(Role::Operator, &owner)?)
    }
}

fn registration(wanted: Option<api::FeatureRegistration>) -> Result<(SubscriptionId, Feature), Status> {
    feature(wanted.ok_or_else(|| invalid("registration: missing"))?).map_err(invalid)
}

fn feature(registration: api::FeatureRegistration) -> Result<(SubscriptionId, Feature), String> {
    let subscription = SubscriptionId::new(registration.subscription).map_err(|error| error.to_string())?;
    let feature =
        nightshift_protocol::convert::feature(registration.feature).map_err(|error| error.to_string())?;
    Ok((subscription, feature))
}

fn feature_state(subscription: &SubscriptionId, feature: Feature, state: Registration) -> api::FeatureState {
    let feature = nightshift_protocol::events::v1::Feature::from(feature).into();
    let registration = api::FeatureRegistration { subscription: subscription.to_string(), feature };
    let state = match state {
        Registration::Registering => api::RegistrationState::Registering,
        Registration::Registered => api::RegistrationState::Registered,
    };
    api::FeatureState { registration: Some(registration), state: state.into() }
}
