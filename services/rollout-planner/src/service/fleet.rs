//! The fleet's gRPC.

use super::Planning;
use nightshift_domain::fleet::{Feature, Registration, Vm, Wished};
use nightshift_domain::planner::Planner;
use nightshift_domain::topology::Topology;
use nightshift_domain::{Event, Refusal, SubscriptionId, VmId};
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::api::v1::fleet_service_server::FleetService;
use nightshift_runtime::access::{Caller, Role};
use nightshift_runtime::status::{id, invalid, required, within};
use nightshift_runtime::{Page, Terms};
use tonic::{Request, Response, Status};

/// Registrations of one page.
const MOST_FEATURES: usize = 1_000;

#[tonic::async_trait]
impl FleetService for Planning {
    async fn declare_fleet(
        &self,
        request: Request<api::DeclareFleetRequest>,
    ) -> Result<Response<api::DeclareFleetResponse>, Status> {
        let (_, terms, request) = Terms::of(request)?;
        let topology = required::<_, Topology>(request.topology, "topology")?;
        let features = request.features.into_iter().enumerate();
        let features: Vec<_> = features
            .map(|(place, of)| feature(of, &format!("features[{place}]")))
            .collect::<Result<_, _>>()?;
        let vms = request.vms.into_iter().enumerate();
        let vm = |(place, vm)| Vm::try_from(vm).map_err(|error| within(&format!("vms[{place}]"), &error));
        let vms: Vec<Vm> = vms.map(vm).collect::<Result<_, _>>()?;
        let declare =
            move |planner: &Planner, _| planner.declare_fleet(topology.clone(), &features, vms.clone());
        let changes = u32::try_from(self.0.wish(terms, declare).await?.len()).unwrap_or(u32::MAX);
        Ok(Response::new(api::DeclareFleetResponse { changes }))
    }

    async fn remove_vm(
        &self,
        request: Request<api::RemoveVmRequest>,
    ) -> Result<Response<api::RemoveVmResponse>, Status> {
        let (caller, terms, request) = Terms::of(request)?;
        let vm: VmId = id(request.vm, "vm")?;
        let seen = request.seen.map(|seen| required::<_, Vm>(Some(seen), "seen")).transpose()?;
        let remove = move |planner: &Planner, _| {
            check_owner(planner, &caller, &vm)?;
            planner.remove_vm(&vm, seen.as_ref())
        };
        self.0.wish(terms, remove).await?;
        Ok(Response::new(api::RemoveVmResponse {}))
    }

    async fn put_vm(
        &self,
        request: Request<api::PutVmRequest>,
    ) -> Result<Response<api::PutVmResponse>, Status> {
        let (caller, terms, request) = Terms::of(request)?;
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
        let facts = self.0.wish(terms, move |planner, _| planner.put_vm(wished.clone())).await?;
        let put = facts.iter().find_map(|fact| match &fact.event {
            Event::VmRegistered { vm } | Event::VmModelChanged { vm } => Some(vm.into()),
            _ => None,
        });
        if put.is_some() {
            return Ok(Response::new(api::PutVmResponse { vm: put }));
        }
        // It was so already.
        let now = self.0.look(move |planner, _| planner.fleet.vms.get(&id).map(Into::into)).await?;
        Ok(Response::new(api::PutVmResponse { vm: now }))
    }

    async fn register_provider(
        &self,
        request: Request<api::RegisterProviderRequest>,
    ) -> Result<Response<api::RegisterProviderResponse>, Status> {
        let (caller, terms, request) = Terms::of(request)?;
        let subscription: SubscriptionId = id(request.subscription, "subscription")?;
        caller.check(Role::Admin, &subscription)?;
        self.0.wish(terms, move |planner, _| Ok(planner.register_provider(&subscription))).await?;
        Ok(Response::new(api::RegisterProviderResponse {}))
    }

    async fn register_feature(
        &self,
        request: Request<api::RegisterFeatureRequest>,
    ) -> Result<Response<api::RegisterFeatureResponse>, Status> {
        let (caller, terms, request) = Terms::of(request)?;
        let (subscription, feature) = registration(request.registration)?;
        caller.check(Role::Admin, &subscription)?;
        self.0.wish(terms, move |planner, _| Ok(planner.register_feature(&subscription, feature))).await?;
        Ok(Response::new(api::RegisterFeatureResponse {}))
    }

    async fn unregister_feature(
        &self,
        request: Request<api::UnregisterFeatureRequest>,
    ) -> Result<Response<api::UnregisterFeatureResponse>, Status> {
        let (caller, terms, request) = Terms::of(request)?;
        let (subscription, feature) = registration(request.registration)?;
        caller.check(Role::Admin, &subscription)?;
        self.0.wish(terms, move |planner, _| Ok(planner.unregister_feature(&subscription, feature))).await?;
        Ok(Response::new(api::UnregisterFeatureResponse {}))
    }

    async fn list_features(
        &self,
        request: Request<api::ListFeaturesRequest>,
    ) -> Result<Response<api::ListFeaturesResponse>, Status> {
        let caller = Caller::of(&request)?;
        let api::ListFeaturesRequest { subscription: wanted, page_size, page_token } = request.into_inner();
        let page = Page::of("ListFeatures", MOST_FEATURES, page_size, &page_token)?;
        let list = move |planner: &Planner, _| {
            let wanted = |subscription: &SubscriptionId| {
                (wanted.is_empty() || subscription.as_str() == wanted) && caller.sees(subscription)
            };
            let of_it = planner.fleet.features.iter().filter(|((subscription, _), _)| wanted(subscription));
            page.find(of_it.map(|(key, state)| (key.clone(), feature_state(&key.0, key.1, *state))))
        };
        let (features, next_page_token) = self.0.look(list).await?;
        Ok(Response::new(api::ListFeaturesResponse { features, next_page_token }))
    }
}

/// Refuses to touch another's VM: to whom does not see it, it is not there.
pub(super) fn check_owner(planner: &Planner, caller: &Caller, vm: &VmId) -> Result<(), Refusal> {
    let owner = planner.fleet.vms.get(vm).map(|vm| &vm.subscription);
    let owner = owner.filter(|owner| caller.sees(owner)).ok_or_else(|| Refusal::no_vm(vm))?;
    caller.check(Role::Operator, owner).map_err(|denied| denied.refusal())
}

fn registration(wanted: Option<api::FeatureRegistration>) -> Result<(SubscriptionId, Feature), Status> {
    feature(wanted.ok_or_else(|| invalid("registration", "registration: missing"))?, "registration")
}

/// A registration, in this field of a request.
fn feature(registration: api::FeatureRegistration, field: &str) -> Result<(SubscriptionId, Feature), Status> {
    let subscription = id(registration.subscription, &format!("{field}.subscription"))?;
    let feature = nightshift_protocol::convert::feature(registration.feature);
    Ok((subscription, feature.map_err(|error| within(field, &error))?))
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
