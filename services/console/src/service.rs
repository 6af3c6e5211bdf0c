//! The gRPC of the console.

use crate::desk::Desk;
use crate::desk::grpc::Looks;
use crate::search::Filter;
use crate::view::View;
use crate::webhooks::{WebhookDoor, Webhooks};
use crate::{events, views};
use futures::stream::{self, BoxStream, StreamExt as _};
use nightshift_domain::explain::explain;
use nightshift_domain::fleet::Vm;
use nightshift_domain::{Partition, Refusal, RolloutId, VmId};
use nightshift_event_log::{EventLog, ReadError, Recorded};
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::api::v1::console_service_server::{ConsoleService, ConsoleServiceServer};
use nightshift_protocol::api::v1::lookback_service_server::LookbackServiceServer;
use nightshift_protocol::api::v1::overview_service_server::OverviewServiceServer;
use nightshift_protocol::api::v1::webhook_service_server::WebhookServiceServer;
use nightshift_protocol::convert::time;
use nightshift_runtime::Host;
use nightshift_runtime::access::Caller;
use nightshift_runtime::status::{invalid, refused};
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

const DEFAULT_PAGE: usize = 1_000;
/// A watcher is shown the newest state this often, however much happens in between.
const WATCH_EVERY: Duration = Duration::from_millis(100);

pub(crate) fn routes(desk: Desk, webhooks: Webhooks, shutdown: CancellationToken) -> Routes {
    let (host, log) = (desk.watcher.host.clone(), desk.log.clone());
    let looks = Looks { desk, shutdown: shutdown.clone() };
    Routes::new(ConsoleServiceServer::new(Console { host, log, shutdown }))
        .add_service(OverviewServiceServer::new(looks.clone()))
        .add_service(LookbackServiceServer::new(looks))
        .add_service(WebhookServiceServer::new(WebhookDoor(webhooks)))
}

