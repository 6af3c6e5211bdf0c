//! Agents of a fleet that was declared a moment ago: their tokens, and that they have come.

use crate::arguments::Servers;
use crate::clients;
use nightshift_domain::VmId;
use nightshift_protocol::api::v1 as api;
use std::time::Duration;

/// How often, and how many times, to look: for a minute.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const TRIES: u32 = 1_200;

/// A token for each machine, as soon as the gateway has read of them all in the log.
pub(crate) async fn tokens(
    servers: &Servers,
    vms: impl IntoIterator<Item = &VmId>,
) -> anyhow::Result<Vec<api::EnrolmentToken>> {
    let vms = vms.into_iter().map(ToString::to_string).collect();
    let request = api::IssueEnrolmentTokensRequest { vms, ttl_seconds: 0 };
    let mut gateway = clients::agents(servers).await?;
    for _ in 0..TRIES {
        match gateway.issue_enrolment_tokens(request.clone()).await {
            Err(status) if status.code() == tonic::Code::NotFound => tokio::time::sleep(LOOK_EVERY).await,
            issued => return Ok(issued?.into_inner().tokens),
        }
    }
    anyhow::bail!("the gateway does not read the log: is the machine overloaded?")
}

/// Waits until so many agents have spoken.
pub(crate) async fn connected(servers: &Servers, wanted: usize) -> anyhow::Result<()> {
    let mut gateway = clients::agents(servers).await?;
    for _ in 0..TRIES {
        let agents = gateway.list_agents(api::ListAgentsRequest {}).await?.into_inner().agents;
        if agents.iter().filter(|agent| !agent.boot_id.is_empty()).count() >= wanted {
            return Ok(());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    anyhow::bail!("not all of the {wanted} agents connected: is the machine overloaded?")
}
