//! The gRPC of rollout-planner: people's wishes for the fleet and for rollouts.

mod fleet;
mod rollouts;

use nightshift_domain::RolloutId;
use nightshift_domain::planner::Planner;
use nightshift_domain::rollout::Actor;
use nightshift_protocol::api::v1::fleet_service_server::FleetServiceServer;
use nightshift_protocol::api::v1::rollout_service_server::RolloutServiceServer;
use nightshift_protocol::events::v1 as wire;
use nightshift_runtime::Host;
use nightshift_runtime::access::Caller;
use nightshift_runtime::status::{id, required};
use tonic::Status;
use tonic::service::Routes;

/// A fleet of 100,000 VMs is declared in one request.
const LARGEST_REQUEST: usize = 64 * 1024 * 1024;

pub(crate) fn routes(host: Host<Planner>) -> Routes {
    let fleet = FleetServiceServer::new(Planning(host.clone())).max_decoding_message_size(LARGEST_REQUEST);
    Routes::new(fleet).add_service(RolloutServiceServer::new(Planning(host)))
}

struct Planning(Host<Planner>);

/// Who wishes, and why: the name is the token's, where callers have tokens.
fn actor(caller: &Caller, said: Option<wire::Actor>) -> Result<Actor, Status> {
    Ok(caller.acts(required(said, "actor")?))
}

fn rollout_id(text: String) -> Result<RolloutId, Status> {
    id(text, "rollout")
}
