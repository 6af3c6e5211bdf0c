//! The gRPC of region-coordinator: what happens in its regions.

use nightshift_domain::coordinator::Coordinator;
use nightshift_domain::run::{Run, Standing};
use nightshift_domain::{Mind as _, RegionName, RolloutId, Time};
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::api::v1::region_service_server::{RegionService, RegionServiceServer};
use nightshift_protocol::convert::timestamp;
use nightshift_runtime::{Host, Page};
use tonic::service::Routes;
use tonic::{Request, Response, Status};

/// `order_keys`: the public keys, in PEM, that agents are to trust.
pub(crate) fn routes(host: Host<Coordinator>, order_keys: String) -> Routes {
    Routes::new(RegionServiceServer::new(Coordinating { host, order_keys }))
}

struct Coordinating {
    host: Host<Coordinator>,
    order_keys: String,
}

/// Runs of one page.
const MOST_RUNS: usize = 1_000;

#[tonic::async_trait]
impl RegionService for Coordinating {
    async fn list_runs(
        &self,
        request: Request<api::ListRunsRequest>,
    ) -> Result<Response<api::ListRunsResponse>, Status> {
        let api::ListRunsRequest { region, page_size, page_token } = request.into_inner();
        let page = Page::of("ListRuns", MOST_RUNS, page_size, &page_token)?;
        let list = move |coordinator: &Coordinator, now| page.find(runs(coordinator, &region, now));
        let (runs, next_page_token) = self.host.look(list).await?;
        Ok(Response::new(api::ListRunsResponse { runs, next_page_token }))
    }

    async fn get_order_keys(
        &self,
        _request: Request<api::GetOrderKeysRequest>,
    ) -> Result<Response<api::GetOrderKeysResponse>, Status> {
        Ok(Response::new(api::GetOrderKeysResponse { order_keys_pem: self.order_keys.clone() }))
    }
}

/// By region and rollout.
fn runs<'a>(
    coordinator: &'a Coordinator,
    only: &'a str,
    now: Time,
) -> impl Iterator<Item = ((RegionName, RolloutId), api::Run)> + 'a {
    let wake = coordinator.next_wake(now);
    let regions =
        coordinator.runs.iter().filter(move |(region, _)| only.is_empty() || region.as_str() == only);
    regions.flat_map(move |(region, runs)| {
        runs.iter().map(move |(id, run)| ((region.clone(), id.clone()), view(region, id, run, wake)))
    })
}

fn view(region: &RegionName, rollout: &RolloutId, run: &Run, wake: Option<Time>) -> api::Run {
    let count = |want: fn(&Standing) -> bool| {
        u32::try_from(run.standings().filter(|(_, standing)| want(standing)).count()).unwrap_or(u32::MAX)
    };
    api::Run {
        rollout: rollout.to_string(),
        region: region.to_string(),
        stage: run.current_stage().map(ToString::to_string).unwrap_or_default(),
        tally: Some((&run.tally()).into()),
        in_flight: count(|standing| matches!(standing, Standing::InFlight(_))),
        waiting: count(|standing| matches!(standing, Standing::Waiting)),
        next_wake: wake.filter(|_| !run.is_completed()).map(timestamp),
        waiting_on: run.halted().map(|why| format!("a person, because {why}")).unwrap_or_default(),
        completed: run.is_completed(),
    }
}
