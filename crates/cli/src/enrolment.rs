//! Agents of a fleet that was declared a moment ago: their tokens, and that they have come.

use crate::arguments::Servers;
use crate::{clients, pages};
use anyhow::Context as _;
use nightshift_domain::VmId;
use nightshift_protocol::api::v1 as api;
use std::time::Duration;

/// How often, and how many times, to look: for a minute.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const TRIES: u32 = 1_200;

/// A token for each machine, as soon as the gateway has read of them all in the log.
pub async fn tokens(
    servers: &Servers,
    vms: impl IntoIterator<Item = &VmId>,
) -> anyhow::Result<Vec<api::EnrolmentToken>> {
    let vms = vms.into_iter().map(ToString::to_string).collect();
    let request = api::IssueEnrolmentTokensRequest { vms, ..Default::default() };
    let mut gateway = clients::agents(servers).await?;
    for _ in 0..TRIES {
        match gateway.issue_enrolment_tokens(request.clone()).await {
            Err(status) if status.code() == tonic::Code::NotFound => tokio::time::sleep(LOOK_EVERY).await,
            issued => return Ok(issued?.into_inner().tokens),
        }
    }
    anyhow::bail!("the gateway does not read the log: is the machine overloaded?")
}

/// The public keys, in PEM, of every coordinator: what an agent is given beside its token. Asked of the coordinators
/// themselves, because an agent must not believe agent-gateway in this.
pub async fn order_keys(servers: &Servers) -> anyhow::Result<String> {
    let mut keys = String::new();
    for address in &servers.coordinators {
        let response =
            clients::coordinator(servers, address).await?.get_order_keys(api::GetOrderKeysRequest {}).await;
        let pem = response.with_context(|| format!("--coordinators {address}"))?.into_inner().order_keys_pem;
        // Two coordinators may share a key: what is there already is not said twice.
        if !keys.contains(&pem) {
            keys.push_str(&pem);
        }
    }
    Ok(keys)
}

/// Waits until so many agents have spoken.
pub async fn connected(servers: &Servers, wanted: usize) -> anyhow::Result<()> {
    let mut gateway = clients::agents(servers).await?;
    for _ in 0..TRIES {
        let agents = pages::all(async |page_token| {
            let request = api::ListAgentsRequest { page_token, ..Default::default() };
            let page = gateway.list_agents(request).await?.into_inner();
            Ok((page.agents, page.next_page_token))
        });
        let agents = agents.await?;
        if agents.iter().filter(|agent| !agent.boot_id.is_empty()).count() >= wanted {
            return Ok(());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    anyhow::bail!("not all of the {wanted} agents connected: is the machine overloaded?")
}