struct Console {
    host: Host<View>,
    log: Arc<dyn EventLog>,
    shutdown: CancellationToken,
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl ConsoleService for Console {
    async fn list_vms(&self, request: Request<api::ListVmsRequest>) -> Answer<api::ListVmsResponse> {
        let caller = Caller::of(&request)?;
        Ok(Response::new(list_vms(&self.host, caller, request.into_inner()).await?))
    }

    async fn get_vm(&self, request: Request<api::GetVmRequest>) -> Answer<api::GetVmResponse> {
        let caller = Caller::of(&request)?;
        let id = VmId::new(request.into_inner().vm).map_err(invalid)?;
        let vm = get_vm(&self.host, caller, id).await?;
        Ok(Response::new(api::GetVmResponse { vm: Some(vm) }))
    }

    async fn explain_vm(&self, request: Request<api::ExplainVmRequest>) -> Answer<api::ExplainVmResponse> {
        let caller = Caller::of(&request)?;
        let id = VmId::new(request.into_inner().vm).map_err(invalid)?;
        Ok(Response::new(explain_vm(&self.host, caller, id).await?))
    }

    async fn list_rollouts(
        &self,
        request: Request<api::ListRolloutsRequest>,
    ) -> Answer<api::ListRolloutsResponse> {
        let caller = Caller::of(&request)?;
        Ok(Response::new(api::ListRolloutsResponse { rollouts: list_rollouts(&self.host, caller).await? }))
    }

    async fn get_rollout(&self, request: Request<api::GetRolloutRequest>) -> Answer<api::GetRolloutResponse> {
        let caller = Caller::of(&request)?;
        let id = RolloutId::new(request.into_inner().rollout).map_err(invalid)?;
        let rollout = get_rollout(&self.host, caller, id).await?;
        Ok(Response::new(api::GetRolloutResponse { rollout: Some(rollout) }))
    }

    type WatchRolloutStream = BoxStream<'static, Result<api::WatchRolloutResponse, Status>>;

    async fn watch_rollout(
        &self,
        request: Request<api::WatchRolloutRequest>,
    ) -> Answer<Self::WatchRolloutStream> {
        let caller = Caller::of(&request)?;
        let id = RolloutId::new(request.into_inner().rollout).map_err(invalid)?;
        let first = get_rollout(&self.host, caller.clone(), id.clone()).await?;
        let ended = self.shutdown.clone().cancelled_owned();
        Ok(Response::new(watch(self.host.clone(), caller, id, first).take_until(ended).boxed()))
    }

    type ReadEventsStream = BoxStream<'static, Result<api::ReadEventsResponse, Status>>;

    async fn read_events(&self, request: Request<api::ReadEventsRequest>) -> Answer<Self::ReadEventsStream> {
        let request = request.into_inner();
        let partition: Partition = request.partition.parse().map_err(invalid)?;
        let log = self.log.clone();
        let after = match request.from {
            None => request.after,
            Some(_) if request.after > 0 => return Err(invalid("after and from: name one of them")),
            from => {
                let from = time(from, "from").map_err(invalid)?;
                events::before(log.clone(), partition.clone(), from).await.map_err(unreadable)?
            }
        };
        let events = events::read(log, partition, after, request.follow).await.map_err(unreadable)?;
        let ended = self.shutdown.clone().cancelled_owned();
        Ok(Response::new(
            events.map(|event| event.map(read_event).map_err(unreadable)).take_until(ended).boxed(),
        ))
    }

    async fn list_partitions(
        &self,
        _: Request<api::ListPartitionsRequest>,
    ) -> Answer<api::ListPartitionsResponse> {
        let partitions = self.log.partitions().await.map_err(unreadable)?;
        let partitions = partitions.iter().map(ToString::to_string).collect();
        Ok(Response::new(api::ListPartitionsResponse { partitions }))
    }
}

pub(crate) async fn list_vms(
    host: &Host<View>,
    caller: Caller,
    request: api::ListVmsRequest,
) -> Result<api::ListVmsResponse, Status> {
    let size = if request.page_size == 0 { DEFAULT_PAGE } else { request.page_size as usize };
    let after = match request.page_token.as_str() {
        "" => Bound::Unbounded,
        token => Bound::Excluded(VmId::new(token).map_err(invalid)?),
    };
    let filter = Filter::parse(&request.filter).map_err(invalid)?;
    let list = move |view: &View, now| {
        let fleet = &view.planner.fleet;
        let fits = |vm: &Vm| {
            (request.region.is_empty() || vm.region.as_str() == request.region)
                && caller.sees(&vm.subscription)
                && filter.fits(view, vm, now)
        };
        let all = request.region.is_empty() && filter.is_empty() && caller.sees_all();
        let total = if all { fleet.vms.len() } else { fleet.vms.values().filter(|vm| fits(vm)).count() };
        let mut wanted = fleet.vms.range((after, Bound::Unbounded)).map(|(_, vm)| vm).filter(|vm| fits(vm));
        let vms: Vec<_> = wanted.by_ref().take(size).map(|vm| views::vm(view, vm)).collect();
        let last = vms.last().and_then(|vm| vm.vm.as_ref()).map(|vm| vm.id.clone());
        let next_page_token = last.filter(|_| wanted.next().is_some()).unwrap_or_default();
        api::ListVmsResponse { vms, next_page_token, total: u32::try_from(total).unwrap_or(u32::MAX) }
    };
    Ok(host.look(list).await?)
}

pub(crate) async fn get_vm(host: &Host<View>, caller: Caller, id: VmId) -> Result<api::VmView, Status> {
    let unknown = no_vm(&id);
    let look = move |view: &View, _| {
        let vm = view.planner.fleet.vms.get(&id).filter(|vm| caller.sees(&vm.subscription));
        vm.map(|vm| views::vm(view, vm))
    };
    host.look(look).await?.ok_or(unknown)
}

pub(crate) async fn explain_vm(
    host: &Host<View>,
    caller: Caller,
    id: VmId,
) -> Result<api::ExplainVmResponse, Status> {
    // Of what is not in the fleet an explanation says so; of what is another's too.
    let others = no_vm(&id);
    let look = move |view: &View, now| {
        let seen = view.planner.fleet.vms.get(&id).is_none_or(|vm| caller.sees(&vm.subscription));
        seen.then(|| explain(&id, &view.planner, &view.coordinator, now))
    };
    let explained = host.look(look).await?.ok_or(others)?;
    Ok(api::ExplainVmResponse { reasons: explained.reasons.into_iter().map(views::reason).collect() })
}

pub(crate) async fn list_rollouts(
    host: &Host<View>,
    caller: Caller,
) -> Result<Vec<api::RolloutView>, Status> {
    let list = move |view: &View, now| {
        let rollouts = view.planner.rollouts.iter();
        rollouts.map(|(id, rollout)| seen_by(&caller, view, views::rollout(view, id, rollout, now))).collect()
    };
    Ok(host.look(list).await?)
}

pub(crate) async fn get_rollout(
    host: &Host<View>,
    caller: Caller,
    id: RolloutId,
) -> Result<api::RolloutView, Status> {
    let unknown = no_rollout(&id);
    let look = move |view: &View, now| {
        let rollout = view.planner.rollouts.get(&id)?;
        Some(seen_by(&caller, view, views::rollout(view, &id, rollout, now)))
    };
    host.look(look).await?.ok_or(unknown)
}

/// The rollout of a request that may leave it open.
pub(crate) fn named(rollout: &str) -> Result<Option<RolloutId>, Status> {
    (!rollout.is_empty()).then(|| RolloutId::new(rollout).map_err(invalid)).transpose()
}

pub(crate) fn no_rollout(id: impl std::fmt::Display) -> Status {
    refused(&Refusal::new("RolloutNotFound", format!("there is no rollout \"{id}\"")))
}

pub(crate) fn no_vm(id: impl std::fmt::Display) -> Status {
    refused(&Refusal::new("VmNotFound", format!("VM \"{id}\" is not in the fleet")))
}

/// The rollout without what it says of machines that are not the caller's.
fn seen_by(caller: &Caller, view: &View, mut rollout: api::RolloutView) -> api::RolloutView {
    if caller.sees_all() {
        return rollout;
    }
    let vms = &view.planner.fleet.vms;
    let sees = |vm: &str| {
        let vm = VmId::new(vm).ok();
        vm.and_then(|vm| vms.get(&vm)).is_some_and(|vm| caller.sees(&vm.subscription))
    };
    for region in rollout.phases.iter_mut().flat_map(|phase| &mut phase.regions) {
        region.exceptions.retain(|exception| sees(&exception.vm));
    }
    // Signals and packages of the sample are told of machines that may be anybody's.
    rollout.evidence = None;
    rollout
}

/// The rollout now and again until it has come to its end, or halts.
fn watch(
    host: Host<View>,
    caller: Caller,
    id: RolloutId,
    first: api::RolloutView,
) -> impl futures::Stream<Item = Result<api::WatchRolloutResponse, Status>> + Send + 'static {
    let state = (host, caller, id, Some(first), false);
    stream::unfold(state, async |(host, caller, id, first, ended)| {
        if ended {
            return None;
        }
        let newest = match first {
            Some(first) => Ok(first),
            None => {
                tokio::time::sleep(WATCH_EVERY).await;
                get_rollout(&host, caller.clone(), id.clone()).await
            }
        };
        let ended = newest.as_ref().map_or(true, has_ended);
        let response = newest.map(|rollout| api::WatchRolloutResponse { rollout: Some(rollout) });
        Some((response, (host, caller, id, None, ended)))
    })
}

/// A halted rollout has ended for its watcher once nothing is in flight.
fn has_ended(rollout: &api::RolloutView) -> bool {
    let regions = || rollout.phases.iter().flat_map(|phase| &phase.regions);
    let busy = regions().any(|region| region.in_flight + region.soaking > 0);
    match rollout.state() {
        api::RolloutState::Completed | api::RolloutState::Expired => !busy,
        api::RolloutState::Cancelled | api::RolloutState::Halted => !busy,
        _ => false,
    }
}

fn read_event(recorded: Recorded) -> api::ReadEventsResponse {
    api::ReadEventsResponse { position: recorded.position, envelope: Some((&recorded.envelope).into()) }
}

pub(crate) fn unreadable(error: ReadError) -> Status {
    match error {
        ReadError::Unavailable { .. } => Status::unavailable(error.to_string()),
        ReadError::Damaged { .. } => Status::data_loss(error.to_string()),
    }
}
