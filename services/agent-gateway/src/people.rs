//! The gRPC of agent-gateway for people: enrolment tokens, the list of agents.

use crate::authority::{Authority, sha256};
use chrono::Duration;
use futures::future::try_join_all;
use nightshift_domain::gateway::Gateway;
use nightshift_domain::rollout::Actor;
use nightshift_domain::{Chain, Event, Refusal, Time, VmId};
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::api::v1::agent_service_server::{AgentService, AgentServiceServer};
use nightshift_protocol::convert::timestamp;
use nightshift_runtime::access::{Caller, Role};
use nightshift_runtime::status::{id, refused, required};
use nightshift_runtime::{Clock, Host, Page, Terms};
use std::sync::Arc;
use tonic::service::Routes;
use tonic::{Request, Response, Status};
use uuid::Uuid;

const DEFAULT_TTL_SECONDS: u32 = 3_600;
/// How long a wish to assess is good for: an agent that is there takes minutes.
const DEFAULT_WISH_SECONDS: u32 = 1_800;

/// Agents of one page.
const MOST_AGENTS: usize = 1_000;

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
        let (caller, terms, request) = Terms::of(request)?;
        let ttl = if request.ttl_seconds == 0 { DEFAULT_TTL_SECONDS } else { request.ttl_seconds };
        let expires = self.clock.now() + Duration::seconds(i64::from(ttl));
        let vms = request.vms.into_iter().enumerate();
        let vms: Vec<VmId> =
            vms.map(|(place, vm)| id(vm, &format!("vms[{place}]"))).collect::<Result<_, _>>()?;
        self.check_owners(&caller, Role::Admin, &vms).await?;
        let issued = vms.into_iter().map(|vm| self.issue(&terms, vm, expires));
        Ok(Response::new(api::IssueEnrolmentTokensResponse { tokens: try_join_all(issued).await? }))
    }

    async fn assess_vm(
        &self,
        request: Request<api::AssessVmRequest>,
    ) -> Result<Response<api::AssessVmResponse>, Status> {
        let (caller, terms, request) = Terms::of(request)?;
        let vm: VmId = id(request.vm, "vm")?;
        self.check_owners(&caller, Role::Operator, std::slice::from_ref(&vm)).await?;
        let actor = caller.acts(required::<_, Actor>(request.actor, "actor")?);
        let ttl = if request.ttl_seconds == 0 { DEFAULT_WISH_SECONDS } else { request.ttl_seconds };
        let now = self.clock.now();
        let not_after = now + Duration::seconds(i64::from(ttl));
        let wish = move |gateway: &Gateway, _| {
            gateway.wish_assessment(&vm, not_after, actor.clone()).map(|decision| vec![decision])
        };
        let facts = self.host.wish(terms, wish).await?;
        let wished = facts.iter().find_map(|fact| match &fact.event {
            Event::AssessmentWished { not_after, .. } => Some((fact.at, *not_after)),
            _ => None,
        });
        let (asked, not_after) = wished.unwrap_or((now, not_after));
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
        let api::ListAgentsRequest { page_size, page_token } = request.into_inner();
        let page = Page::of("ListAgents", MOST_AGENTS, page_size, &page_token)?;
        let list = move |gateway: &Gateway, _| {
            let owner = |vm: &VmId| gateway.fleet.vms.get(vm).map(|vm| &vm.subscription);
            // Of a VM that left the fleet nobody is the owner any more.
            let seen = |vm: &VmId| owner(vm).map_or(caller.sees_all(), |owner| caller.sees(owner));
            let agents = gateway.agents().filter(|(vm, _)| seen(vm));
            page.find(agents.map(|(vm, agent)| (vm.clone(), view((vm, agent)))))
        };
        let (agents, next_page_token) = self.host.look(list).await?;
        Ok(Response::new(api::ListAgentsResponse { agents, next_page_token }))
    }
}

impl People {
    /// Issues one VM's token. With an idempotency key it comes out the same again: the log has its hash alone.
    async fn issue(&self, terms: &Terms, vm: VmId, expires: Time) -> Result<api::EnrolmentToken, Status> {
        let token = match terms.seed() {
            Some(seed) => self.authority.token(&seed, &vm),
            // 244 random bits.
            None => format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple()),
        };
        let (wished, hash) = (vm.clone(), sha256(token.as_bytes()));
        let region = move |gateway: &Gateway, _| gateway.fleet.vms.get(&wished).map(|vm| vm.region.clone());
        let region = self.host.look(region).await?.ok_or_else(|| refused(&Refusal::no_vm(&vm)))?;
        let terms = terms.for_part(Chain::agent(&region, &vm));
        let wished = vm.clone();
        let issue = move |gateway: &Gateway, _| {
            gateway.issue_token(&wished, hash.clone(), expires).map(|decision| vec![decision])
        };
        let facts = self.host.wish(terms, issue).await?;
        let expires = facts.iter().find_map(|fact| match &fact.event {
            Event::EnrolmentTokenIssued { expires, .. } => Some(*expires),
            _ => None,
        });
        Ok(api::EnrolmentToken {
            vm: vm.to_string(),
            token,
            expires: expires.map(timestamp),
            authority_pem: self.authority.certificate_pem().to_owned(),
        })
    }

    /// Refuses to touch others' VMs: to whom does not see one, it is not there.
    async fn check_owners(&self, caller: &Caller, needed: Role, vms: &[VmId]) -> Result<(), Status> {
        let wanted = vms.to_vec();
        let owners = move |gateway: &Gateway, _| {
            let owner = |vm: &VmId| gateway.fleet.vms.get(vm).map(|vm| vm.subscription.clone());
            wanted.iter().map(owner).collect::<Vec<_>>()
        };
        for (vm, owner) in vms.iter().zip(self.host.look(owners).await?) {
            let unknown = || refused(&Refusal::no_vm(vm));
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
