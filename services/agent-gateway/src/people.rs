//! The gRPC of agent-gateway for people: enrolment tokens, the list of agents.

use crate::authority::{Authority, sha256};
use chrono::Duration;
use nightshift_domain::gateway::Gateway;
use nightshift_domain::rollout::Actor;
use nightshift_domain::{Refusal, VmId};
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::api::v1::agent_service_server::{AgentService, AgentServiceServer};
use nightshift_protocol::convert::timestamp;
use nightshift_runtime::access::{Caller, Role};
use nightshift_runtime::status::{invalid, refused};
use nightshift_runtime::{Clock, Host};
use std::sync::Arc;
use tonic::service::Routes;
use tonic::{Request, Response, Status};
use uuid::Uuid;

const DEFAULT_TTL_SECONDS: u32 = 3_600;
/// How long a wish to assess is good for: an agent that is there takes minutes.
const DEFAULT_WISH_SECONDS: u32 = 1_800;

pub(crate) fn routes(host: Host<Gateway>, clock: Clock, authority: Arc<Authority>) -> Routes {
    Routes::new(AgentServiceServer::new(People { host, clock, authority }))
}

struct People {
    host: Host<Gateway>,
    clock: Clock,
    authority: Arc<Authority>,
}

#[tonic::async_trait]
impl AgentService for People {
    async fn issue_enrolment_tokens(
        &self,
        request: Request<api::IssueEnrolmentTokensRequest>,
    ) -> Result<Response<api::IssueEnrolmentTokensResponse>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let ttl = if request.ttl_seconds == 0 { DEFAULT_TTL_SECONDS } else { request.ttl_seconds };
        let expires = self.clock.now() + Duration::seconds(i64::from(ttl));
        let vms: Vec<VmId> =
            request.vms.into_iter().map(VmId::new).collect::<Result<_, _>>().map_err(invalid)?;
        self.check_owners(&caller, Role::Admin, &vms).await?;
        // 244 random bits each.
        let secret = || format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let issued: Vec<(VmId, String)> = vms.into_iter().map(|vm| (vm, secret())).collect();
        let hashes: Vec<(VmId, String)> =
            issued.iter().map(|(vm, token)| (vm.clone(), sha256(token.as_bytes()))).collect();
        let issue = move |gateway: &Gateway, _| {
            hashes.iter().map(|(vm, hash)| gateway.issue_token(vm, hash.clone(), expires)).collect()
        };
        self.host.command(issue).await?;
        let token = |(vm, token): (VmId, String)| api::EnrolmentToken {
            vm: vm.to_string(),
            token,
            expires: Some(timestamp(expires)),
            authority_pem: self.authority.certificate_pem().to_owned(),
        };
        Ok(Response::new(api::IssueEnrolmentTokensResponse {
            tokens: issued.into_iter().map(token).collect(),
        }))
    }

    async fn assess_vm(
        &self,
        request: Request<api::AssessVmRequest>,
    ) -> Result<Response<api::AssessVmResponse>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let vm = VmId::new(request.vm).map_err(invalid)?;
        self.check_owners(&caller, Role::Operator, std::slice::from_ref(&vm)).await?;
        let actor = request.actor.ok_or_else(|| invalid("actor: missing"))?;
        let actor = Actor::try_from(actor).map_err(|error| invalid(format!("actor.{error}")))?;
        let actor = caller.acts(actor);
        let ttl = if request.ttl_seconds == 0 { DEFAULT_WISH_SECONDS } else { request.ttl_seconds };
        let asked = self.clock.now();
        let not_after = asked + Duration::seconds(i64::from(ttl));
        let wish = move |gateway: &Gateway, _| {
            gateway.wish_assessment(&vm, not_after, actor.clone()).map(|decision| vec![decision])
        };
        self.host.command(wish).await?;
        Ok(Response::new(api::AssessVmResponse {
            asked: Some(timestamp(asked)),
            not_after: Some(timestamp(not_after)),
        }))
    }

    async fn list_agents(
        &self,
        request: Request<api::ListAgentsRequest>,
    ) -> Result<Response<api::ListAgentsResponse>, Status> {
        let caller = Caller::of(&request)?;
        let list = move |gateway: &Gateway, _| {
            let owner = |vm: &VmId| gateway.fleet.vms.get(vm).map(|vm| &vm.subscription);
            // Of a VM that left the fleet nobody is the owner any more.
            let seen = |vm: &VmId| owner(vm).map_or(caller.sees_all(), |owner| caller.sees(owner));
            gateway.agents().filter(|(vm, _)| seen(vm)).map(view).collect()
        };
        let agents = self.host.look(list).await?;
        Ok(Response::new(api::ListAgentsResponse { agents }))
    }
}

impl People {
    /// Refuses to touch others' VMs: to whom does not see one, it is not there.
    async fn check_owners(&self, caller: &Caller, needed: Role, vms: &[VmId]) -> Result<(), Status> {
        let wanted = vms.to_vec();
        let owners = move |gateway: &Gateway, _| {
            let owner = |vm: &VmId| gateway.fleet.vms.get(vm).map(|vm| vm.subscription.clone());
            wanted.iter().map(owner).collect::<Vec<_>>()
        };
        for (vm, owner) in vms.iter().zip(self.host.look(owners).await?) {
            let unknown = || refused(&Refusal::new("VmNotFound", format!("VM \"{vm}\" is not in the fleet")));
            caller.check(needed, &owner.filter(|owner| caller.sees(owner)).ok_or_else(unknown)?)?;
        }
        Ok(())
    }
}

fn view((vm, agent): (&VmId, &nightshift_domain::gateway::Agent)) -> api::Agent {
    let identity = agent.identity.as_ref();
    api::Agent {
        vm: vm.to_string(),
        enrolled: agent.is_enrolled(),
        boot_id: identity.map(|identity| identity.boot_id.clone()).unwrap_or_default(),
        agent_version: identity.map(|identity| identity.agent_version.clone()).unwrap_or_default(),
    }
}
