//! The gRPC of the console.

use crate::desk::Desk;
use crate::desk::grpc::Looks;
use crate::search::Filter;
use crate::view::View;
use crate::watch::{Position, watch};
use crate::webhooks::{WebhookDoor, Webhooks};
use crate::{events, views};
use futures::stream::{BoxStream, StreamExt as _};
use nightshift_domain::explain::explain;
use nightshift_domain::fleet::Vm;
use nightshift_domain::{Partition, Refusal, RolloutId, VmId};
use nightshift_event_log::{EventLog, Recorded};
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::api::v1::console_service_server::{ConsoleService, ConsoleServiceServer};
use nightshift_protocol::api::v1::lookback_service_server::LookbackServiceServer;
use nightshift_protocol::api::v1::overview_service_server::OverviewServiceServer;
use nightshift_protocol::api::v1::webhook_service_server::WebhookServiceServer;
use nightshift_protocol::convert::time;
use nightshift_runtime::access::Caller;
use nightshift_runtime::status::{id, invalid, refused, unreadable};
use nightshift_runtime::{Host, Page};
use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

/// VMs, or partitions, of one page.
const MOST: usize = 1_000;
/// Rollouts of one page: each names every region, and every VM that did not end well.
const MOST_ROLLOUTS: usize = 100;

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
        let id: VmId = id(request.into_inner().vm, "vm")?;
        let vm = get_vm(&self.host, caller, id).await?;
        Ok(Response::new(api::GetVmResponse { vm: Some(vm) }))
    }

    async fn explain_vm(&self, request: Request<api::ExplainVmRequest>) -> Answer<api::ExplainVmResponse> {
        let caller = Caller::of(&request)?;
        let id: VmId = id(request.into_inner().vm, "vm")?;
        Ok(Response::new(explain_vm(&self.host, caller, id).await?))
    }

    async fn list_rollouts(
        &self,
        request: Request<api::ListRolloutsRequest>,
    ) -> Answer<api::ListRolloutsResponse> {
        let caller = Caller::of(&request)?;
        Ok(Response::new(list_rollouts(&self.host, caller, request.into_inner()).await?))
    }

    async fn get_rollout(&self, request: Request<api::GetRolloutRequest>) -> Answer<api::GetRolloutResponse> {
        let caller = Caller::of(&request)?;
        let id: RolloutId = id(request.into_inner().rollout, "rollout")?;
        let rollout = get_rollout(&self.host, caller, id).await?;
        Ok(Response::new(api::GetRolloutResponse { rollout: Some(rollout) }))
    }

    type WatchRolloutStream = BoxStream<'static, Result<api::WatchRolloutResponse, Status>>;

    async fn watch_rollout(
        &self,
        request: Request<api::WatchRolloutRequest>,
    ) -> Answer<Self::WatchRolloutStream> {
        let caller = Caller::of(&request)?;
        let api::WatchRolloutRequest { rollout, after } = request.into_inner();
        let (id, seen) = (id::<RolloutId>(rollout, "rollout")?, Position::read(&after)?);
        // That there is no such rollout is no stream.
        get_rollout(&self.host, caller.clone(), id.clone()).await?;
        let watched = watch(self.host.clone(), caller, id, seen);
        Ok(Response::new(watched.take_until(self.shutdown.clone().cancelled_owned()).boxed()))
    }

    type ReadEventsStream = BoxStream<'static, Result<api::ReadEventsResponse, Status>>;

    async fn read_events(&self, request: Request<api::ReadEventsRequest>) -> Answer<Self::ReadEventsStream> {
        let request = request.into_inner();
        let partition: Partition = request.partition.parse().map_err(|error| invalid("partition", error))?;
        let log = self.log.clone();
        let after = match request.from {
            None => request.after,
            Some(_) if request.after > 0 => {
                return Err(invalid("from", "after and from: name one of them"));
            }
            from => {
                let from = time(from, "from").map_err(|error| invalid("from", error))?;
                let before = events::before(log.clone(), partition.clone(), from).await;
                before.map_err(|error| unreadable(&error))?
            }
        };
        let events = events::read(log, partition, after, request.follow).await;
        let events = events.map_err(|error| unreadable(&error))?;
        let ended = self.shutdown.clone().cancelled_owned();
        Ok(Response::new(
            events
                .map(|event| event.map(read_event).map_err(|error| unreadable(&error)))
                .take_until(ended)
                .boxed(),
        ))
    }

    async fn list_partitions(
        &self,
        request: Request<api::ListPartitionsRequest>,
    ) -> Answer<api::ListPartitionsResponse> {
        let api::ListPartitionsRequest { page_size, page_token } = request.into_inner();
        let page = Page::of("ListPartitions", MOST, page_size, &page_token)?;
        let partitions = self.log.partitions().await.map_err(|error| unreadable(&error))?;
        let partitions: BTreeSet<Partition> = partitions.into_iter().collect();
        let named = partitions.into_iter().map(|partition| (partition.clone(), partition.to_string()));
        let (partitions, next_page_token) = page.find(named);
        Ok(Response::new(api::ListPartitionsResponse { partitions, next_page_token }))
    }
}

pub(crate) async fn list_vms(
    host: &Host<View>,
    caller: Caller,
    request: api::ListVmsRequest,
) -> Result<api::ListVmsResponse, Status> {
    let page = Page::<VmId>::of("ListVms", MOST, request.page_size, &request.page_token)?;
    let filter = Filter::parse(&request.filter).map_err(|error| invalid("filter", error))?;
    let list = move |view: &View, now| {
        let fleet = &view.planner.fleet;
        let fits = |vm: &Vm| {
            (request.region.is_empty() || vm.region.as_str() == request.region)
                && caller.sees(&vm.subscription)
                && filter.fits(view, vm, now)
        };
        let all = request.region.is_empty() && filter.is_empty() && caller.sees_all();
        let total = if all { fleet.vms.len() } else { fleet.vms.values().filter(|vm| fits(vm)).count() };
        let after = page.after().map_or(Bound::Unbounded, Bound::Excluded);
        let wanted = fleet.vms.range((after, Bound::Unbounded)).filter(|(_, vm)| fits(vm));
        let (vms, next_page_token) = page.cut(wanted.map(|(id, vm)| (id.clone(), vm)));
        let vms = vms.into_iter().map(|vm| views::vm(view, vm)).collect();
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
    // What is another's is to its asker as what is not there.
    let unknown = no_vm(&id);
    let look = move |view: &View, now| {
        let seen = view.planner.fleet.vms.get(&id).is_some_and(|vm| caller.sees(&vm.subscription));
        seen.then(|| explain(&id, &view.planner, &view.coordinator, now))
    };
    let explained = host.look(look).await?.ok_or(unknown)?;
    Ok(api::ExplainVmResponse { reasons: explained.reasons.into_iter().map(views::reason).collect() })
}

pub(crate) async fn list_rollouts(
    host: &Host<View>,
    caller: Caller,
    request: api::ListRolloutsRequest,
) -> Result<api::ListRolloutsResponse, Status> {
    let api::ListRolloutsRequest { page_size, page_token } = request;
    let page = Page::<RolloutId>::of("ListRollouts", MOST_ROLLOUTS, page_size, &page_token)?;
    let list = move |view: &View, now| {
        let after = page.after().map_or(Bound::Unbounded, Bound::Excluded);
        let rollouts = view.planner.rollouts.range((after, Bound::Unbounded));
        let (rollouts, next_page_token) = page.cut(rollouts.map(|(id, rollout)| (id.clone(), (id, rollout))));
        let shown = |(id, rollout)| seen_by(&caller, view, views::rollout(view, id, rollout, now));
        api::ListRolloutsResponse { rollouts: rollouts.into_iter().map(shown).collect(), next_page_token }
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
    (!rollout.is_empty()).then(|| id(rollout, "rollout")).transpose()
}

pub(crate) fn no_rollout(id: impl std::fmt::Display) -> Status {
    refused(&Refusal::no_rollout(id))
}

pub(crate) fn no_vm(id: impl std::fmt::Display) -> Status {
    refused(&Refusal::no_vm(id))
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

fn read_event(recorded: Recorded) -> api::ReadEventsResponse {
    api::ReadEventsResponse { position: recorded.position, envelope: Some((&recorded.envelope).into()) }
}
